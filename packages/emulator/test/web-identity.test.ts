// Pods on EKS: the official credential chain trades the cluster's token for the role's credentials at STS, or asks EKS Pod
// Identity; and every token that STS must refuse.
import { readFile, stat } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Emulator, emulatorVariables, type Instance } from '../src/index.ts';
import { emulator, runClient } from './emulated.ts';
import { send } from './wire.ts';

let cloud: Emulator;
let pod: Instance;
let token: string;
const clock = { ahead: 0 };
beforeAll(async () => {
  cloud = await emulator({ now: () => Date.now() + clock.ahead });
  for (const role of ['service-a', 'service-b']) await cloud.createRole(role);
  await cloud.allowRole({ role: 'service-a', key: cloud.awsKey.arn, may: 'both' });
  pod = await cloud.instance('service-a', 'eks');
  token = await readFile(pod.variables['AWS_WEB_IDENTITY_TOKEN_FILE'] ?? '', 'utf8');
});

const assume = (changes: Readonly<Record<string, string>> = {}) =>
  send(
    cloud.url,
    'POST',
    { 'content-type': 'application/x-www-form-urlencoded' },
    new URLSearchParams({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: `arn:aws:iam::${cloud.account}:role/service-a`,
      RoleSessionName: 'pod',
      WebIdentityToken: token,
      ...changes,
    }).toString(),
  );

describe('a pod on EKS', () => {
  it.each(['eks', 'eks-pod'] as const)(
    'becomes its role with nothing but its variables (%s)',
    async (kind) => {
      const { variables } = await cloud.instance('service-a', kind);
      expect(JSON.stringify(variables)).not.toMatch(/AKIA|ASIA|SECRET_ACCESS/);
      const made = await runClient('aws-kms', variables, { key: cloud.awsKey.arn, plaintext: 'x' });
      expect(made).toMatchObject({ keyId: cloud.awsKey.arn });
      const opened = await runClient('aws-kms', variables, { ciphertext: made['ciphertext'] });
      expect(opened).toMatchObject({ plaintext: 'x' });
    },
  );

  it('of another role may not, and a revoked role no longer', async () => {
    const other = await cloud.instance('service-b', 'eks');
    const request = { key: cloud.awsKey.arn, plaintext: 'x' };
    expect(await runClient('aws-kms', other.variables, request)).toMatchObject({
      error: 'AccessDeniedException',
    });
    await cloud.revokeRole('service-a');
    expect(await runClient('aws-kms', pod.variables, request)).toMatchObject({
      error: 'AccessDeniedException',
    });
    await cloud.restoreRole('service-a');
  });

  it('has its token in a file of its own, which goes with it', async () => {
    const one = await cloud.instance('service-a', 'eks');
    const path = one.variables['AWS_WEB_IDENTITY_TOKEN_FILE'] ?? '';
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await one.stop();
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('AssumeRoleWithWebIdentity', () => {
  it('gives credentials of the session, and counts', async () => {
    const answer = await assume();
    expect(answer.status).toBe(200);
    expect(answer.text).toContain(`<Arn>arn:aws:sts::${cloud.account}:assumed-role/service-a/pod</Arn>`);
    expect(answer.text).toMatch(/<AccessKeyId>ASIA[A-Z0-9]{16}<\/AccessKeyId>/);
    expect(cloud.calls()['aws.AssumeRoleWithWebIdentity']).toBeGreaterThan(0);
  });

  const part = (index: number, change: (text: string) => string) => () =>
    token
      .split('.')
      .map((text, at) => (at === index ? change(text) : text))
      .join('.');
  const claims = (change: object) =>
    part(1, (text) => {
      const value = JSON.parse(Buffer.from(text, 'base64url').toString());
      return Buffer.from(JSON.stringify({ ...value, ...change })).toString('base64url');
    });
  const roleOf = (name: string) => `arn:aws:iam::111122223333:role/${name}`;
  const rows: readonly (readonly [string, () => Record<string, string>, number, string])[] = [
    ['no token', () => ({ WebIdentityToken: '' }), 400, 'InvalidIdentityToken'],
    ['noise', () => ({ WebIdentityToken: 'a.b.c' }), 400, 'InvalidIdentityToken'],
    [
      'another signature',
      () => ({ WebIdentityToken: part(2, (text) => `${text.slice(1)}A`)() }),
      400,
      'InvalidIdentityToken',
    ],
    ['no signature', () => ({ WebIdentityToken: part(2, () => '')() }), 400, 'InvalidIdentityToken'],
    [
      'the algorithm "none"',
      () => ({ WebIdentityToken: part(0, () => Buffer.from('{"alg":"none"}').toString('base64url'))() }),
      400,
      'InvalidIdentityToken',
    ],
    [
      'another subject',
      () => ({ WebIdentityToken: claims({ sub: 'system:serviceaccount:default:service-b' })() }),
      400,
      'InvalidIdentityToken',
    ],
    [
      'a later end',
      () => ({ WebIdentityToken: claims({ exp: 4_000_000_000 })() }),
      400,
      'InvalidIdentityToken',
    ],
    ['four parts', () => ({ WebIdentityToken: `${token}.x` }), 400, 'InvalidIdentityToken'],
    ['the role of other pods', () => ({ RoleArn: roleOf('service-b') }), 403, 'AccessDenied'],
    ['a role that is not there', () => ({ RoleArn: roleOf('nobody') }), 403, 'AccessDenied'],
    [
      'a role of another account',
      () => ({ RoleArn: 'arn:aws:iam::999922223333:role/service-a' }),
      403,
      'AccessDenied',
    ],
    ['a policy for the session', () => ({ Policy: '{}' }), 400, 'ValidationException'],
    ['no name for the session', () => ({ RoleSessionName: '' }), 400, 'ValidationException'],
    ['markup as the name of the session', () => ({ RoleSessionName: '<a/>' }), 400, 'ValidationException'],
    ['another version', () => ({ Version: '2010-05-08' }), 400, 'InvalidAction'],
  ];
  it.each(rows)('refuses %s', async (_, changes, status, code) => {
    const answer = await assume(changes());
    expect([answer.status, /<Code>(.*)<\/Code>/.exec(answer.text)?.[1]]).toEqual([status, code]);
    expect(answer.text).not.toContain('SecretAccessKey');
  });

  it('refuses a token whose day is over', async () => {
    clock.ahead = 24 * 3600 * 1000 + 1000;
    const answer = await assume();
    clock.ahead = 0;
    expect(answer.text).toContain('<Code>ExpiredToken</Code>');
  });

  it('refuses the token of another emulator', async () => {
    const other = await emulator();
    await other.createRole('service-a');
    const { variables } = await other.instance('service-a', 'eks');
    const foreign = await readFile(variables['AWS_WEB_IDENTITY_TOKEN_FILE'] ?? '', 'utf8');
    expect((await assume({ WebIdentityToken: foreign })).text).toContain('InvalidIdentityToken');
    expect(emulatorVariables(other)['AWS_ENDPOINT_URL_STS']).toBe(other.url);
  });
});
