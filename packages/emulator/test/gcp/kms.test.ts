// Google Cloud KMS over the wire: checksums both ways, additional data, permissions on a key, and the errors' one shape.
import { crc32c, encodeBase64 } from '@clef/strict';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Emulator, emulatorVariables } from '../../src/index.ts';
import { emulator, runClient } from '../emulated.ts';
import { callGcp } from '../wire.ts';

const ring = 'projects/clef-emulator/locations/global/keyRings/clef';
const key = `${ring}/cryptoKeys/clef`;
const b64 = (text: string): string => encodeBase64(Buffer.from(text));
const sum = (text: string): string => String(crc32c(Buffer.from(text)));

let cloud: Emulator;
beforeAll(async () => {
  cloud = await emulator();
});

describe('operations', () => {
  it('encrypts and decrypts with checksums and additional data', async () => {
    const aad = { additionalAuthenticatedData: b64('aad'), additionalAuthenticatedDataCrc32c: sum('aad') };
    const made = await callGcp(cloud, 'POST', `${key}:encrypt`, {
      plaintext: b64('x'),
      plaintextCrc32c: sum('x'),
      ...aad,
    });
    const ciphertext = made.body['ciphertext'] as string;
    expect(made.body).toEqual({
      name: `${key}/cryptoKeyVersions/1`,
      ciphertext,
      ciphertextCrc32c: String(crc32c(Buffer.from(ciphertext, 'base64'))),
      verifiedPlaintextCrc32c: true,
      verifiedAdditionalAuthenticatedDataCrc32c: true,
      protectionLevel: 'SOFTWARE',
    });
    const opened = await callGcp(cloud, 'POST', `${key}:decrypt`, {
      ciphertext,
      ciphertextCrc32c: Number(made.body['ciphertextCrc32c']),
      ...aad,
    });
    expect(opened.body).toEqual({
      plaintext: b64('x'),
      plaintextCrc32c: sum('x'),
      usedPrimary: true,
      protectionLevel: 'SOFTWARE',
    });
    const other = await callGcp(cloud, 'POST', `${key}:decrypt`, {
      ciphertext,
      additionalAuthenticatedData: b64('AAD'),
    });
    expect(other.body['error']).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT' });
  });

  it('says nothing about a checksum that was not sent', async () => {
    const made = await callGcp(cloud, 'POST', `${key}:encrypt`, { plaintext: b64('x') });
    expect(made.body).not.toHaveProperty('verifiedPlaintextCrc32c');
  });

  it('takes base64 in either alphabet, with or without padding', async () => {
    for (const plaintext of ['+/8=', '-_8=', '-_8', '+/8']) {
      const made = await callGcp(cloud, 'POST', `${key}:encrypt`, { plaintext });
      const opened = await callGcp(cloud, 'POST', `${key}:decrypt`, { ciphertext: made.body['ciphertext'] });
      expect(opened.body['plaintext']).toBe('+/8=');
    }
  });

  it('makes, shows and lists rings and keys', async () => {
    const location = 'projects/clef-emulator/locations/europe-west1';
    expect((await callGcp(cloud, 'POST', `${location}/keyRings?keyRingId=r`, {})).status).toBe(200);
    const made = await callGcp(cloud, 'POST', `${location}/keyRings/r/cryptoKeys?cryptoKeyId=k&alt=json`, {
      purpose: 'ENCRYPT_DECRYPT',
    });
    expect(made.body).toMatchObject({
      name: `${location}/keyRings/r/cryptoKeys/k`,
      purpose: 'ENCRYPT_DECRYPT',
    });
    expect((await callGcp(cloud, 'GET', `${location}/keyRings/r/cryptoKeys/k`)).body).toEqual(made.body);
    expect((await callGcp(cloud, 'GET', `${location}/keyRings/r/cryptoKeys`)).body['cryptoKeys']).toEqual([
      made.body,
    ]);
    expect((await callGcp(cloud, 'GET', `${location}/keyRings`)).body).toMatchObject({ totalSize: 1 });
  });

  it('a policy is read, changed and written; an old one is refused', async () => {
    const { name } = await cloud.createGcpKey(`${ring}/cryptoKeys/policy`);
    const policy = (await callGcp(cloud, 'GET', `${name}:getIamPolicy`)).body;
    const bindings = [{ role: 'roles/cloudkms.cryptoKeyDecrypter', members: ['serviceAccount:a@b.c'] }];
    const put = await callGcp(cloud, 'POST', `${name}:setIamPolicy`, { policy: { ...policy, bindings } });
    expect(put.body['bindings']).toEqual(bindings);
    const again = await callGcp(cloud, 'POST', `${name}:setIamPolicy`, {
      policy: { ...policy, bindings: [] },
    });
    expect(again.body['error']).toMatchObject({ code: 409, status: 'ABORTED' });
  });
});

describe('refused requests', () => {
  const policy = (binding: object) => ({ policy: { bindings: [binding] } });
  const decrypter = 'roles/cloudkms.cryptoKeyDecrypter';
  const rows: readonly (readonly [
    title: string,
    method: string,
    path: string,
    body: object | string | undefined,
    status: string,
  ])[] = [
    ['no JSON', 'POST', `${key}:encrypt`, 'plaintext=x', 'INVALID_ARGUMENT'],
    ['a list', 'POST', `${key}:encrypt`, [], 'INVALID_ARGUMENT'],
    ['a name twice', 'POST', `${key}:encrypt`, '{"plaintext":"","plaintext":""}', 'INVALID_ARGUMENT'],
    [
      'the name of another key',
      'POST',
      `${key}:encrypt`,
      { name: `${key}2`, plaintext: '' },
      'INVALID_ARGUMENT',
    ],
    ['an unknown field', 'POST', `${key}:encrypt`, { plaintext: '', x: 1 }, 'INVALID_ARGUMENT'],
    ['an unknown query parameter', 'POST', `${key}:encrypt?x=1`, { plaintext: '' }, 'INVALID_ARGUMENT'],
    ['no plaintext', 'POST', `${key}:encrypt`, {}, 'INVALID_ARGUMENT'],
    ['a number as plaintext', 'POST', `${key}:encrypt`, { plaintext: 1 }, 'INVALID_ARGUMENT'],
    ['a plaintext that is not base64', 'POST', `${key}:encrypt`, { plaintext: 'a b' }, 'INVALID_ARGUMENT'],
    [
      'a plaintext of 64 KiB and one byte',
      'POST',
      `${key}:encrypt`,
      { plaintext: b64('x'.repeat(65_537)) },
      'INVALID_ARGUMENT',
    ],
    [
      'a wrong checksum',
      'POST',
      `${key}:encrypt`,
      { plaintext: b64('x'), plaintextCrc32c: '1' },
      'INVALID_ARGUMENT',
    ],
    [
      'a checksum that is no number',
      'POST',
      `${key}:encrypt`,
      { plaintext: b64('x'), plaintextCrc32c: 'x' },
      'INVALID_ARGUMENT',
    ],
    [
      'a checksum below zero',
      'POST',
      `${key}:encrypt`,
      { plaintext: b64('x'), plaintextCrc32c: -1 },
      'INVALID_ARGUMENT',
    ],
    [
      'a wrong checksum of the additional data',
      'POST',
      `${key}:encrypt`,
      {
        plaintext: b64('x'),
        additionalAuthenticatedData: b64('y'),
        additionalAuthenticatedDataCrc32c: sum('x'),
      },
      'INVALID_ARGUMENT',
    ],
    ['no ciphertext', 'POST', `${key}:decrypt`, {}, 'INVALID_ARGUMENT'],
    [
      'a ciphertext that is noise',
      'POST',
      `${key}:decrypt`,
      { ciphertext: b64('noise') },
      'INVALID_ARGUMENT',
    ],
    [
      'a wrong checksum of the ciphertext',
      'POST',
      `${key}:decrypt`,
      { ciphertext: b64('x'), ciphertextCrc32c: '1' },
      'INVALID_ARGUMENT',
    ],
    ['an unknown key', 'POST', `${ring}/cryptoKeys/none:encrypt`, { plaintext: '' }, 'NOT_FOUND'],
    [
      'an unknown ring',
      'GET',
      'projects/clef-emulator/locations/global/keyRings/none',
      undefined,
      'NOT_FOUND',
    ],
    ['an unknown verb', 'POST', `${key}:destroy`, {}, 'NOT_FOUND'],
    ['another method', 'GET', `${key}:encrypt`, undefined, 'NOT_FOUND'],
    ['another version', 'POST', `${key}/cryptoKeyVersions/2:encrypt`, { plaintext: '' }, 'NOT_FOUND'],
    [
      'a ring that exists',
      'POST',
      'projects/clef-emulator/locations/global/keyRings?keyRingId=clef',
      {},
      'ALREADY_EXISTS',
    ],
    [
      'a key that exists',
      'POST',
      `${ring}/cryptoKeys?cryptoKeyId=clef`,
      { purpose: 'ENCRYPT_DECRYPT' },
      'ALREADY_EXISTS',
    ],
    [
      'a key without a name',
      'POST',
      `${ring}/cryptoKeys`,
      { purpose: 'ENCRYPT_DECRYPT' },
      'INVALID_ARGUMENT',
    ],
    [
      'a key for another purpose',
      'POST',
      `${ring}/cryptoKeys?cryptoKeyId=s`,
      { purpose: 'ASYMMETRIC_SIGN' },
      'INVALID_ARGUMENT',
    ],
    [
      'an unknown role',
      'POST',
      `${key}:setIamPolicy`,
      policy({ role: 'roles/x', members: [] }),
      'INVALID_ARGUMENT',
    ],
    [
      'everybody',
      'POST',
      `${key}:setIamPolicy`,
      policy({ role: decrypter, members: ['allUsers'] }),
      'INVALID_ARGUMENT',
    ],
    [
      'a condition',
      'POST',
      `${key}:setIamPolicy`,
      policy({ role: decrypter, members: [], condition: {} }),
      'INVALID_ARGUMENT',
    ],
  ];
  it.each(rows)('%s', async (_, method, path, body, status) => {
    const answer = await callGcp(cloud, method, path, body);
    const error = answer.body['error'] as Record<string, unknown>;
    expect(error['status']).toBe(status);
    expect(error['code']).toBe(answer.status);
    expect(typeof error['message']).toBe('string');
  });

  it('a ciphertext of another key', async () => {
    const { name } = await cloud.createGcpKey(`${ring}/cryptoKeys/other`);
    const made = await callGcp(cloud, 'POST', `${name}:encrypt`, { plaintext: b64('x') });
    const answer = await callGcp(cloud, 'POST', `${key}:decrypt`, { ciphertext: made.body['ciphertext'] });
    expect(answer.body['error']).toMatchObject({ status: 'INVALID_ARGUMENT' });
  });

  it.each([
    ['no token', ''],
    ['an unknown token', 'ya29.unknown'],
    ['half of the right one', 'half'],
  ])('%s', async (_, token) => {
    const given = token === 'half' ? cloud.administrator.gcpToken.slice(0, 30) : token;
    const answer = await callGcp(cloud, 'POST', `${key}:encrypt`, { plaintext: '' }, given);
    expect(answer.body['error']).toMatchObject({ code: 401, status: 'UNAUTHENTICATED' });
  });
});

describe('a service account', () => {
  const encrypt = (name: string) => ({ path: `${name}:encrypt`, body: { plaintext: b64('x') } });

  it('the administrator, by default credentials', async () => {
    const { GOOGLE_OAUTH_ACCESS_TOKEN: _, ...variables } = emulatorVariables(cloud);
    expect(await runClient('gcp-kms', variables, encrypt(key))).toMatchObject({
      project: 'clef-emulator',
      status: 200,
    });
  });

  it('may do with a key what it was allowed, from a machine of its own', async () => {
    const { serviceAccount } = await cloud.createRole('service-a');
    const { name } = await cloud.createGcpKey(`${ring}/cryptoKeys/sealing`);
    await cloud.allowRole({ role: 'service-a', key: name, may: 'decrypt' });
    const { variables } = await cloud.instance('service-a', 'gce');
    const made = await callGcp(cloud, 'POST', `${name}:encrypt`, { plaintext: b64('x') });
    const decrypt = { path: `${name}:decrypt`, body: { ciphertext: made.body['ciphertext'] } };

    const opened = await runClient('gcp-kms', variables, decrypt);
    expect(opened).toMatchObject({ email: serviceAccount, status: 200, body: { plaintext: b64('x') } });
    expect(await runClient('gcp-kms', variables, encrypt(name))).toMatchObject({ status: 403 });
    expect(await runClient('gcp-kms', variables, encrypt(key))).toMatchObject({
      status: 403,
      body: { error: { status: 'PERMISSION_DENIED' } },
    });
    await cloud.revokeRole('service-a');
    expect(await runClient('gcp-kms', variables, decrypt)).toMatchObject({ status: 403 });
  });

  it('its token expires', async () => {
    let now = Date.now();
    const own = await emulator({ now: () => now, sessionSeconds: 60 });
    await own.createRole('service-a');
    await own.allowRole({ role: 'service-a', key: own.gcpKey.name, may: 'both' });
    const { variables } = await own.instance('service-a', 'gce');
    const url = `http://${variables['GCE_METADATA_HOST']}/computeMetadata/v1/instance/service-accounts/default/token`;
    const answer = await fetch(url, { headers: { 'Metadata-Flavor': 'Google' } });
    const { access_token: token } = (await answer.json()) as { access_token: string };
    const use = () => callGcp(own, 'POST', `${own.gcpKey.name}:encrypt`, { plaintext: '' }, token);
    expect((await use()).status).toBe(200);
    now += 61_000;
    expect((await use()).status).toBe(401);
  });
});
