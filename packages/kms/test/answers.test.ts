// What the two clouds may answer, and what becomes of it: scripted replies on this machine, through the real clients.
import { crc32c } from '@clef/strict';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { additionalData } from '../src/additional-data.ts';
import {
  type KmsCode,
  type KmsContext,
  KmsError,
  type KmsSettings,
  openKms,
  parseKeyReference,
} from '../src/index.ts';
import {
  type Answer,
  breakOff,
  endless,
  hang,
  json,
  type ScriptedServer,
  startScriptedServer,
  text,
  trickle,
} from './scripted-server.ts';

const arn = 'arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-4cde-8f01-23456789abcd';
const awsKey = parseKeyReference(`awskms:///${arn}`);
const resource = 'projects/my-project/locations/global/keyRings/ring/cryptoKeys/key';
const gcpKey = parseKeyReference(`gcpkms://${resource}`);
const canary = 'canary-secret-text';
const plaintext = Buffer.from('the one-time key');
const wrapped = Buffer.from('a wrapped key');
const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');
const checksum = (bytes: Uint8Array): string => String(crc32c(bytes));

let server: ScriptedServer;
let environment: Readonly<Record<string, string>>;

beforeAll(async () => {
  server = await startScriptedServer();
  environment = {
    AWS_ENDPOINT_URL_KMS: server.url,
    AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'example',
    CLEF_GCP_KMS_ENDPOINT: server.url,
    GOOGLE_OAUTH_ACCESS_TOKEN: 'example-token',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await server.close();
});
beforeEach(() => server.answer(json(500, {})));

const open = (settings: Partial<KmsSettings> = {}): ReturnType<typeof openKms> =>
  openKms({ environment, attempts: 1, timeoutSeconds: 5, ...settings });

async function failure(call: Promise<unknown>): Promise<KmsError> {
  const error: unknown = await call.then(
    () => 'it succeeded',
    (cause: unknown) => cause,
  );
  if (!(error instanceof KmsError)) throw new Error(`No KmsError: ${String(error)}`, { cause: error });
  const shown = `${error.message} ${error.stack} ${String(error.cause)} ${JSON.stringify(error)}`;
  expect(shown, 'K02: no word of the service').not.toContain(canary);
  return error;
}

const noHttp: Answer = (response) => void response.socket?.end(`${canary}\r\n\r\n`);

type Row = readonly [title: string, answer: Answer, code: KmsCode];

describe('AWS', () => {
  const good = { KeyId: arn, Plaintext: base64(plaintext), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
  const refused = (type: string, status = 400): Answer => json(status, { __type: type, message: canary });

  it('sends the key, the context and a signature for the region of the key', async () => {
    server.answer(json(200, { KeyId: arn, CiphertextBlob: base64(wrapped) }));
    const context = {
      label: 'x',
      entries: [
        ['clef:identity', 'api-gateway'],
        ['clef:environment', 'production'],
      ],
    } as const;
    expect(await open().wrap(awsKey, plaintext, context)).toEqual(new Uint8Array(wrapped));
    const [question] = server.asked;
    expect(question?.body).toEqual({
      KeyId: arn,
      Plaintext: base64(plaintext),
      EncryptionContext: { 'clef:identity': 'api-gateway', 'clef:environment': 'production' },
    });
    expect(question?.headers['x-amz-target']).toBe('TrentService.Encrypt');
    expect(question?.headers['authorization']).toContain('/eu-west-1/kms/aws4_request');
  });

  it('asks to decrypt with the pinned key only, and without a context where there is none', async () => {
    server.answer(json(200, good));
    expect(await open().unwrap(awsKey, wrapped)).toEqual(new Uint8Array(plaintext));
    expect(server.asked[0]?.body).toEqual({ KeyId: arn, CiphertextBlob: base64(wrapped) });
  });

  const rows: readonly Row[] = [
    ['K01: {}', json(200, {}), 'mismatch'],
    ['K01: HTML', text(200, `<html>${canary}`), 'mismatch'],
    ['K01: another key', json(200, { ...good, KeyId: arn.replace('abcd', 'abce') }), 'mismatch'],
    ['INV-55: the key by its ID alone', json(200, { ...good, KeyId: arn.slice(-36) }), 'mismatch'],
    ['K01: no key', json(200, { Plaintext: good.Plaintext }), 'mismatch'],
    ['K01: a plaintext of 0 bytes', json(200, { ...good, Plaintext: '' }), 'mismatch'],
    [
      'K01: a plaintext of 4,097 bytes',
      json(200, { ...good, Plaintext: base64(new Uint8Array(4097)) }),
      'mismatch',
    ],
    ['K01: no plaintext', json(200, { KeyId: arn }), 'mismatch'],
    ['K01: base64 junk', json(200, { ...good, Plaintext: '!!!' }), 'mismatch'],
    ['K01: a number', json(200, { ...good, Plaintext: 5 }), 'mismatch'],
    ['K01: an object', json(200, { ...good, Plaintext: { canary } }), 'mismatch'],
    ['F-34: 10 MB', text(200, JSON.stringify({ ...good, more: 'x'.repeat(10_000_000) })), 'mismatch'],
    ['K02: an unknown error', refused('SomethingNewException'), 'unavailable'],
    ['K02: 400 without a body', text(400, ''), 'unavailable'],
    ['K02: 500 with text', text(500, canary), 'unavailable'],
    ['K02: 301', text(301, '', { location: 'http://127.0.0.1:1/' }), 'unavailable'],
    ['K02: an error with a hostile name', refused(`com.amazon#${canary}`), 'unavailable'],
    ['K02: an error named after a method of objects', refused('toString'), 'unavailable'],
    ['K02: 500 with HTML', text(500, `<html>${canary}`), 'unavailable'],
    ['K02: 403 that is not of AWS', text(403, `<html>${canary}`), 'unavailable'],
    ['K02: no HTTP at all', noHttp, 'unavailable'],
    ['F-32: throttled', refused('ThrottlingException'), 'throttled'],
    ['F-32: 429', text(429, ''), 'throttled'],
    ['F-33: access denied', refused('AccessDeniedException'), 'denied'],
    ['F-33: with its namespace', refused('com.amazonaws.kms#AccessDeniedException'), 'denied'],
    ['F-33: disabled', refused('DisabledException'), 'denied'],
    ['F-33: pending deletion', refused('KMSInvalidStateException'), 'denied'],
    ['F-33: no such key', refused('NotFoundException'), 'not_found'],
    ['INV-36: another context', refused('InvalidCiphertextException'), 'denied'],
    ['another key in the blob', refused('IncorrectKeyException'), 'denied'],
    ['a key that only signs', refused('InvalidKeyUsageException'), 'unsupported'],
    ['F-33: the role was deleted', refused('UnrecognizedClientException'), 'denied'],
    ['F-36: expired credentials', refused('ExpiredTokenException'), 'no_credentials'],
    ['F-36: a wrong secret key', refused('InvalidSignatureException'), 'no_credentials'],
    ['KMS itself', refused('KMSInternalException', 500), 'unavailable'],
    ['F-30: the connection breaks off', breakOff, 'unavailable'],
  ];
  it.each(rows)('%s', async (_, answer, code) => {
    server.answer(answer);
    expect(await failure(open().unwrap(awsKey, wrapped))).toMatchObject({ code, key: awsKey.text });
  });

  it('F-32: tries again what may heal', async () => {
    server.answer(refused('ThrottlingException'), refused('KMSInternalException', 500), json(200, good));
    expect(await open({ attempts: 3 }).unwrap(awsKey, wrapped)).toEqual(new Uint8Array(plaintext));
    expect(server.asked).toHaveLength(3);
  });

  const tries: readonly (readonly [title: string, answer: Answer, calls: number])[] = [
    ['F-32: throttled', refused('ThrottlingException'), 3],
    ['K02: 500', text(500, canary), 3],
    ['F-30: the connection breaks off', breakOff, 3],
    ['F-33: refused', refused('AccessDeniedException'), 1],
    ['F-33: no such key', refused('NotFoundException'), 1],
    ['F-36: expired', refused('ExpiredTokenException'), 1],
    ['K01: another key', json(200, { ...good, KeyId: 'x' }), 1],
    ['K01: HTML', text(200, '<html>'), 1],
  ];
  it.each(tries)('of three tries it makes as many as make sense: %s', async (_, answer, calls) => {
    server.answer(answer);
    await failure(open({ attempts: 3 }).unwrap(awsKey, wrapped));
    expect(server.asked).toHaveLength(calls);
  });
});

describe('Google Cloud', () => {
  const good = { plaintext: base64(plaintext), plaintextCrc32c: checksum(plaintext), usedPrimary: true };
  const wrapAnswer = {
    name: `${resource}/cryptoKeyVersions/1`,
    ciphertext: base64(wrapped),
    ciphertextCrc32c: checksum(wrapped),
    verifiedPlaintextCrc32c: true,
    verifiedAdditionalAuthenticatedDataCrc32c: true,
  };
  const context = {
    label: 'clef.artifact.v1',
    entries: [
      ['clef:version', '1'],
      ['clef:identity', 'ä'],
    ],
  } as const;
  const aad = Buffer.concat([
    Buffer.from('clef.artifact.v1\0'),
    Buffer.from([0, 0, 0, 1, 0x31, 0, 0, 0, 2, 0xc3, 0xa4]),
  ]);

  it('sends checksums of everything, and the context as length-prefixed bytes', async () => {
    server.answer(json(200, wrapAnswer));
    expect(await open().wrap(gcpKey, plaintext, context)).toEqual(new Uint8Array(wrapped));
    expect(server.asked[0]).toMatchObject({
      path: `/v1/${resource}:encrypt`,
      headers: { authorization: 'Bearer example-token' },
    });
    expect(server.asked[0]?.body).toEqual({
      plaintext: base64(plaintext),
      plaintextCrc32c: checksum(plaintext),
      additionalAuthenticatedData: base64(aad),
      additionalAuthenticatedDataCrc32c: checksum(aad),
    });
    server.answer(json(200, good));
    expect(await open().unwrap(gcpKey, wrapped, context)).toEqual(new Uint8Array(plaintext));
    expect(server.asked[0]?.body).toEqual({
      ciphertext: base64(wrapped),
      ciphertextCrc32c: checksum(wrapped),
      additionalAuthenticatedData: base64(aad),
      additionalAuthenticatedDataCrc32c: checksum(aad),
    });
  });

  const refused = (code: number, status: string, details: readonly object[] = []): Answer =>
    json(code, { error: { code, message: canary, status, details } });
  const disabledAccount = refused(401, 'UNAUTHENTICATED', [
    { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'ACCOUNT_STATE_INVALID' },
  ]);
  const changed = (changes: object): Answer => json(200, { ...good, ...changes });
  const unwrapRows: readonly Row[] = [
    ['K01: {}', json(200, {}), 'mismatch'],
    ['K01: a list', json(200, []), 'mismatch'],
    ['K01: HTML', text(200, `<html>${canary}`), 'mismatch'],
    ['K01: no plaintext', changed({ plaintext: undefined }), 'mismatch'],
    ['K01: an empty plaintext', changed({ plaintext: '', plaintextCrc32c: '0' }), 'mismatch'],
    ['K01: base64 junk', changed({ plaintext: '!!!' }), 'mismatch'],
    ['K01: a number', changed({ plaintext: 5 }), 'mismatch'],
    [
      'F-34: a duplicate key',
      text(200, JSON.stringify(good).replace('{', '{"plaintext":"AAAA",')),
      'mismatch',
    ],
    ['F-34: 10 MB', text(200, JSON.stringify({ ...good, more: 'x'.repeat(10_000_000) })), 'mismatch'],
    ['K03: no checksum', changed({ plaintextCrc32c: undefined }), 'mismatch'],
    ['K03: an empty checksum', changed({ plaintextCrc32c: '' }), 'mismatch'],
    ['K03: a checksum that does not fit', changed({ plaintextCrc32c: '1' }), 'mismatch'],
    ['K03: the checksum as a number', changed({ plaintextCrc32c: crc32c(plaintext) }), 'mismatch'],
    ['K03: a checksum in hex', changed({ plaintextCrc32c: crc32c(plaintext).toString(16) }), 'mismatch'],
    ['F-36: 401', json(401, { error: { status: 'UNAUTHENTICATED', message: canary } }), 'no_credentials'],
    ['F-33: 403', json(403, { error: { status: 'PERMISSION_DENIED', message: canary } }), 'denied'],
    ['F-33: 404', json(404, { error: { status: 'NOT_FOUND', message: canary } }), 'not_found'],
    ['INV-36: another context', refused(400, 'INVALID_ARGUMENT'), 'denied'],
    ['F-33: disabled', refused(400, 'FAILED_PRECONDITION'), 'denied'],
    ['F-33: 401, as the account was disabled', disabledAccount, 'denied'],
    ['K02: a refusal of an unknown kind', refused(400, canary), 'unavailable'],
    ['K02: 400 without a body', text(400, ''), 'unavailable'],
    ['K02: an error that is text', json(403, { error: canary }), 'unavailable'],
    ['K02: 204', text(204, ''), 'unavailable'],
    ['K02: no HTTP at all', noHttp, 'unavailable'],
    ['a 403 that is not of Google', text(403, canary), 'unavailable'],
    ['a 404 that is not of Google', text(404, '<html>'), 'unavailable'],
    ['F-32: 429', text(429, canary), 'throttled'],
    ['K02: 500 with text', text(500, canary), 'unavailable'],
    ['K02: 301', text(301, '', { location: 'http://127.0.0.1:1/' }), 'unavailable'],
    ['F-30: the connection breaks off', breakOff, 'unavailable'],
  ];
  it.each(unwrapRows)('%s', async (_, answer, code) => {
    server.answer(answer);
    expect(await failure(open().unwrap(gcpKey, wrapped))).toMatchObject({ code, key: gcpKey.text });
  });

  const wrapRows: readonly (readonly [title: string, changes: object])[] = [
    ['K01: another key', { name: `${resource}2/cryptoKeyVersions/1` }],
    ['K01: a key of another project', { name: wrapAnswer.name.replace('my-project', 'my-profile') }],
    ['K01: no version of a key', { name: `${resource}/cryptoKeyVersions/x` }],
    ['K01: no key', { name: undefined }],
    ['F-35: the plaintext is not said to be verified', { verifiedPlaintextCrc32c: undefined }],
    ['F-35: the plaintext is said not to be verified', { verifiedPlaintextCrc32c: false }],
    ['F-35: "true" is not true', { verifiedPlaintextCrc32c: 'true' }],
    [
      'F-35: the additional data is not said to be verified',
      { verifiedAdditionalAuthenticatedDataCrc32c: false },
    ],
    ['K03: the checksum of the answer does not fit', { ciphertextCrc32c: '1' }],
  ];
  it.each(wrapRows)('%s', async (_, changes) => {
    server.answer(json(200, { ...wrapAnswer, ...changes }));
    expect(await failure(open().wrap(gcpKey, plaintext, context))).toMatchObject({ code: 'mismatch' });
  });

  it('F-35, K03: an answer that does not fit is asked for once more, and no more', async () => {
    server.answer(json(200, { ...good, plaintextCrc32c: '1' }), json(200, good));
    expect(await open({ attempts: 3, random: () => 0 }).unwrap(gcpKey, wrapped)).toEqual(
      new Uint8Array(plaintext),
    );
    server.answer(json(200, { ...good, plaintextCrc32c: '1' }));
    await failure(open({ attempts: 3, random: () => 0 }).unwrap(gcpKey, wrapped));
    expect(server.asked).toHaveLength(2);
  });

  const tries: readonly (readonly [title: string, answer: Answer, calls: number])[] = [
    ['F-32: throttled', text(429, ''), 3],
    ['K02: 500', text(500, canary), 3],
    ['F-30: the connection breaks off', breakOff, 3],
    ['F-33: refused', refused(403, 'PERMISSION_DENIED'), 1],
    ['F-33: no such key', refused(404, 'NOT_FOUND'), 1],
    ['F-36: expired', refused(401, 'UNAUTHENTICATED'), 1],
    ['F-34: HTML', text(200, '<html>'), 2],
  ];
  it.each(tries)('of three tries it makes as many as make sense: %s', async (_, answer, calls) => {
    server.answer(answer);
    await failure(open({ attempts: 3, random: () => 0 }).unwrap(gcpKey, wrapped));
    expect(server.asked).toHaveLength(calls);
  });

  it('pauses by chance: a share of 0.4 s, then of 0.8 s', async () => {
    server.answer(text(503, ''));
    const before = performance.now();
    await failure(open({ attempts: 3, random: () => 0.5 }).unwrap(gcpKey, wrapped));
    expect(performance.now() - before).toBeGreaterThan(590);
  });

  it('a token with a line break is no credential, and goes nowhere', async () => {
    const kms = open({ environment: { ...environment, GOOGLE_OAUTH_ACCESS_TOKEN: `${canary}\r\nHost: x` } });
    expect(await failure(kms.unwrap(gcpKey, wrapped))).toMatchObject({ code: 'no_credentials' });
    expect(server.asked).toHaveLength(0);
  });

  it('F-32: waits as long as it is told to', async () => {
    server.answer(text(429, '', { 'retry-after': '1' }), json(200, good));
    const before = performance.now();
    await open({ attempts: 3, random: () => 0 }).unwrap(gcpKey, wrapped);
    expect(performance.now() - before).toBeGreaterThan(950);
  });

  it('F-32: gives up at once when told to wait for longer than a call may take', async () => {
    server.answer(text(429, '', { 'retry-after': '600' }));
    expect(await failure(open({ attempts: 3, random: () => 0 }).unwrap(gcpKey, wrapped))).toMatchObject({
      code: 'throttled',
    });
    expect(server.asked).toHaveLength(1);
  });

  it('a key version is for signing, and wraps nothing', async () => {
    const version = parseKeyReference(`gcpkms://${resource}/cryptoKeyVersions/1`);
    expect(await failure(open().wrap(version, plaintext))).toMatchObject({ code: 'unsupported' });
    expect(server.asked).toHaveLength(0);
  });
});

describe('additional data (formats.md, "Wrapping")', () => {
  const bytes = (label: string, hex: string): Uint8Array =>
    new Uint8Array(Buffer.concat([Buffer.from(label), Buffer.from(hex.replaceAll(' ', ''), 'hex')]));
  const vectors: readonly (readonly [title: string, context: KmsContext, wanted: Uint8Array | undefined])[] =
    [
      ['none', { label: '', entries: [] }, undefined],
      ['a label alone', { label: 'a', entries: [] }, bytes('a', '00')],
      ['an empty value', { label: 'a', entries: [['n', '']] }, bytes('a', '00 00000000')],
      ['a NUL', { label: 'a', entries: [['n', '\0']] }, bytes('a', '00 00000001 00')],
      [
        'one character of four bytes',
        { label: 'a', entries: [['n', '\u{1f511}']] },
        bytes('a', '00 00000004 f09f9491'),
      ],
      [
        'two values are not their sum',
        {
          label: 'a',
          entries: [
            ['n', '12'],
            ['m', '3'],
          ],
        },
        bytes('a', '00 00000002 3132 00000001 33'),
      ],
      [
        '256 bytes',
        { label: 'clef.artifact.v1', entries: [['n', 'x'.repeat(256)]] },
        bytes('clef.artifact.v1', `00 00000100 ${'78'.repeat(256)}`),
      ],
    ];
  it.each(vectors)('%s', (_, context, wanted) => {
    expect(additionalData(context)).toEqual(wanted);
  });

  it('is none without a context', () => {
    expect(additionalData(undefined)).toBeUndefined();
  });
});

describe.each([
  ['AWS', awsKey],
  ['Google Cloud', gcpKey],
])('%s', (_, key) => {
  it.each([
    ['F-31: never answers', hang],
    ['F-31: trickles', trickle],
  ])('%s', async (__, answer) => {
    server.answer(answer);
    const before = performance.now();
    expect(await failure(open({ timeoutSeconds: 0.6, attempts: 2 }).unwrap(key, wrapped))).toMatchObject({
      code: 'unavailable',
    });
    expect(performance.now() - before).toBeLessThan(15_000);
  });

  it('INV-58: a redirect is not followed', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      server.answer(json(status, {}, { location: `${server.url}/elsewhere` }));
      expect(await failure(open().unwrap(key, wrapped))).toMatchObject({ code: 'unavailable' });
      expect(server.asked.map(({ path }) => path)).toEqual([expect.not.stringContaining('elsewhere')]);
    }
  });

  it('F-34: reads 64 KiB of an answer and no more', async () => {
    const good = JSON.stringify({
      KeyId: arn,
      Plaintext: base64(plaintext),
      plaintext: base64(plaintext),
      plaintextCrc32c: checksum(plaintext),
    });
    server.answer(text(200, good.padEnd(65_536)), text(200, good.padEnd(65_537)));
    expect(await open().unwrap(key, wrapped)).toEqual(new Uint8Array(plaintext));
    expect(await failure(open().unwrap(key, wrapped))).toMatchObject({ code: 'mismatch' });
  });

  it('F-34: does not read an answer without an end', async () => {
    let sent = (): number => 0;
    server.answer((response, asked) => {
      const { socket } = response;
      sent = () => socket?.bytesWritten ?? 0;
      endless(response, asked);
    });
    expect(await failure(open().unwrap(key, wrapped))).toMatchObject({ code: 'mismatch' });
    // What is on its way when the connection is given up is in buffers of the system.
    expect(sent()).toBeLessThan(32 * 1024 * 1024);
  });

  it('F-30: nobody listens', async () => {
    const nobody = {
      AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:1',
      CLEF_GCP_KMS_ENDPOINT: 'http://127.0.0.1:1',
    };
    const kms = open({ environment: { ...environment, ...nobody } });
    expect(await failure(kms.unwrap(key, wrapped))).toMatchObject({ code: 'unavailable' });
  });

  it('what no KMS can have wrapped is not sent', async () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(10_000)]) {
      expect(await failure(open().unwrap(key, bytes))).toBeInstanceOf(KmsError);
    }
    await expect(open().wrap(key, new Uint8Array(4097))).rejects.toThrow(RangeError);
    await expect(open().wrap(key, new Uint8Array(0))).rejects.toThrow(RangeError);
    expect(server.asked).toHaveLength(0);
  });
});

describe('INV-111: endpoints', () => {
  const refusedValues = [
    'http://10.0.0.1',
    'http://169.254.169.254',
    'http://0.0.0.0:4566',
    'http://127.0.0.1.example.com',
    'http://example.com',
    'http://notlocalhost',
    'ftp://127.0.0.1',
    'file:///etc/passwd',
    'https://user:password@example.com',
    'https://:password@example.com',
    'https://example.com/#x',
    'https://example.com/?x=1',
    '127.0.0.1:4566',
    'not an address',
  ];
  const variables = [
    ['AWS_ENDPOINT_URL_KMS', awsKey],
    ['AWS_ENDPOINT_URL', awsKey],
    ['AWS_ENDPOINT_URL_STS', awsKey],
    ['CLEF_GCP_KMS_ENDPOINT', gcpKey],
  ] as const;
  const rows = variables.flatMap(([name, key]) => refusedValues.map((value) => [name, value, key] as const));
  it.each(rows)('H15: %s=%s', async (name, value, key) => {
    const kms = open({ environment: { ...environment, [name]: value } });
    const error = await failure(kms.wrap(key, plaintext));
    expect(error).toMatchObject({ code: 'bad_endpoint' });
    expect(error.message).toContain(name);
    expect(await failure(kms.unwrap(key, wrapped)), 'a later call').toMatchObject({ code: 'bad_endpoint' });
    expect(server.asked).toHaveLength(0);
  });

  it('a provider that could not be opened is opened by a later call', async () => {
    const changing = { ...environment, AWS_ENDPOINT_URL_KMS: 'http://10.0.0.1' };
    const kms = open({ environment: changing });
    expect(await failure(kms.unwrap(awsKey, wrapped))).toMatchObject({ code: 'bad_endpoint' });
    changing.AWS_ENDPOINT_URL_KMS = server.url;
    expect(await failure(kms.unwrap(awsKey, wrapped))).toMatchObject({ code: 'unavailable' });
  });

  it.each([
    ['AWS_ENDPOINT_URL_KMS', awsKey],
    ['CLEF_GCP_KMS_ENDPOINT', gcpKey],
  ] as const)('%s on this machine is used and said, once', async (name, key) => {
    const notes: string[] = [];
    const kms = open({ notify: (message) => notes.push(message) });
    await failure(kms.unwrap(key, wrapped));
    await failure(kms.unwrap(key, wrapped));
    expect(notes).toEqual([expect.stringContaining(name)]);
    expect(server.asked).toHaveLength(2);
  });
});

describe('keys that cannot wrap', () => {
  it.each(['age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg', `pgp:${'0A'.repeat(20)}`])(
    '%s',
    async (reference) => {
      const error = await failure(open().wrap(parseKeyReference(reference), plaintext));
      expect(error).toMatchObject({ code: 'unsupported', key: reference });
    },
  );
});
