// The metadata services of machines: what they answer, to whom, and what they refuse.
import { beforeAll, describe, expect, it } from 'vitest';
import type { Emulator, Instance } from '../src/index.ts';
import { emulator } from './emulated.ts';
import { send } from './wire.ts';

let cloud: Emulator;
beforeAll(async () => {
  cloud = await emulator();
  await cloud.createRole('service-a');
  await cloud.createRole('service-b');
});

describe('EC2, version 2', () => {
  let machine: Instance;
  let token: string;
  const tokenHeader = 'x-aws-ec2-metadata-token';
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    send(`${machine.variables['AWS_EC2_METADATA_SERVICE_ENDPOINT']}/latest/${path}`, method, headers);
  const putToken = (ttl: string) => ask('api/token', { [`${tokenHeader}-ttl-seconds`]: ttl }, 'PUT');

  beforeAll(async () => {
    machine = await cloud.instance('service-a', 'ec2');
    token = (await putToken('21600')).text;
  });

  it('no credential is in the variables', () => {
    expect(Object.keys(machine.variables).sort()).toEqual([
      'AWS_DEFAULT_REGION',
      'AWS_EC2_METADATA_SERVICE_ENDPOINT',
      'AWS_ENDPOINT_URL_KMS',
      'AWS_ENDPOINT_URL_STS',
      'AWS_REGION',
    ]);
  });

  it('names the role, then gives its credentials', async () => {
    const list = await ask('meta-data/iam/security-credentials/', { [tokenHeader]: token });
    expect(list.text).toBe('service-a');
    const { body } = await ask('meta-data/iam/security-credentials/service-a', { [tokenHeader]: token });
    expect(body).toMatchObject({ Code: 'Success', Type: 'AWS-HMAC' });
    expect(body['AccessKeyId']).toMatch(/^ASIA[A-Z0-9]{16}$/);
    expect(body['Expiration']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const again = await ask('meta-data/iam/security-credentials/service-a', { [tokenHeader]: token });
    expect(again.body['AccessKeyId']).toBe(body['AccessKeyId']);
  });

  it.each([
    ['meta-data/placement/region', 'eu-west-1'],
    ['meta-data/placement/availability-zone', 'eu-west-1a'],
  ])('%s', async (path, text) => {
    expect((await ask(path, { [tokenHeader]: token })).text).toBe(text);
  });

  const documents = 'meta-data/iam/security-credentials/service-a';
  it.each<[string, () => ReturnType<typeof ask>, number]>([
    ['version 1: no token', () => ask(documents), 401],
    ['a token of somebody else', () => ask(documents, { [tokenHeader]: 'A'.repeat(56) }), 401],
    [
      'the credentials of another role',
      () => ask('meta-data/iam/security-credentials/service-b', { [tokenHeader]: token }),
      404,
    ],
    ['the name of an inherited property', () => ask('meta-data/constructor', { [tokenHeader]: token }), 404],
    ['a token without a time', () => ask('api/token', {}, 'PUT'), 400],
    ['a token for 0 s', () => putToken('0'), 400],
    ['a token for 6 h and 1 s', () => putToken('21601'), 400],
    ['a token for "1e3"', () => putToken('1e3'), 400],
    ['a token by GET', () => ask('api/token', { [`${tokenHeader}-ttl-seconds`]: '60' }), 401],
    ['a forwarded request', () => ask('api/token', { 'x-forwarded-for': '10.0.0.1' }, 'PUT'), 400],
    ['POST', () => ask(documents, { [tokenHeader]: token }, 'POST'), 405],
  ])('refused: %s', async (_, request, status) => {
    expect((await request()).status).toBe(status);
  });

  it('a token is over when its time is', async () => {
    let now = Date.now();
    const own = await emulator({ now: () => now });
    await own.createRole('service-a');
    machine = await own.instance('service-a');
    const short = (await putToken('10')).text;
    expect((await ask(documents, { [tokenHeader]: short })).status).toBe(200);
    now += 10_000;
    expect((await ask(documents, { [tokenHeader]: short })).status).toBe(401);
  });

  it('new credentials come before the old ones end', async () => {
    let now = Date.now();
    const own = await emulator({ now: () => now, sessionSeconds: 100 });
    await own.createRole('service-a');
    machine = await own.instance('service-a');
    const header = { [tokenHeader]: (await putToken('21600')).text };
    const first = (await ask(documents, header)).body['AccessKeyId'];
    now += 60_000;
    expect((await ask(documents, header)).body['AccessKeyId']).not.toBe(first);
  });
});

describe('ECS', () => {
  it('gives credentials for the token of the task, and only for it', async () => {
    const task = await cloud.instance('service-a', 'ecs');
    const other = await cloud.instance('service-b', 'ecs');
    const url = task.variables['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? '';
    const token = task.variables['AWS_CONTAINER_AUTHORIZATION_TOKEN'] ?? '';
    const answer = await send(url, 'GET', { authorization: token });
    expect(answer.body['RoleArn']).toBe('arn:aws:iam::111122223333:role/service-a');
    expect(Object.keys(answer.body).sort()).toEqual([
      'AccessKeyId',
      'Expiration',
      'RoleArn',
      'SecretAccessKey',
      'Token',
    ]);
    const foreign = other.variables['AWS_CONTAINER_AUTHORIZATION_TOKEN'] ?? '';
    expect((await send(url, 'GET', { authorization: foreign })).status).toBe(401);
    expect((await send(url, 'GET', { authorization: token.slice(1) })).status).toBe(401);
    expect((await send(url, 'GET', {})).status).toBe(401);
    expect((await send(`${url}/x`, 'GET', { authorization: token })).status).toBe(404);
  });
});

describe('Compute Engine', () => {
  let machine: Instance;
  const ask = (
    path: string,
    headers: Record<string, string> = { 'Metadata-Flavor': 'Google' },
    method = 'GET',
  ) => send(`http://${machine.variables['GCE_METADATA_HOST']}/computeMetadata/v1/${path}`, method, headers);
  const email = 'service-a@clef-emulator.iam.gserviceaccount.com';

  beforeAll(async () => {
    machine = await cloud.instance('service-a', 'gce');
  });

  it.each([
    ['project/project-id', 'clef-emulator'],
    ['instance/service-accounts/default/email', email],
    [`instance/service-accounts/${email}/email`, email],
    ['universe/universe-domain', 'googleapis.com'],
  ])('%s', async (path, text) => {
    expect((await ask(path)).text).toBe(text);
  });

  it('gives a bearer token and says for how long', async () => {
    const { body } = await ask('instance/service-accounts/default/token?scopes=x');
    expect(body).toMatchObject({ token_type: 'Bearer' });
    expect(body['expires_in']).toBeGreaterThan(3590);
  });

  it('lists the accounts with everything below', async () => {
    const { body } = await ask('instance/service-accounts/?recursive=true');
    expect(body['default']).toMatchObject({ email });
  });

  it.each<[string, () => ReturnType<typeof ask>, number]>([
    ['without the header', () => ask('instance/service-accounts/default/token', {}), 403],
    [
      'with another value of it',
      () => ask('instance/service-accounts/default/token', { 'Metadata-Flavor': 'google' }),
      403,
    ],
    [
      'another service account',
      () => ask('instance/service-accounts/b@clef-emulator.iam.gserviceaccount.com/token'),
      404,
    ],
    [
      'a forwarded request',
      () => ask('project/project-id', { 'Metadata-Flavor': 'Google', 'x-forwarded-for': '1.2.3.4' }),
      400,
    ],
    ['PUT', () => ask('project/project-id', { 'Metadata-Flavor': 'Google' }, 'PUT'), 405],
  ])('refused: %s', async (_, request, status) => {
    expect((await request()).status).toBe(status);
  });

  it('says on every answer that it is one', async () => {
    const answer = await fetch(`http://${machine.variables['GCE_METADATA_HOST']}/`);
    expect(answer.headers.get('metadata-flavor')).toBe('Google');
  });
});

it('a machine that was stopped answers no more, and the emulator starts none after its end', async () => {
  const own = await emulator();
  await own.createRole('service-a');
  const { variables, stop } = await own.instance('service-a', 'gce');
  await stop();
  await expect(fetch(`http://${variables['GCE_METADATA_HOST']}/`)).rejects.toThrow();
  await own.stop();
  await expect(own.instance('service-a')).rejects.toMatchObject({ code: 'stopped' });
  await expect(fetch(own.url)).rejects.toThrow();
});
