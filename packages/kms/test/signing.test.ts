// Keys that sign: both clouds on the emulator, and every answer that must not become a signature.
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { type Emulator, emulatorVariables, startEmulator } from '@clef/emulator';
import { crc32c } from '@clef/strict';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  type KeyReference,
  type Kms,
  type KmsCode,
  openKms,
  parseKeyReference,
  type SigningKms,
  type VerifyingKey,
} from '../src/index.ts';
import { type Answer, json, type ScriptedServer, startScriptedServer, text } from './scripted-server.ts';

const message = Buffer.from('what is signed');
const digest = createHash('sha256').update(message).digest();
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const checksum = (bytes: Uint8Array | string): string => String(crc32c(Buffer.from(bytes)));

function isSigned({ spki }: VerifyingKey, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  return verify('sha256', message, { key, dsaEncoding: 'der' }, signature);
}

describe('on the emulator', () => {
  let emulator: Emulator;
  let kms: Kms & SigningKms;
  const keys: Partial<Record<string, KeyReference>> = {};
  const keyOf = (cloud: string): KeyReference => keys[cloud] as KeyReference;

  beforeAll(async () => {
    emulator = await startEmulator({ now: Date.now, randomBytes });
    kms = openKms({ environment: emulatorVariables(emulator) });
    const gcpName = `${emulator.gcpKey.name}-signing`;
    keys['AWS'] = parseKeyReference((await emulator.createKey({ use: 'sign' })).reference);
    keys['Google Cloud'] = parseKeyReference((await emulator.createGcpKey(gcpName, 'sign')).reference);
  });
  afterAll(() => emulator.stop());

  it.each(['AWS', 'Google Cloud'])('%s: signs what its public half verifies', async (cloud) => {
    const publicKey = await kms.publicKey(keyOf(cloud));
    expect(publicKey.kind).toBe('p256');
    expect(isSigned(publicKey, await kms.sign(keyOf(cloud), message))).toBe(true);
    const long = await kms.sign(keyOf(cloud), randomBytes(1_000_000));
    expect(long[0], 'a DER sequence').toBe(0x30);
  });

  it('asks for the public half once, and sends the digest only', async () => {
    const before = emulator.calls();
    await Promise.all([1, 2, 3].map(() => kms.sign(keyOf('AWS'), message)));
    const after = emulator.calls();
    expect((after['aws.Sign'] ?? 0) - (before['aws.Sign'] ?? 0)).toBe(3);
    expect(after['aws.GetPublicKey']).toBe(before['aws.GetPublicKey']);
  });

  it.each([
    ['an AWS key that wraps', () => parseKeyReference(emulator.awsKey.reference), 'unsupported'],
    [
      'a Google Cloud key without its version',
      () => parseKeyReference(emulator.gcpKey.reference),
      'unsupported',
    ],
    [
      'a Google Cloud key that wraps',
      () => parseKeyReference(`${emulator.gcpKey.reference}/cryptoKeyVersions/1`),
      'denied',
    ],
    [
      'an unknown version',
      () => parseKeyReference(keyOf('Google Cloud').text.replace(/1$/, '7')),
      'not_found',
    ],
    [
      'an Azure key',
      () => parseKeyReference(`azurekms://v-a.vault.azure.net/k/${'0'.repeat(32)}`),
      'unsupported',
    ],
    ['a Vault key', () => parseKeyReference('hashivault://transit/k'), 'unsupported'],
    ['a public key', () => keyOf('public'), 'unsupported'],
  ] as const)('does not sign with %s', async (_, key, code) => {
    keys['public'] ??= await kms.publicKey(keyOf('AWS'));
    const environment = { ...emulatorVariables(emulator), VAULT_ADDR: emulator.url };
    const call = openKms({ environment, attempts: 1 }).sign(key(), message);
    await expect(call).rejects.toMatchObject({ name: 'KmsError', code, key: key().text });
  });

  it('a key that signs does not wrap', async () => {
    await expect(kms.wrap(keyOf('AWS'), randomBytes(32))).rejects.toMatchObject({ code: 'unsupported' });
    await expect(kms.wrap(keyOf('Google Cloud'), randomBytes(32))).rejects.toMatchObject({
      code: 'unsupported',
    });
  });

  it.each([
    ['ec2', 'AWS'],
    ['gce', 'Google Cloud'],
  ] as const)('a role signs where it may, and no longer when it may not (%s)', async (_, cloud) => {
    const role = cloud === 'AWS' ? 'signs-on-aws' : 'signs-on-gcp';
    await emulator.createRole(role);
    const key = keyOf(cloud);
    const name = key.kind === 'awskms' ? key.arn : key.kind === 'gcpkms' ? key.resource : '';
    const asRole = async (): Promise<Uint8Array> => {
      const { sign: signAs } = openKms({ environment: emulator.session(role) });
      return await signAs(key, message);
    };
    await expect(asRole()).rejects.toMatchObject({ code: 'denied' });
    await emulator.allowRole({ role, key: name, may: 'sign' });
    expect(isSigned(await kms.publicKey(key), await asRole())).toBe(true);
    await emulator.revokeRole(role);
    await expect(asRole()).rejects.toMatchObject({ code: 'denied' });
  });
});

describe('what a cloud may answer', () => {
  const arn = 'arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-4cde-8f01-23456789abcd';
  const name = 'projects/my-project/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/3';
  const own = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const spkiOf = ({ publicKey }: typeof own): Uint8Array => publicKey.export({ format: 'der', type: 'spki' });
  const pemOf = ({ publicKey }: typeof own): string =>
    publicKey.export({ format: 'pem', type: 'spki' }) as string;
  const signedBy = ({ privateKey }: typeof own, what: Uint8Array = message): Uint8Array =>
    sign('sha256', what, { key: privateKey, dsaEncoding: 'der' });
  const raw = sign('sha256', message, { key: own.privateKey, dsaEncoding: 'ieee-p1363' });
  const signature = signedBy(own);
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
    for (const [variable, value] of Object.entries(environment)) vi.stubEnv(variable, value);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server.close();
  });

  /** Answers to the question for the public key with one, to the question for a signature with the other. */
  function answers(publicKey: Answer, signing: Answer): Answer {
    return (response, asked) => {
      const isPublic =
        asked.path.endsWith('/publicKey') || asked.headers['x-amz-target'] === 'TrentService.GetPublicKey';
      (isPublic ? publicKey : signing)(response, asked);
    };
  }

  async function codeOf(key: KeyReference, publicKey: Answer, signing: Answer): Promise<KmsCode | 'signed'> {
    const answer = answers(publicKey, signing);
    server.answer(answer);
    const kms = openKms({ environment, attempts: 1, timeoutSeconds: 5 });
    return kms.sign(key, message).then(
      () => 'signed' as const,
      (error: { code: KmsCode }) => error.code,
    );
  }

  const awsKey = parseKeyReference(`awskms:///${arn}`);
  const awsSigned = {
    KeyId: arn,
    Signature: base64(signature),
    SigningAlgorithm: 'ECDSA_SHA_256',
  };
  const awsPublic = {
    KeyId: arn,
    PublicKey: base64(spkiOf(own)),
    KeySpec: 'ECC_NIST_P256',
    KeyUsage: 'SIGN_VERIFY',
    SigningAlgorithms: ['ECDSA_SHA_256'],
  };

  it('AWS: sends the digest as a digest', async () => {
    expect(await codeOf(awsKey, json(200, awsPublic), json(200, awsSigned))).toBe('signed');
    const question = server.asked.find(({ headers }) => headers['x-amz-target'] === 'TrentService.Sign');
    expect(question?.body).toEqual({
      KeyId: arn,
      Message: base64(digest),
      MessageType: 'DIGEST',
      SigningAlgorithm: 'ECDSA_SHA_256',
    });
  });

  it.each([
    ['K01: {}', {}, 'mismatch'],
    ['K01: another key', { ...awsSigned, KeyId: arn.replace('abcd', 'abce') }, 'mismatch'],
    ['K01: no signature', { ...awsSigned, Signature: '' }, 'mismatch'],
    ['K01: base64 junk', { ...awsSigned, Signature: '!!!' }, 'mismatch'],
    ['K01: 4,097 bytes', { ...awsSigned, Signature: base64(new Uint8Array(4097)) }, 'mismatch'],
    ['another algorithm', { ...awsSigned, SigningAlgorithm: 'ECDSA_SHA_384' }, 'mismatch'],
    [
      'a signature over the digest of the digest',
      { ...awsSigned, Signature: base64(signedBy(own, digest)) },
      'mismatch',
    ],
    ['a signature of another key', { ...awsSigned, Signature: base64(signedBy(other)) }, 'mismatch'],
    ['a signature that is not DER', { ...awsSigned, Signature: base64(raw) }, 'mismatch'],
    [
      'a byte too many',
      { ...awsSigned, Signature: base64(Buffer.concat([signature, Buffer.of(0)])) },
      'mismatch',
    ],
  ] as const)('AWS: %s is no signature', async (_, signing, code) => {
    expect(await codeOf(awsKey, json(200, awsPublic), json(200, signing))).toBe(code);
  });

  it.each([
    ['K01: {}', {}, 'mismatch'],
    ['K01: another key', { ...awsPublic, KeyId: 'x' }, 'mismatch'],
    ['K01: base64 junk', { ...awsPublic, PublicKey: base64(randomBytes(91)) }, 'mismatch'],
    ['a key of P-384 under another name', { ...awsPublic, PublicKey: base64(spkiOf(p384)) }, 'mismatch'],
    ['a key of P-384', { ...awsPublic, KeySpec: 'ECC_NIST_P384' }, 'unsupported'],
    ['a key for agreement', { ...awsPublic, KeyUsage: 'KEY_AGREEMENT' }, 'unsupported'],
    ['the public key of another', { ...awsPublic, PublicKey: base64(spkiOf(other)) }, 'mismatch'],
  ] as const)('AWS: %s is no public key to it', async (_, publicKey, code) => {
    expect(await codeOf(awsKey, json(200, publicKey), json(200, awsSigned))).toBe(code);
  });

  const gcpKey = parseKeyReference(`gcpkms://${name}`);
  const gcpSigned = {
    name,
    signature: base64(signature),
    signatureCrc32c: checksum(signature),
    verifiedDigestCrc32c: true,
  };
  const gcpPublic = {
    name,
    pem: pemOf(own),
    pemCrc32c: checksum(pemOf(own)),
    algorithm: 'EC_SIGN_P256_SHA256',
  };
  const forged = signedBy(other);

  it('Google Cloud: sends the digest with its checksum, to the version', async () => {
    expect(await codeOf(gcpKey, json(200, gcpPublic), json(200, gcpSigned))).toBe('signed');
    const question = server.asked.find(({ path }) => path.endsWith(':asymmetricSign'));
    expect(question?.path).toBe(`/v1/${name}:asymmetricSign`);
    expect(question?.body).toEqual({ digest: { sha256: base64(digest) }, digestCrc32c: checksum(digest) });
  });

  it.each([
    ['K01: {}', {}, 'mismatch'],
    ['K01: another version', { ...gcpSigned, name: name.replace(/3$/, '4') }, 'mismatch'],
    ['K03: no checksum', { ...gcpSigned, signatureCrc32c: undefined }, 'mismatch'],
    ['K03: another checksum', { ...gcpSigned, signatureCrc32c: '1' }, 'mismatch'],
    [
      'F-35: the digest is not said to be verified',
      { ...gcpSigned, verifiedDigestCrc32c: false },
      'mismatch',
    ],
    [
      'a signature of another key',
      { ...gcpSigned, signature: base64(forged), signatureCrc32c: checksum(forged) },
      'mismatch',
    ],
  ] as const)('Google Cloud: %s is no signature', async (_, signing, code) => {
    expect(await codeOf(gcpKey, json(200, gcpPublic), json(200, signing))).toBe(code);
  });

  it.each([
    ['K01: another key', { ...gcpPublic, name: `${name}1` }, 'mismatch'],
    ['K03: no checksum', { ...gcpPublic, pemCrc32c: undefined }, 'mismatch'],
    ['K03: another checksum', { ...gcpPublic, pemCrc32c: '1' }, 'mismatch'],
    ['K01: a PEM of something else', { ...gcpPublic, pem: 'x', pemCrc32c: checksum('x') }, 'mismatch'],
    ['a key of P-384', { ...gcpPublic, algorithm: 'EC_SIGN_P384_SHA384' }, 'unsupported'],
    [
      'a key of P-384 under another name',
      { ...gcpPublic, pem: pemOf(p384), pemCrc32c: checksum(pemOf(p384)) },
      'mismatch',
    ],
  ] as const)('Google Cloud: %s is no public key to it', async (_, publicKey, code) => {
    expect(await codeOf(gcpKey, json(200, publicKey), json(200, gcpSigned))).toBe(code);
  });

  it('K02: a refusal of either question is told apart, and no word of it is shown', async () => {
    const canary = 'canary-secret-text';
    const refused = json(400, { __type: 'AccessDeniedException', message: canary });
    for (const [publicKey, signing] of [
      [refused, json(200, awsSigned)],
      [json(200, awsPublic), refused],
    ] as const) {
      server.answer(answers(publicKey, signing));
      const error: unknown = await openKms({ environment, attempts: 1 })
        .sign(awsKey, message)
        .catch((cause: unknown) => cause);
      expect(error).toMatchObject({ code: 'denied' });
      expect(String((error as Error).stack)).not.toContain(canary);
    }
    expect(await codeOf(awsKey, text(500, canary), json(200, awsSigned))).toBe('unavailable');
  });
});
