// Where credentials come from and what becomes of it when they do not: machines with roles, files, tokens. The SDKs read the
// process's own environment, so each test here sets it.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Emulator, type Instance, startEmulator } from '@clef/emulator';
import { gcpMetadata } from 'google-auth-library';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type KeyReference,
  type Kms,
  KmsError,
  type KmsSettings,
  openKms,
  parseKeyReference,
} from '../src/index.ts';
import { json, type ScriptedServer, startScriptedServer, text } from './scripted-server.ts';

const canary = 'canary-secret-text';
const secret = Buffer.from('the one-time key');
const nowhere = 'http://127.0.0.1:1';

let folder: string;
let emulator: Emulator;
let server: ScriptedServer;
let awsKey: KeyReference;
let gcpKey: KeyReference;
let clockOffset = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'clef-kms-'));
  server = await startScriptedServer();
  emulator = await startEmulator({ now: () => Date.now() + clockOffset, randomBytes, sessionSeconds: 60 });
  awsKey = parseKeyReference(emulator.awsKey.reference);
  gcpKey = parseKeyReference(emulator.gcpKey.reference);
  await emulator.createRole('api-gateway');
  await emulator.allowRole({ role: 'api-gateway', key: emulator.awsKey.arn, may: 'both' });
  await emulator.allowRole({ role: 'api-gateway', key: emulator.gcpKey.name, may: 'both' });
  await emulator.createRole('stranger');
});
afterAll(async () => {
  await Promise.all([emulator.stop(), server.close()]);
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  for (const name of Object.keys(process.env)) {
    if (/^(AWS|GOOGLE|GCE|GCLOUD|CLOUDSDK|GCP)_/.test(name)) vi.stubEnv(name, undefined);
  }
  vi.stubEnv('HOME', folder);
  vi.stubEnv('AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED', 'true');
});
afterEach(() => {
  clockOffset = 0;
  vi.unstubAllEnvs();
});

/** The whole cloud part of the environment, then the KMS as a program would open it. */
function openWith(variables: Readonly<Record<string, string>>, settings: Partial<KmsSettings> = {}): Kms {
  setVariables(variables);
  return openKms({ environment: process.env, attempts: 2, timeoutSeconds: 5, ...settings });
}

function setVariables(variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
}

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function failure(call: Promise<unknown>): Promise<KmsError> {
  const error: unknown = await call.then(
    () => 'it succeeded',
    (cause: unknown) => cause,
  );
  if (!(error instanceof KmsError)) throw new Error(`No KmsError: ${String(error)}`, { cause: error });
  const shown = `${error.message} ${error.stack} ${String(error.cause)} ${JSON.stringify(error)}`;
  expect(shown).not.toContain(canary);
  expect(error.cause instanceof Error ? error.cause.message : '').toMatch(
    /^(\w*|an error without a known name)$/,
  );
  return error;
}

describe.each([
  ['ec2', () => awsKey],
  ['ecs', () => awsKey],
  ['gce', () => gcpKey],
] as const)('a machine with a role: %s', (kind, key) => {
  it('wraps and unwraps with no credential in its environment', async () => {
    const machine = await emulator.instance('api-gateway', kind);
    const kms = openWith(machine.variables);
    expect(await kms.unwrap(key(), await kms.wrap(key(), secret))).toEqual(new Uint8Array(secret));
  });

  it('F-33: another role is denied', async () => {
    const machine = await emulator.instance('stranger', kind);
    expect(await failure(openWith(machine.variables).wrap(key(), secret))).toMatchObject({ code: 'denied' });
  });

  it('F-33: a revoked role is denied, and may again once it is restored', async () => {
    const kms = openWith((await emulator.instance('api-gateway', kind)).variables);
    const wrapped = await kms.wrap(key(), secret);
    await emulator.revokeRole('api-gateway');
    expect(await failure(kms.unwrap(key(), wrapped))).toMatchObject({ code: 'denied' });
    await emulator.restoreRole('api-gateway');
    expect(await kms.unwrap(key(), wrapped)).toEqual(new Uint8Array(secret));
  });

  it('F-36: without its metadata service it has no credentials, and heals when that is back', async () => {
    // As in a process that has not seen it before.
    gcpMetadata.resetIsAvailableCache();
    const machine: Instance = await emulator.instance('api-gateway', kind);
    await machine.stop();
    const kms = openWith(machine.variables);
    const error = await failure(kms.wrap(key(), secret));
    expect(['no_credentials', 'unavailable']).toContain(error.code);
    setVariables((await emulator.instance('api-gateway', kind)).variables);
    expect(await kms.wrap(key(), secret)).toBeInstanceOf(Uint8Array);
  });
});

describe('F-36: credentials that expire', () => {
  it('are renewed', async () => {
    const brief = await startEmulator({ now: Date.now, randomBytes, sessionSeconds: 2 });
    await brief.createRole('api-gateway');
    const keys = [brief.awsKey, brief.gcpKey].map(({ reference }) => parseKeyReference(reference));
    for (const key of [brief.awsKey.arn, brief.gcpKey.name])
      await brief.allowRole({ role: 'api-gateway', key, may: 'both' });
    const machines = [await brief.instance('api-gateway', 'ec2'), await brief.instance('api-gateway', 'gce')];
    const kms = openWith(Object.assign({}, ...machines.map(({ variables }) => variables)));
    for (const round of [1, 2]) {
      for (const key of keys) expect(await kms.wrap(key, secret)).toBeInstanceOf(Uint8Array);
      if (round === 1) await new Promise((resolve) => setTimeout(resolve, 2200));
    }
    await brief.stop();
  });

  it('before their time are missed by the call that finds out, and renewed for the next', async () => {
    const kms = openWith((await emulator.instance('api-gateway', 'ec2')).variables);
    await kms.wrap(awsKey, secret);
    clockOffset = 61_000;
    expect(await failure(kms.wrap(awsKey, secret))).toMatchObject({ code: 'no_credentials' });
    expect(await kms.wrap(awsKey, secret)).toBeInstanceOf(Uint8Array);
  });
});

describe('AWS', () => {
  const asked = (): number => server.asked.length;
  const profile = (name: string, lines: readonly string[]): Record<string, string> => ({
    AWS_CONFIG_FILE: file(`${name}.config`, [`[profile ${name}]`, ...lines, ''].join('\n')),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'none'),
    AWS_PROFILE: name,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ENDPOINT_URL_KMS: emulator.url,
  });
  const administrator = (): readonly string[] => [
    `aws_access_key_id = ${emulator.administrator.accessKeyId}`,
    `aws_secret_access_key = ${emulator.administrator.secretAccessKey}`,
  ];

  it("takes the credentials of a profile, which is the user's business", async () => {
    const kms = openWith(profile('good', administrator()));
    expect(await kms.wrap(awsKey, secret)).toBeInstanceOf(Uint8Array);
  });

  it('F-36: reads a profile again after its keys were refused', async () => {
    const kms = openWith(
      profile('rotated', ['aws_access_key_id = AKIAGONE', `aws_secret_access_key = ${canary}`]),
    );
    expect(await failure(kms.wrap(awsKey, secret))).toMatchObject({ code: 'denied' });
    profile('rotated', administrator());
    expect(await kms.wrap(awsKey, secret)).toBeInstanceOf(Uint8Array);
  });

  it.each([
    ['no credentials anywhere', {}],
    ['a profile that is not there', { AWS_PROFILE: canary }],
    [
      'a container address that is not allowed',
      { AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://192.0.2.1/${canary}` },
    ],
  ])('%s', async (_, variables) => {
    const kms = openWith({ ...profile('empty', []), AWS_PROFILE: '', ...variables });
    const error = await failure(kms.wrap(awsKey, secret));
    expect(['no_credentials', 'unavailable']).toContain(error.code);
  });

  it('INV-111: an endpoint in a configuration file is https, or on this machine', async () => {
    const { AWS_ENDPOINT_URL_KMS: _, ...variables } = profile('far', [
      ...administrator(),
      'endpoint_url = http://192.0.2.1',
    ]);
    expect(await failure(openWith(variables).wrap(awsKey, secret))).toMatchObject({ code: 'bad_endpoint' });
  });

  it('F-31: a program that gives no credentials does not hold a call for ever', async () => {
    const kms = openWith(profile('slow', ['credential_process = sleep 12']), { timeoutSeconds: 0.5 });
    const before = performance.now();
    expect(await failure(kms.wrap(awsKey, secret))).toMatchObject({ code: 'unavailable' });
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  it.each([
    ['an hour fast', 3_600_000],
    ['an hour slow', -3_600_000],
  ])('a clock that is %s corrects itself by that of the service', async (_, offset) => {
    clockOffset = offset;
    const kms = openWith({ ...profile('clock', administrator()) });
    expect(await kms.wrap(awsKey, secret)).toBeInstanceOf(Uint8Array);
  });

  describe('a role by web identity, as CI has it', () => {
    const variables = (): Record<string, string> => ({
      ...profile('none', []),
      AWS_PROFILE: '',
      AWS_REGION: 'eu-west-1',
      AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/ci',
      AWS_WEB_IDENTITY_TOKEN_FILE: file('token', 'a.b.c'),
      AWS_ENDPOINT_URL_STS: server.url,
    });
    const refusal = (code: string): string =>
      `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${canary}</Message></Error></ErrorResponse>`;

    it.each([
      ['F-33: the role does not trust this job', text(403, refusal('AccessDenied')), 'denied'],
      ['F-36: the token has expired', text(400, refusal('ExpiredTokenException')), 'no_credentials'],
      ['F-36: the token is not accepted', text(400, refusal('InvalidIdentityToken')), 'no_credentials'],
      ['F-32: throttled', text(400, refusal('Throttling')), 'throttled'],
      ['K01: no XML', text(200, canary), 'no_credentials'],
    ] as const)('%s', async (_, answer, code) => {
      server.answer(answer);
      expect(await failure(openWith(variables(), { attempts: 1 }).wrap(awsKey, secret))).toMatchObject({
        code,
      });
      expect(asked()).toBeGreaterThan(0);
    });

    it('F-30: nobody listens', async () => {
      const kms = openWith({ ...variables(), AWS_ENDPOINT_URL_STS: nowhere });
      expect(await failure(kms.wrap(awsKey, secret))).toMatchObject({ code: 'unavailable' });
    });
  });
});

describe('Google Cloud', () => {
  const login = (name: string, content: string): Record<string, string> => ({
    CLEF_GCP_KMS_ENDPOINT: emulator.url,
    GOOGLE_APPLICATION_CREDENTIALS: file(name, content),
    METADATA_SERVER_DETECTION: 'none',
  });
  const federated = (name: string): Record<string, string> =>
    login(
      name,
      JSON.stringify({
        type: 'external_account',
        audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `${server.url}/token`,
        credential_source: { file: file('subject-token', 'a.b.c') },
        quota_project_id: 'billed-project',
      }),
    );

  it.each([
    ['a file that is not there', () => ({ GOOGLE_APPLICATION_CREDENTIALS: join(folder, canary) })],
    ['a file that is no JSON', () => login('junk.json', canary)],
    ['a file of another kind', () => login('kind.json', JSON.stringify({ type: canary }))],
    ['no login anywhere', () => ({ METADATA_SERVER_DETECTION: 'none' })],
  ])('%s', async (_, variables) => {
    const kms = openWith({ CLEF_GCP_KMS_ENDPOINT: emulator.url, ...variables() });
    expect(await failure(kms.wrap(gcpKey, secret))).toMatchObject({ code: 'no_credentials' });
  });

  const token = {
    access_token: 'federated',
    token_type: 'Bearer',
    expires_in: 3600,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  };

  it('F-36: a token that was not accepted is not used again', async () => {
    const kms = openWith({ ...federated('again.json'), CLEF_GCP_KMS_ENDPOINT: server.url });
    server.answer(
      json(200, token),
      json(401, { error: { status: 'UNAUTHENTICATED', message: canary } }),
      json(200, { ...token, access_token: 'another' }),
      json(403, { error: { status: 'PERMISSION_DENIED' } }),
    );
    expect(await failure(kms.wrap(gcpKey, secret))).toMatchObject({ code: 'no_credentials' });
    expect(await failure(kms.wrap(gcpKey, secret))).toMatchObject({ code: 'denied' });
    expect(server.asked[3]?.headers['authorization']).toBe('Bearer another');
  });

  it('no program is started to find out a project', async () => {
    const spawned = join(folder, 'spawned');
    const gcloud = file('gcloud', `#!/bin/sh\necho "$0 $*" >> '${spawned}'\n`);
    chmodSync(gcloud, 0o755);
    const { variables } = await emulator.instance('api-gateway', 'gce');
    const path = { PATH: `${folder}:${process.env['PATH']}` };
    for (const login of [variables, { ...federated('quiet.json'), CLEF_GCP_KMS_ENDPOINT: server.url }]) {
      server.answer(json(200, token), json(403, { error: { status: 'PERMISSION_DENIED' } }));
      await openWith({ ...login, ...path })
        .wrap(gcpKey, secret)
        .catch(() => undefined);
    }
    expect(existsSync(spawned)).toBe(false);
  });

  it('a login by federation is used, and billed to its project', async () => {
    const kms = openWith({ ...federated('good.json'), CLEF_GCP_KMS_ENDPOINT: server.url });
    server.answer(json(200, token), json(403, { error: { status: 'PERMISSION_DENIED' } }));
    await failure(kms.wrap(gcpKey, secret));
    expect(server.asked[1]?.headers).toMatchObject({
      authorization: 'Bearer federated',
      'x-goog-user-project': 'billed-project',
    });
  });

  it.each([
    [
      'F-36: the token is not accepted',
      text(400, JSON.stringify({ error: 'invalid_grant', error_description: canary })),
      'no_credentials',
    ],
    ['F-30: nobody can say', text(500, canary), 'unavailable'],
  ] as const)('%s', async (_, answer, code) => {
    server.answer(answer);
    expect(
      await failure(openWith(federated('bad.json'), { attempts: 1 }).wrap(gcpKey, secret)),
    ).toMatchObject({ code });
  });
});

describe('another identity for AWS, which only "clef sops" asks for', () => {
  const role = 'arn:aws:iam::111122223333:role/keys';
  const granted = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
    <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
    <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`;
  const signer = (index: number): string =>
    /Credential=([A-Z]+)/.exec(server.asked[index]?.headers.authorization ?? '')?.[1] ?? '';
  const profiles = (): Record<string, string> => {
    const path = file(
      'aws-profiles',
      '[profile team]\naws_access_key_id = AKIATEAM\naws_secret_access_key = s\n',
    );
    return { AWS_CONFIG_FILE: path, AWS_SHARED_CREDENTIALS_FILE: '/nonexistent' };
  };
  const here = () => ({
    AWS_ENDPOINT_URL: server.url,
    AWS_ACCESS_KEY_ID: 'AKIAOWN',
    AWS_SECRET_ACCESS_KEY: 's',
  });
  const wrapped = json(200, { KeyId: '', CiphertextBlob: 'AQID' });
  const wrapsWith = async (
    aws: KmsSettings['aws'],
    variables: Record<string, string> = {},
  ): Promise<void> => {
    const kms = openWith({ ...here(), ...variables }, { attempts: 1, ...(aws && { aws }) });
    expect((await failure(kms.wrap(awsKey, secret))).code).toBe('mismatch');
  };

  it('a role is taken on with our own credentials, and the key is used with those that it gives', async () => {
    server.answer(text(200, granted, { 'content-type': 'text/xml' }), wrapped);
    await wrapsWith({ role });
    expect(server.asked.map(({ body }) => body['Action'])).toEqual(['AssumeRole', undefined]);
    expect(server.asked[0]?.body['RoleArn']).toBe(role);
    expect(server.asked[0]?.body['RoleSessionName']).toMatch(/^sops@/);
    expect([signer(0), signer(1)]).toEqual(['AKIAOWN', 'ASIAROLE']);
  });

  it('a profile goes before the variables, and a role is taken on as the profile', async () => {
    server.answer(wrapped);
    await wrapsWith({ profile: 'team' }, profiles());
    expect(signer(0)).toBe('AKIATEAM');
    server.answer(text(200, granted, { 'content-type': 'text/xml' }), wrapped);
    await wrapsWith({ role, profile: 'team' }, profiles());
    expect([signer(0), signer(1)]).toEqual(['AKIATEAM', 'ASIAROLE']);
  });

  it('a role that is refused is no outage, and the key is not asked', async () => {
    const denied =
      '<ErrorResponse><Error><Code>AccessDenied</Code><Message>canary-secret-text</Message></Error></ErrorResponse>';
    server.answer(text(403, denied, { 'content-type': 'text/xml' }));
    const kms = openWith(here(), { attempts: 1, aws: { role } });
    expect((await failure(kms.wrap(awsKey, secret))).code).toBe('denied');
    expect(server.asked.map(({ body }) => body['Action'])).toEqual(['AssumeRole']);
  });

  it('INV-111: an endpoint of STS that is neither https nor here is not asked', async () => {
    server.answer(wrapped);
    const kms = openWith({ ...here(), AWS_ENDPOINT_URL_STS: 'http://sts.example.com' }, { aws: { role } });
    expect((await failure(kms.wrap(awsKey, secret))).code).toBe('bad_endpoint');
    expect(server.asked).toHaveLength(0);
  });

  it('INV-111: nor is one that a configuration file names', async () => {
    server.answer(wrapped);
    const { AWS_ENDPOINT_URL, ...own } = here();
    const lines = [
      '[default]',
      'services = far',
      '[services far]',
      'sts =',
      '  endpoint_url = http://192.0.2.1',
    ];
    const variables = {
      ...own,
      AWS_ENDPOINT_URL_KMS: AWS_ENDPOINT_URL,
      AWS_CONFIG_FILE: file('far-sts', `${lines.join('\n')}\n`),
      AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
    };
    const kms = openWith(variables, { aws: { role }, attempts: 1, timeoutSeconds: 2 });
    expect((await failure(kms.wrap(awsKey, secret))).code).toBe('bad_endpoint');
    expect(server.asked).toHaveLength(0);
  });
});
