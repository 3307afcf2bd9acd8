// Keys that sign, over the wire in both clouds, and ReEncrypt: what is answered, and what is refused.
import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { crc32c } from '@clef/strict';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Emulator } from '../src/index.ts';
import { emulator } from './emulated.ts';
import { callAws, callGcp } from './wire.ts';

const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');
const message = Buffer.from('what is signed');
const digest = createHash('sha256').update(message).digest();
const SigningAlgorithm = 'ECDSA_SHA_256';

let cloud: Emulator;
let KeyId: string;
let version: string;
beforeAll(async () => {
  cloud = await emulator();
  KeyId = (await cloud.createKey({ use: 'sign' })).arn;
  const { reference } = await cloud.createGcpKey(`${cloud.gcpKey.name}-signing`, 'sign');
  version = reference.slice('gcpkms://'.length);
});

const bytesOf = (answer: { readonly body: Record<string, unknown> }, field: string): Buffer =>
  Buffer.from(String(answer.body[field]), 'base64');

function isSigned(spki: Uint8Array | string, what: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey(
    typeof spki === 'string' ? spki : { key: Buffer.from(spki), format: 'der', type: 'spki' },
  );
  return verify('sha256', what, { key, dsaEncoding: 'der' }, signature);
}

describe('AWS', () => {
  const publicKey = async (): Promise<Buffer> =>
    bytesOf(await callAws(cloud, 'GetPublicKey', { KeyId }), 'PublicKey');

  it('a DIGEST is signed as it is, a RAW message is hashed', async () => {
    const spki = await publicKey();
    const ask = (Message: Uint8Array, MessageType?: string) =>
      callAws(cloud, 'Sign', { KeyId, Message: base64(Message), MessageType, SigningAlgorithm });
    expect(isSigned(spki, message, bytesOf(await ask(digest, 'DIGEST'), 'Signature'))).toBe(true);
    expect(isSigned(spki, message, bytesOf(await ask(message, 'RAW'), 'Signature'))).toBe(true);
    expect(isSigned(spki, message, bytesOf(await ask(message), 'Signature'))).toBe(true);
    expect(isSigned(spki, message, bytesOf(await ask(digest, 'RAW'), 'Signature'))).toBe(false);
  });

  it('Verify takes what Sign gave, and only with what was signed', async () => {
    const signed = await callAws(cloud, 'Sign', { KeyId, Message: base64(message), SigningAlgorithm });
    const Signature = signed.body['Signature'];
    const ask = (body: object) => callAws(cloud, 'Verify', { KeyId, Signature, SigningAlgorithm, ...body });
    expect((await ask({ Message: base64(message) })).body).toEqual({
      KeyId,
      SignatureValid: true,
      SigningAlgorithm,
    });
    expect((await ask({ Message: base64(digest), MessageType: 'DIGEST' })).status).toBe(200);
    const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
    for (const body of [
      { Message: base64('something else') },
      { Message: base64(message), Signature: base64('no DER') },
      { Message: base64(message), Signature: base64(sign('sha256', message, other)) },
    ])
      expect((await ask(body)).body['__type']).toBe('KMSInvalidSignatureException');
  });

  it('a key for signing is made over the wire, and says what it is', async () => {
    const made = await callAws(cloud, 'CreateKey', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    const metadata = made.body['KeyMetadata'] as Record<string, unknown>;
    expect(metadata).toMatchObject({
      KeySpec: 'ECC_NIST_P256',
      KeyUsage: 'SIGN_VERIFY',
      SigningAlgorithms: ['ECDSA_SHA_256'],
    });
    expect(metadata).not.toHaveProperty('EncryptionAlgorithms');
    expect((await callAws(cloud, 'GetPublicKey', { KeyId: metadata['KeyId'] })).body).toMatchObject({
      KeyId: metadata['Arn'],
      KeySpec: 'ECC_NIST_P256',
      KeyUsage: 'SIGN_VERIFY',
    });
  });

  const proper = { Message: base64(digest), MessageType: 'DIGEST', SigningAlgorithm };
  const rows: readonly (readonly [string, string, () => object, string])[] = [
    ['an ECC key without a usage', 'CreateKey', () => ({ KeySpec: 'ECC_NIST_P256' }), 'ValidationException'],
    ['a symmetric key that signs', 'CreateKey', () => ({ KeyUsage: 'SIGN_VERIFY' }), 'ValidationException'],
    [
      'P-384',
      'CreateKey',
      () => ({ KeySpec: 'ECC_NIST_P384', KeyUsage: 'SIGN_VERIFY' }),
      'ValidationException',
    ],
    [
      'a digest of 31 bytes',
      'Sign',
      () => ({ ...proper, KeyId, Message: base64(digest.subarray(1)) }),
      'ValidationException',
    ],
    ['no message', 'Sign', () => ({ KeyId, SigningAlgorithm }), 'ValidationException'],
    [
      '4,097 bytes',
      'Sign',
      () => ({ KeyId, SigningAlgorithm, Message: base64(new Uint8Array(4097)) }),
      'ValidationException',
    ],
    ['no algorithm', 'Sign', () => ({ KeyId, Message: base64(message) }), 'ValidationException'],
    [
      'an unknown algorithm',
      'Sign',
      () => ({ ...proper, KeyId, SigningAlgorithm: 'x' }),
      'ValidationException',
    ],
    [
      'the algorithm of another key',
      'Sign',
      () => ({ ...proper, KeyId, SigningAlgorithm: 'RSASSA_PSS_SHA_256' }),
      'InvalidKeyUsageException',
    ],
    [
      'an unknown type of message',
      'Sign',
      () => ({ ...proper, KeyId, MessageType: 'x' }),
      'ValidationException',
    ],
    ['a dry run', 'Sign', () => ({ ...proper, KeyId, DryRun: true }), 'UnsupportedOperationException'],
    [
      'signing with a key that wraps',
      'Sign',
      () => ({ ...proper, KeyId: 'alias/clef' }),
      'InvalidKeyUsageException',
    ],
    [
      'wrapping with a key that signs',
      'Encrypt',
      () => ({ KeyId, Plaintext: base64('x') }),
      'InvalidKeyUsageException',
    ],
    [
      'the public half of a symmetric key',
      'GetPublicKey',
      () => ({ KeyId: 'alias/clef' }),
      'UnsupportedOperationException',
    ],
  ];
  it.each(rows)('refuses %s (%s)', async (_, operation, body, error) => {
    expect((await callAws(cloud, operation, body())).body['__type']).toBe(error);
  });

  it('the policy of the key decides on each of the new actions', async () => {
    const target = await cloud.createKey();
    await cloud.createRole('worker');
    const session = cloud.session('worker');
    const caller = {
      accessKeyId: session['AWS_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: session['AWS_SECRET_ACCESS_KEY'] ?? '',
      sessionToken: session['AWS_SESSION_TOKEN'] ?? '',
    };
    const blob = await callAws(cloud, 'Encrypt', { KeyId: 'alias/clef', Plaintext: base64('x') });
    const signature = await callAws(cloud, 'Sign', { ...proper, KeyId });
    const asked = [
      ['Sign', 'kms:Sign', { ...proper, KeyId }],
      ['Verify', 'kms:Verify', { ...proper, KeyId, Signature: signature.body['Signature'] }],
      ['GetPublicKey', 'kms:GetPublicKey', { KeyId }],
      [
        'ReEncrypt',
        'kms:ReEncrypt*',
        { CiphertextBlob: blob.body['CiphertextBlob'], DestinationKeyId: target.arn },
      ],
    ] as const;
    const allow = (Action: string) => ({
      Statement: { Effect: 'Allow', Principal: { AWS: '*' }, Action, Resource: '*' },
    });
    for (const [operation, action, body] of asked) {
      for (const arn of [KeyId, target.arn, cloud.awsKey.arn]) {
        await cloud.putKeyPolicy(arn, allow('kms:DescribeKey'));
      }
      expect((await callAws(cloud, operation, body, caller)).body['__type'], operation).toBe(
        'AccessDeniedException',
      );
      for (const arn of [KeyId, target.arn, cloud.awsKey.arn]) await cloud.putKeyPolicy(arn, allow(action));
      expect((await callAws(cloud, operation, body, caller)).status, operation).toBe(200);
    }
  });

  it('ReEncrypt changes the key and the context, without showing the plaintext', async () => {
    const target = (await cloud.createKey()).arn;
    const from = { a: '1' };
    const blob = await callAws(cloud, 'Encrypt', {
      KeyId: 'alias/clef',
      Plaintext: base64('x'),
      EncryptionContext: from,
    });
    const ask = (SourceEncryptionContext?: object) =>
      callAws(cloud, 'ReEncrypt', {
        CiphertextBlob: blob.body['CiphertextBlob'],
        SourceEncryptionContext,
        DestinationKeyId: target,
        DestinationEncryptionContext: { b: '2' },
      });
    expect((await ask()).body['__type']).toBe('InvalidCiphertextException');
    const moved = await ask(from);
    expect(moved.body).toMatchObject({ KeyId: target, SourceKeyId: cloud.awsKey.arn });
    expect(moved.text).not.toContain(base64('x'));
    const open = (EncryptionContext: object) =>
      callAws(cloud, 'Decrypt', { CiphertextBlob: moved.body['CiphertextBlob'], EncryptionContext });
    expect((await open({ b: '2' })).body).toMatchObject({ KeyId: target, Plaintext: base64('x') });
    expect((await open(from)).body['__type']).toBe('InvalidCiphertextException');
  });
});

describe('Google Cloud', () => {
  const sum = (bytes: Uint8Array | string): string => String(crc32c(Buffer.from(bytes)));

  it('signs a digest or data, with checksums both ways', async () => {
    const shown = (await callGcp(cloud, 'GET', `${version}/publicKey`)).body;
    expect(shown).toMatchObject({
      name: version,
      algorithm: 'EC_SIGN_P256_SHA256',
      pemCrc32c: sum(shown['pem'] as string),
    });
    const bodies = [
      [{ digest: { sha256: base64(digest) }, digestCrc32c: sum(digest) }, 'verifiedDigestCrc32c'],
      [{ data: base64(message), dataCrc32c: Number(sum(message)) }, 'verifiedDataCrc32c'],
    ] as const;
    for (const [body, verified] of bodies) {
      const answer = await callGcp(cloud, 'POST', `${version}:asymmetricSign`, body);
      const signature = bytesOf(answer, 'signature');
      expect(answer.body).toMatchObject({
        name: version,
        [verified]: true,
        signatureCrc32c: sum(signature),
      });
      expect(isSigned(shown['pem'] as string, message, signature)).toBe(true);
    }
    const unchecked = { digest: { sha256: base64(digest) } };
    const answer = await callGcp(cloud, 'POST', `${version}:asymmetricSign`, unchecked);
    expect(answer.body).not.toHaveProperty('verifiedDigestCrc32c');
  });

  it('a key for signing is made over the wire; its version signs', async () => {
    const ring = cloud.gcpKey.name.replace(/\/cryptoKeys\/.*/, '');
    const make = (body: object) =>
      callGcp(cloud, 'POST', `${ring}/cryptoKeys?cryptoKeyId=made`, { purpose: 'ASYMMETRIC_SIGN', ...body });
    const refused = await make({ versionTemplate: { algorithm: 'EC_SIGN_P384_SHA384' } });
    expect(refused.body['error']).toMatchObject({ status: 'INVALID_ARGUMENT' });
    const made = await make({ versionTemplate: { algorithm: 'EC_SIGN_P256_SHA256' } });
    expect(made.body).toMatchObject({ purpose: 'ASYMMETRIC_SIGN' });
    expect(made.body).not.toHaveProperty('primary');
    const described = await callGcp(cloud, 'GET', `${ring}/cryptoKeys/made/cryptoKeyVersions/1`);
    expect(described.body).toMatchObject({ state: 'ENABLED', algorithm: 'EC_SIGN_P256_SHA256' });
  });

  const rows: readonly (readonly [string, () => string, object, string])[] = [
    ['neither digest nor data', () => version, {}, 'INVALID_ARGUMENT'],
    ['both', () => version, { digest: { sha256: base64(digest) }, data: 'AAAA' }, 'INVALID_ARGUMENT'],
    [
      'a digest of 31 bytes',
      () => version,
      { digest: { sha256: base64(digest.subarray(1)) } },
      'INVALID_ARGUMENT',
    ],
    ['a digest of SHA-512', () => version, { digest: { sha512: base64(digest) } }, 'INVALID_ARGUMENT'],
    ['a digest that is text', () => version, { digest: base64(digest) }, 'INVALID_ARGUMENT'],
    [
      'a checksum that does not fit',
      () => version,
      { digest: { sha256: base64(digest) }, digestCrc32c: '1' },
      'INVALID_ARGUMENT',
    ],
    [
      'a version that wraps',
      () => `${cloud.gcpKey.name}/cryptoKeyVersions/1`,
      { digest: { sha256: base64(digest) } },
      'FAILED_PRECONDITION',
    ],
    [
      'no version',
      () => version.replace(/\/cryptoKeyVersions.*/, ''),
      { digest: { sha256: base64(digest) } },
      'NOT_FOUND',
    ],
  ];
  it.each(rows)('refuses %s', async (_, name, body, status) => {
    const answer = await callGcp(cloud, 'POST', `${name()}:asymmetricSign`, body);
    expect(answer.body['error']).toMatchObject({ status });
  });

  it('does not encrypt with a key that signs', async () => {
    const key = version.replace(/\/cryptoKeyVersions.*/, '');
    const answer = await callGcp(cloud, 'POST', `${key}:encrypt`, { plaintext: 'AAAA' });
    expect(answer.body['error']).toMatchObject({ status: 'FAILED_PRECONDITION' });
  });

  it('needs a role on the key to sign, and one to see the public half', async () => {
    const { serviceAccount } = await cloud.createRole('gcp-worker');
    const token = cloud.session('gcp-worker')['GOOGLE_OAUTH_ACCESS_TOKEN'] ?? '';
    const key = version.replace(/\/cryptoKeyVersions.*/, '');
    const body = { digest: { sha256: base64(digest) } };
    const [signs, shows] = [
      () => callGcp(cloud, 'POST', `${version}:asymmetricSign`, body, token),
      () => callGcp(cloud, 'GET', `${version}/publicKey`, undefined, token),
    ];
    const outcomes = async () => [(await signs()).status, (await shows()).status];
    const bind = (role: string) =>
      callGcp(cloud, 'POST', `${key}:setIamPolicy`, {
        policy: { bindings: [{ role, members: [`serviceAccount:${serviceAccount}`] }] },
      });
    expect(await outcomes()).toEqual([403, 403]);
    await bind('roles/cloudkms.signer');
    expect(await outcomes()).toEqual([200, 403]);
    await bind('roles/cloudkms.publicKeyViewer');
    expect(await outcomes()).toEqual([403, 200]);
    await bind('roles/cloudkms.signerVerifier');
    expect(await outcomes()).toEqual([200, 200]);
  });
});
