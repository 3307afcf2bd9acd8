// Simulated machines. A metadata service cannot tell its callers apart, so every machine has its own, on its own port.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFileExclusive } from '@clef/host';
import { type LoopbackServer, startLoopbackServer } from '@clef/loopback';
import { issueWebIdentityToken } from './aws/web-identity.ts';
import type { Cloud } from './cloud.ts';
import { roleArn } from './identifiers.ts';
import { ec2Metadata, makeInstanceId } from './machines/ec2-metadata.ts';
import { ecsCredentials, ecsCredentialsPath } from './machines/ecs-credentials.ts';
import { gceMetadata } from './machines/gce-metadata.ts';

/**
 * `ec2`: a machine with IMDSv2. `ecs`: a container with a credential endpoint. `eks`: a pod with a web identity token, which STS
 * takes. `eks-pod`: a pod with EKS Pod Identity. `gce`: a Compute Engine machine.
 */
export type InstanceKind = 'ec2' | 'ecs' | 'eks' | 'eks-pod' | 'gce';

/** A running machine that has a role. */
export type Instance = {
  readonly kind: InstanceKind;
  readonly role: string;
  /** The whole environment that a workload on this machine needs; no credential is in it. */
  readonly variables: Readonly<Record<string, string>>;
  /** Switches its metadata service off. Sessions already handed out live on. */
  stop(): Promise<void>;
};

type Started = { readonly stop: () => Promise<void>; readonly variables: Record<string, string> };

/** One row for each kind of machine. */
const starters: Readonly<
  Record<InstanceKind, (cloud: Cloud, role: string, place: Place) => Promise<Started>>
> = { ec2: startEc2, ecs: startEcs, eks: startEks, 'eks-pod': startEksPod, gce: startGce };

/** Where the clouds' own endpoints are. */
export type Place = {
  readonly url: string;
  readonly region: string;
  readonly onFault: (cause: unknown) => void;
};

/** Starts the metadata service of one machine. */
export async function startInstance(
  cloud: Cloud,
  role: string,
  kind: InstanceKind,
  place: Place,
): Promise<Instance> {
  return { kind, role, ...(await starters[kind](cloud, role, place)) };
}

/** What an AWS SDK or the AWS CLI needs to find the emulator. */
export function awsEndpointVariables(place: Pick<Place, 'url' | 'region'>): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_KMS: place.url,
    AWS_ENDPOINT_URL_STS: place.url,
    AWS_REGION: place.region,
    AWS_DEFAULT_REGION: place.region,
  };
}

async function startEc2(cloud: Cloud, role: string, place: Place): Promise<Started> {
  const instanceId = makeInstanceId(cloud);
  const server = await listen(
    place,
    ['GET', 'PUT'],
    ec2Metadata(cloud, { role, region: place.region, instanceId }),
  );
  return {
    stop: () => server.close(1),
    variables: { ...awsEndpointVariables(place), AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url },
  };
}

async function startEcs(cloud: Cloud, role: string, place: Place): Promise<Started> {
  const { server, authorizationToken, url } = await startCredentials(cloud, role, place);
  const variables = {
    ...awsEndpointVariables(place),
    AWS_CONTAINER_CREDENTIALS_FULL_URI: url,
    AWS_CONTAINER_AUTHORIZATION_TOKEN: authorizationToken,
  };
  return { stop: () => server.close(1), variables };
}

/** EKS Pod Identity: the same endpoint, with its token in a file. */
async function startEksPod(cloud: Cloud, role: string, place: Place): Promise<Started> {
  const { server, authorizationToken, url } = await startCredentials(cloud, role, place);
  const file = await writeToken(authorizationToken);
  const variables = {
    ...awsEndpointVariables(place),
    AWS_CONTAINER_CREDENTIALS_FULL_URI: url,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file.path,
  };
  return { stop: async () => void (await Promise.all([server.close(1), file.remove()])), variables };
}

/** IAM roles for service accounts: the cluster's token in a file, which STS takes for the role. */
async function startEks(cloud: Cloud, role: string, place: Place): Promise<Started> {
  const file = await writeToken(issueWebIdentityToken(cloud, role));
  const variables = {
    ...awsEndpointVariables(place),
    AWS_ROLE_ARN: roleArn(cloud.state.account, role),
    AWS_ROLE_SESSION_NAME: 'pod',
    AWS_WEB_IDENTITY_TOKEN_FILE: file.path,
  };
  return { stop: file.remove, variables };
}

/** A token where a pod would find it: a file that only we can read. */
async function writeToken(
  token: string,
): Promise<{ readonly path: string; readonly remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'clef-pod-'));
  const path = join(folder, 'token');
  await createFileExclusive(path, Buffer.from(token), { mode: 0o600 });
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}

async function startCredentials(cloud: Cloud, role: string, place: Place) {
  const authorizationToken = Buffer.from(cloud.randomBytes(32)).toString('base64url');
  const taskId = Buffer.from(cloud.randomBytes(16)).toString('hex');
  const server = await listen(place, ['GET'], ecsCredentials(cloud, { role, taskId, authorizationToken }));
  return { server, authorizationToken, url: `${server.url}${ecsCredentialsPath}` };
}

async function startGce(cloud: Cloud, role: string, place: Place): Promise<Started> {
  const server = await listen(place, ['GET'], gceMetadata(cloud, { role, session: 'gce' }));
  const variables = { CLEF_GCP_KMS_ENDPOINT: place.url, GCE_METADATA_HOST: `127.0.0.1:${server.port}` };
  return { stop: () => server.close(1), variables };
}

function listen(
  place: Place,
  methods: readonly string[],
  respond: ReturnType<typeof ec2Metadata>,
): Promise<LoopbackServer> {
  return startLoopbackServer({
    listen: { port: 0 },
    methods,
    maxBodyBytes: 0,
    publicPaths: [],
    allowQuery: true,
    respond,
    onFault: place.onFault,
  });
}
