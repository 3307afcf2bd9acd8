// The state file: what survives a restart, who may read it, and that a damaged one is refused without being shown.
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeBase64 } from '@clef/strict';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emulator } from './emulated.ts';
import { callAws, callGcp } from './wire.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clef-emulator-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const plaintext = encodeBase64(Buffer.from('x'));

describe('a restart', () => {
  it('keeps keys, aliases, policies, roles and the administrator, but no session', async () => {
    const statePath = join(folder, 'kept.json');
    const first = await emulator({ statePath });
    const { arn } = await first.createRole('service-a');
    await first.allowRole({ role: 'service-a', key: first.awsKey.arn, may: 'decrypt', context: { a: '1' } });
    await first.allowRole({ role: 'service-a', key: first.gcpKey.name, may: 'both' });
    await first.revokeRole('service-a');
    await callAws(first, 'CreateAlias', { AliasName: 'alias/other', TargetKeyId: first.awsKey.keyId });
    const aws = await callAws(first, 'Encrypt', { KeyId: 'alias/other', Plaintext: plaintext });
    const gcp = await callGcp(first, 'POST', `${first.gcpKey.name}:encrypt`, { plaintext });
    await first.stop();
    const before = await readFile(statePath, 'utf8');
    expect((await stat(statePath)).mode & 0o777).toBe(0o600);

    const second = await emulator({ statePath });
    expect(second.administrator).toEqual(first.administrator);
    expect(second.awsKey).toEqual(first.awsKey);
    expect(await readFile(statePath, 'utf8')).toBe(before);
    expect(before).toContain(arn);
    expect(before).not.toContain('ASIA');
    const opened = await callAws(second, 'Decrypt', { CiphertextBlob: aws.body['CiphertextBlob'] });
    expect(opened.body['Plaintext']).toBe(plaintext);
    const other = await callGcp(second, 'POST', `${first.gcpKey.name}:decrypt`, {
      ciphertext: gcp.body['ciphertext'],
    });
    expect(other.body['plaintext']).toBe(plaintext);
    await expect(second.createRole('service-a')).rejects.toMatchObject({ code: 'exists' });
  });

  it('many changes at once all arrive', async () => {
    const statePath = join(folder, 'many.json');
    const own = await emulator({ statePath });
    await Promise.all(Array.from({ length: 20 }, (_, index) => own.createRole(`service-${index}`)));
    expect((JSON.parse(await readFile(statePath, 'utf8')) as { roles: object[] }).roles).toHaveLength(20);
  });

  it('a key with another id is added to the ones there are', async () => {
    const statePath = join(folder, 'two.json');
    const first = await emulator({ statePath });
    const keyId = '11111111-2222-4333-8444-555555555555';
    const second = await emulator({ statePath, keyId });
    expect(second.awsKey.keyId).toBe(keyId);
    const listed = (await callAws(second, 'ListKeys', {})).body['Keys'];
    expect(listed).toMatchObject([{ KeyId: first.awsKey.keyId }, { KeyId: keyId }]);
  });
});

describe('a state file that is refused', () => {
  type Change = (text: string) => string;
  const rows: readonly (readonly [title: string, change: Change])[] = [
    ['empty', () => ''],
    ['no JSON', () => 'x'],
    ['cut off', (text) => text.slice(0, -20)],
    ['another version', (text) => text.replace('"version": 1', '"version": 2')],
    ['a name twice', (text) => text.replace('"version": 1', '"version": 1, "version": 1')],
    ['an account of 11 digits', (text) => text.replace('"111122223333"', '"11112222333"')],
    ['key material that is too short', (text) => text.replace(/"material": "..../, '"material": "')],
    ['key material that is not base64', (text) => text.replace(/"material": "./, '"material": "!')],
    ['a list that is none', (text) => text.replace(/"roles": \[\]/, '"roles": {}')],
    ['a policy that is not understood', (text) => text.replace('"kms:*"', '"s3:*"')],
  ];
  it.each(rows)('%s', async (title, change) => {
    const statePath = join(folder, `${title.replaceAll(' ', '-')}.json`);
    const own = await emulator({ statePath });
    await own.stop();
    const changed = change(await readFile(statePath, 'utf8'));
    await writeFile(statePath, changed);
    const refusal = emulator({ statePath });
    await expect(refusal).rejects.toMatchObject({ name: 'EmulatorError', code: 'state' });
    const message = await refusal.catch((cause: Error) => cause.message);
    expect(message).not.toContain(own.administrator.secretAccessKey);
    expect(await readFile(statePath, 'utf8')).toBe(changed);
  });

  it('one that others may read', async () => {
    const statePath = join(folder, 'open.json');
    await (await emulator({ statePath })).stop();
    await chmod(statePath, 0o644);
    await expect(emulator({ statePath })).rejects.toMatchObject({ code: 'state' });
  });

  it('one of another account', async () => {
    const statePath = join(folder, 'account.json');
    await (await emulator({ statePath })).stop();
    await expect(emulator({ statePath, account: '999922223333' })).rejects.toMatchObject({ code: 'state' });
  });

  it('one in a folder that is not there: nothing is left running', async () => {
    await expect(emulator({ statePath: join(folder, 'none', 'x.json') })).rejects.toMatchObject({
      name: 'EmulatorError',
      code: 'state',
    });
  });
});

describe('arguments of the handle', () => {
  it.each<[string, Parameters<typeof emulator>[0]]>([
    ['a region', { region: 'Europe' }],
    ['an account', { account: '1' }],
    ['a project', { project: 'A' }],
    ['a key id', { keyId: 'my-key' }],
    ['a key id in capitals', { keyId: '11111111-2222-4333-8444-55555555555A' }],
    ['no time for sessions', { sessionSeconds: 0 }],
    ['half a second for sessions', { sessionSeconds: 1.5 }],
  ])('refused: %s', async (_, options) => {
    await expect(emulator(options)).rejects.toMatchObject({ name: 'EmulatorError', code: 'argument' });
  });

  it('a port in use', async () => {
    const own = await emulator();
    await expect(emulator({ port: own.port })).rejects.toMatchObject({ code: 'port_in_use' });
  });

  it('names of roles and keys', async () => {
    const own = await emulator();
    const grant = { role: 'service-a', key: own.awsKey.arn, may: 'both' } as const;
    await expect(own.createRole('../x')).rejects.toMatchObject({ code: 'argument' });
    await expect(own.createGcpKey('projects/x')).rejects.toMatchObject({ code: 'argument' });
    await expect(own.createKey({ keyId: own.awsKey.keyId })).rejects.toMatchObject({ code: 'exists' });
    await expect(own.createGcpKey(own.gcpKey.name)).rejects.toMatchObject({ code: 'exists' });
    await expect(own.instance('service-a')).rejects.toMatchObject({ code: 'not_found' });
    await expect(own.revokeRole('service-a')).rejects.toMatchObject({ code: 'not_found' });
    await expect(own.allowRole(grant)).rejects.toMatchObject({ code: 'not_found' });
    await own.createRole('service-a');
    await expect(own.allowRole({ ...grant, key: 'arn:x' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(own.allowRole({ ...grant, key: own.gcpKey.name, context: {} })).rejects.toMatchObject({
      code: 'argument',
    });
    await expect(own.putKeyPolicy(own.awsKey.arn, {})).rejects.toMatchObject({ code: 'argument' });
    await expect(own.putRolePolicy('service-a', { Statement: [{ Principal: '*' }] })).rejects.toMatchObject({
      code: 'argument',
    });
  });
});
