// The metadata server of a Compute Engine machine: every request must carry `Metadata-Flavor: Google`, and every answer
// does. Source: "VM metadata" and "Authenticate workloads using service accounts", Compute Engine documentation.
import { json, type LoopbackRequest, type Reply } from '@clef/loopback';
import type { Cloud } from '../cloud.ts';
import { callerEmail } from '../gcp/iam.ts';
import { issueGcpCredential, reuseUntilHalfGone } from '../sessions.ts';
import type { Caller } from '../state.ts';

const root = '/computeMetadata/v1';
const scope = 'https://www.googleapis.com/auth/cloud-platform';
const flavor = { 'Metadata-Flavor': 'Google', Server: 'Metadata Server for VM' };

/** Answers as the metadata server of one machine: its tokens are its service account's. */
export function gceMetadata(cloud: Cloud, caller: Caller): (request: LoopbackRequest) => Reply {
  const email = callerEmail(cloud.state, caller);
  const credential = reuseUntilHalfGone(cloud, () => issueGcpCredential(cloud, caller));
  const token = (): Reply => {
    cloud.record({ operation: 'gce.token', principal: email, outcome: 'ok' });
    const { token: accessToken, expiresAtMs } = credential();
    const seconds = Math.floor((expiresAtMs - cloud.now()) / 1000);
    return json(200, { access_token: accessToken, expires_in: seconds, token_type: 'Bearer' }, flavor);
  };
  const account = { aliases: ['default'], email, scopes: [scope] };
  const documents: Readonly<Record<string, () => Reply>> = {
    '': () => text(200, 'instance/\nproject/\nuniverse/\n'),
    '/instance': () => text(200, 'hostname\nid\nservice-accounts/\nzone\n'),
    '/instance/hostname': () => text(200, `machine.c.${cloud.state.project}.internal`),
    '/instance/id': () => text(200, '1111222233334444555'),
    '/instance/zone': () => text(200, 'projects/111122223333/zones/europe-west1-b'),
    '/instance/service-accounts': () => text(200, `default/\n${email}/\n`),
    '/project/project-id': () => text(200, cloud.state.project),
    '/project/numeric-project-id': () => text(200, '111122223333'),
    '/universe/universe-domain': () => text(200, 'googleapis.com'),
    '/universe/universe_domain': () => text(200, 'googleapis.com'),
  };
  for (const name of ['default', email]) {
    const base = `/instance/service-accounts/${name}`;
    Object.assign(documents, {
      [base]: () => text(200, 'aliases\nemail\nscopes\ntoken\n'),
      [`${base}/email`]: () => text(200, email),
      [`${base}/aliases`]: () => text(200, 'default\n'),
      [`${base}/scopes`]: () => text(200, `${scope}\n`),
      [`${base}/token`]: token,
    });
  }
  const recursive: Readonly<Record<string, () => Reply>> = {
    '/instance/service-accounts': () => json(200, { default: account, [email]: account }, flavor),
    '/instance/service-accounts/default': () => json(200, account, flavor),
  };

  return (request) => {
    if (request.path === '/') return text(200, 'computeMetadata/\n');
    if (request.headers.get('metadata-flavor') !== 'Google')
      return text(403, 'Missing Metadata-Flavor:Google header.');
    if (request.method !== 'GET' || !request.path.startsWith(root)) return text(404, 'Not Found');
    const path = request.path.slice(root.length).replace(/\/$/, '');
    const isRecursive = new URLSearchParams(request.query ?? '').get('recursive')?.toLowerCase() === 'true';
    const table = isRecursive && Object.hasOwn(recursive, path) ? recursive : documents;
    const document = Object.hasOwn(table, path) ? table[path] : undefined;
    return document?.() ?? text(404, 'Not Found');
  };
}

function text(status: number, body: string): Reply {
  return { status, headers: { 'Content-Type': 'application/text', ...flavor }, body };
}
