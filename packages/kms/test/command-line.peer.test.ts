// The command lines of both clouds as peers: each opens what we wrapped, and we open what it wrapped, under one context. A
// peer that is absent fails its tests.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Emulator, emulatorVariables, startEmulator } from '@clef/emulator';
import { runChild } from '@clef/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPeer } from '../../../test/peers.ts';
import { type KeyReference, type Kms, openKms, parseKeyReference } from '../src/index.ts';

// Not UTF-8, and with every byte that a careless reader trips over.
const secret = new Uint8Array(Buffer.from([0, 0x0d, 0x0a, 0xff, 0xfe, 0x80, ...randomBytes(26)]));
const context = {
  label: 'clef.artifact.v1',
  entries: [
    ['clef:identity', 'api-gateway'],
    ['clef:environment', 'production'],
  ],
} as const;

let folder: string;
let emulator: Emulator;
let kms: Kms;
let awsKey: KeyReference;
let gcpKey: KeyReference;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'clef-kms-peer-'));
  emulator = await startEmulator({ now: Date.now, randomBytes });
  kms = openKms({ environment: emulatorVariables(emulator) });
  awsKey = parseKeyReference(emulator.awsKey.reference);
  gcpKey = parseKeyReference(emulator.gcpKey.reference);
});
afterAll(async () => {
  await emulator.stop();
  rmSync(folder, { recursive: true });
});

const write = (name: string, bytes: Uint8Array | string): void => writeFileSync(join(folder, name), bytes);
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(join(folder, name)));

type Ran = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

/** In a folder that is also its home, with nothing else of our environment than PATH. */
async function run(
  environment: Readonly<Record<string, string | undefined>>,
  command: string,
  args: readonly string[],
): Promise<Ran> {
  const { exitCode, stdout, stderr } = await runChild({
    command,
    args,
    environment: { ...environment, PATH: process.env['PATH'], HOME: folder },
    cwd: folder,
    stdio: 'capture',
    timeoutSeconds: 60,
  });
  return { exitCode, stdout: Buffer.from(stdout).toString(), stderr: Buffer.from(stderr).toString() };
}

describe.runIf(hasPeer('aws'))('aws kms', () => {
  const shorthand = 'clef:identity=api-gateway,clef:environment=production';
  const aws = (operation: string, ...args: readonly string[]): Promise<Ran> =>
    run({ ...emulatorVariables(emulator), AWS_PAGER: '' }, 'aws', [
      'kms',
      operation,
      ...args,
      '--output=json',
    ]);
  const field = ({ stdout, stderr }: Ran, name: string): Uint8Array => {
    if (stdout === '') throw new Error(stderr);
    return new Uint8Array(Buffer.from((JSON.parse(stdout) as Record<string, string>)[name] ?? '', 'base64'));
  };

  it('decrypts what we wrapped, under the same context only', async () => {
    write('wrapped', await kms.wrap(awsKey, secret, context));
    const decrypt = (entries: string): Promise<Ran> =>
      aws('decrypt', '--ciphertext-blob=fileb://wrapped', `--encryption-context=${entries}`);
    expect(field(await decrypt(shorthand), 'Plaintext')).toEqual(secret);
    const refused = await decrypt(shorthand.replace('api-gateway', 'billing'));
    expect(refused.stderr).toContain('InvalidCiphertextException');
  });

  it('wraps what we decrypt, under the same context only', async () => {
    write('plaintext', secret);
    const made = await aws(
      'encrypt',
      `--key-id=${emulator.awsKey.arn}`,
      '--plaintext=fileb://plaintext',
      `--encryption-context=${shorthand}`,
    );
    const wrapped = field(made, 'CiphertextBlob');
    expect(await kms.unwrap(awsKey, wrapped, context)).toEqual(secret);
    await expect(kms.unwrap(awsKey, wrapped)).rejects.toMatchObject({ code: 'denied' });
  });
});

describe.runIf(hasPeer('gcloud'))('gcloud kms', () => {
  // Written out by hand from formats.md, "Wrapping".
  const aad = Buffer.from('clef.artifact.v1\0\0\0\0\x0bapi-gateway\0\0\0\x0aproduction', 'latin1');
  const gcloud = (operation: string, ...args: readonly string[]): Promise<Ran> => {
    write('token', emulator.administrator.gcpToken);
    const environment = {
      CLOUDSDK_CONFIG: join(folder, 'gcloud'),
      CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
      CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: join(folder, 'token'),
      CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: `${emulator.url}/`,
    };
    return run(environment, 'gcloud', ['kms', operation, `--key=${emulator.gcpKey.name}`, ...args]);
  };
  const decrypt = (aadFile: string): Promise<Ran> =>
    gcloud(
      'decrypt',
      '--ciphertext-file=wrapped',
      '--plaintext-file=opened',
      `--additional-authenticated-data-file=${aadFile}`,
    );

  beforeAll(() => {
    write('aad', aad);
    write('other', 'other');
  });

  it('decrypts what we wrapped, under the same additional data only', async () => {
    write('wrapped', await kms.wrap(gcpKey, secret, context));
    expect(await decrypt('aad')).toMatchObject({ exitCode: 0 });
    expect(read('opened')).toEqual(secret);
    expect((await decrypt('other')).stderr).toContain('INVALID_ARGUMENT');
  });

  it('wraps what we decrypt, under the same additional data only', async () => {
    write('plaintext', secret);
    const files = ['--plaintext-file=plaintext', '--ciphertext-file=sealed'];
    const made = await gcloud('encrypt', ...files, '--additional-authenticated-data-file=aad');
    expect(made).toMatchObject({ exitCode: 0 });
    expect(await kms.unwrap(gcpKey, read('sealed'), context)).toEqual(secret);
    await expect(kms.unwrap(gcpKey, read('sealed'))).rejects.toMatchObject({ code: 'denied' });
  });
});
