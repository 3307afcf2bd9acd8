// The least that clouds must allow: the job that packs, and the workload that opens. Pure: from clef.yaml alone. The condition
// on the encryption context is what lets one AWS key serve several identities (formats.md, "The artifact").
import type { AwsKey, KeyReference } from '@clef/kms';
import { findEnvironment, findServiceEnvironment } from '../manifest/find.ts';
import type { Repository } from '../repository.ts';

/** One statement of an AWS policy document. */
export type AwsStatement = {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: { readonly StringEquals: Readonly<Record<string, string>> };
};

/** One binding of a role on one resource of Google Cloud. */
export type GcpBinding = { readonly resource: string; readonly role: string };

/** What one side needs. Lists are empty where it has no business with that cloud. */
export type IamNeeds = {
  readonly aws: readonly AwsStatement[];
  readonly gcp: readonly GcpBinding[];
  /** What must be allowed in another key service, in words. */
  readonly other: readonly string[];
};

export type ServiceIam = {
  readonly service: string;
  readonly environment: string;
  /** The job that packs: opens the cells, wraps, signs, publishes. */
  readonly ci: IamNeeds;
  /** The workload: unwraps its own artifacts' keys, and nothing else. */
  readonly workload: IamNeeds;
};

export type IamRequest = {
  readonly service: string;
  readonly environment: string;
  /** Where the artifact is published; only S3 and Cloud Storage need a word in a policy. */
  readonly destination?: string;
};

/**
 * The policies of one service identity in one environment.
 * @throws {ClefError} `unknown_service`.
 */
export function serviceIam({ manifest }: Repository, request: IamRequest): ServiceIam {
  const { service, environment, destination } = request;
  const { seal, sign } = findServiceEnvironment(manifest, service, environment);
  const { encryptTo } = findEnvironment(manifest, environment);
  const context = {
    'kms:EncryptionContext:clef:repository': manifest.repository,
    'kms:EncryptionContext:clef:identity': service,
    'kms:EncryptionContext:clef:environment': environment,
  };
  return {
    service,
    environment,
    ci: needs([
      ...encryptTo.map((key) => use(key, 'decrypt', 'OpenCells')),
      use(seal, 'encrypt', 'WrapArtifactKey', context),
      ...(sign === undefined ? [] : [use(sign, 'sign', 'SignArtifacts')]),
      store(destination, 'write'),
    ]),
    workload: needs([use(seal, 'decrypt', 'OpenArtifact', context), store(destination, 'read')]),
  };
}

type Need =
  | { readonly kind: 'aws'; readonly statements: readonly AwsStatement[] }
  | { readonly kind: 'gcp'; readonly bindings: readonly GcpBinding[] }
  | { readonly kind: 'other'; readonly text: string }
  | undefined;

type Verb = 'encrypt' | 'decrypt' | 'sign';

function needs(list: readonly Need[]): IamNeeds {
  return {
    aws: list.flatMap((need) => (need?.kind === 'aws' ? need.statements : [])),
    gcp: list.flatMap((need) => (need?.kind === 'gcp' ? need.bindings : [])),
    other: list.flatMap((need) => (need?.kind === 'other' ? [need.text] : [])),
  };
}

function use(key: KeyReference, verb: Verb, sid: string, context?: Readonly<Record<string, string>>): Need {
  switch (key.kind) {
    case 'awskms':
      return { kind: 'aws', statements: [awsStatement(key, verb, sid, context)] };
    case 'gcpkms':
      return { kind: 'gcp', bindings: [{ resource: key.resource, role: gcpRoles[verb] }] };
    case 'azurekms':
      return { kind: 'other', text: `Azure: ${azureRights[verb]} on the key ${key.name} of ${key.vault}` };
    case 'hashivault':
      return { kind: 'other', text: `Vault: "update" on ${key.mount}/${verb}/${key.name}` };
    default:
      // An age key: its owner needs nobody's leave.
      return undefined;
  }
}

const awsActions: Readonly<Record<Verb, readonly string[]>> = {
  encrypt: ['kms:Encrypt'],
  decrypt: ['kms:Decrypt'],
  sign: ['kms:Sign', 'kms:GetPublicKey'],
};

const gcpRoles: Readonly<Record<Verb, string>> = {
  encrypt: 'roles/cloudkms.cryptoKeyEncrypter',
  decrypt: 'roles/cloudkms.cryptoKeyDecrypter',
  sign: 'roles/cloudkms.signerVerifier',
};

const azureRights: Readonly<Record<Verb, string>> = {
  encrypt: 'the data action "encrypt"',
  decrypt: 'the data action "decrypt"',
  sign: 'the data action "sign"',
};

function awsStatement(
  { arn }: AwsKey,
  verb: Verb,
  sid: string,
  context: Readonly<Record<string, string>> | undefined,
): AwsStatement {
  return {
    Sid: sid,
    Effect: 'Allow',
    Action: awsActions[verb],
    Resource: [arn],
    ...(context !== undefined && { Condition: { StringEquals: context } }),
  };
}

/** In S3 who may not list learns "refused" instead of "not there", and the first pack would take it for a fault. */
function store(destination: string | undefined, access: 'read' | 'write'): Need {
  const [, scheme, bucket, object] = /^(s3|gs):\/\/([^/]+)\/([^?]+)/.exec(destination ?? '') ?? [];
  if (bucket === undefined || object === undefined) return undefined;
  if (scheme === 'gs') {
    const role = access === 'read' ? 'roles/storage.objectViewer' : 'roles/storage.objectUser';
    return {
      kind: 'gcp',
      bindings: [{ resource: `//storage.googleapis.com/projects/_/buckets/${bucket}`, role }],
    };
  }
  const Resource = [`arn:aws:s3:::${bucket}/${object}`];
  const get: AwsStatement = { Sid: 'ReadArtifact', Effect: 'Allow', Action: ['s3:GetObject'], Resource };
  if (access === 'read') return { kind: 'aws', statements: [get] };
  return {
    kind: 'aws',
    statements: [
      { ...get, Sid: 'PublishArtifact', Action: ['s3:GetObject', 's3:PutObject'] },
      {
        Sid: 'KnowWhatIsThere',
        Effect: 'Allow',
        Action: ['s3:ListBucket'],
        Resource: [`arn:aws:s3:::${bucket}`],
      },
    ],
  };
}
