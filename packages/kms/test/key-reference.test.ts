// Every form of formats.md "Key references", and every look-alike that must not pass for one.
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { decodeBech32, encodeBech32 } from '@clef/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isKmsKey, KmsError, keyIdOf, parseKeyReference } from '../src/index.ts';

const uuid = '01234567-89ab-4cde-8f01-23456789abcd';
const arn = `arn:aws:kms:eu-west-1:111122223333:key/${uuid}`;
const age = 'age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg';
const hybrid = encodeBech32('age1pq', new Uint8Array(1216).fill(7));
const gcp = 'projects/my-project/locations/global/keyRings/ring/cryptoKeys/key';

const spkiOf = (key: KeyObject): string => key.export({ format: 'der', type: 'spki' }).toString('base64');
const ed25519 = generateKeyPairSync('ed25519');
const p256 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed448 = generateKeyPairSync('ed448');
const ed25519Text = `ed25519:${spkiOf(ed25519.publicKey)}`;
const p256Text = `p256:${spkiOf(p256.publicKey)}`;

const sshString = (bytes: Uint8Array | string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.from(bytes).length);
  return Buffer.concat([length, Buffer.from(bytes)]);
};
const ssh = (name: string, ...parts: Uint8Array[]): string =>
  `${name} ${Buffer.concat([sshString(name), ...parts.map(sshString)]).toString('base64')}`;
const sshEd25519 = ssh('ssh-ed25519', new Uint8Array(32).fill(9));
const exponent = Uint8Array.of(1, 0, 1);
const sshRsa = (bytes: number): string =>
  ssh('ssh-rsa', exponent, Buffer.concat([Buffer.alloc(1), Buffer.alloc(bytes, 0xc1)]));

function refusal(text: string): KmsError {
  try {
    parseKeyReference(text);
  } catch (error) {
    if (error instanceof KmsError) return error;
    throw error;
  }
  throw new Error('It was accepted');
}

describe('what is a key reference', () => {
  it.each([
    [
      `awskms:///${arn}`,
      { kind: 'awskms', arn, partition: 'aws', region: 'eu-west-1', account: '111122223333', keyId: uuid },
    ],
    [
      `awskms:///arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/${uuid}`,
      { region: 'us-gov-west-1', partition: 'aws-us-gov' },
    ],
    [`awskms:///arn:aws-cn:kms:cn-north-1:111122223333:key/${uuid}`, { region: 'cn-north-1' }],
    [`awskms:///arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/${uuid}`, { region: 'eusc-de-east-1' }],
    [
      `awskms:///arn:aws:kms:ap-southeast-2:111122223333:key/mrk-${'0a'.repeat(16)}`,
      { keyId: `mrk-${'0a'.repeat(16)}` },
    ],
    [`gcpkms://${gcp}`, { kind: 'gcpkms', resource: gcp }],
    [`gcpkms://${gcp}/cryptoKeyVersions/12`, { kind: 'gcpkms', resource: gcp, version: '12' }],
    [
      'gcpkms://projects/example.com:p/locations/europe-west1/keyRings/R_1/cryptoKeys/K-1',
      { kind: 'gcpkms' },
    ],
    [
      'azurekms://my-vault.vault.azure.net/my-key/0123456789abcdef0123456789abcdef',
      { kind: 'azurekms', vault: 'my-vault', name: 'my-key', version: '0123456789abcdef0123456789abcdef' },
    ],
    ['hashivault://transit/clef', { kind: 'hashivault', mount: 'transit', name: 'clef' }],
    ['hashivault://team/transit/clef', { kind: 'hashivault', mount: 'team/transit', name: 'clef' }],
    ['hashivault://transit/privatekey', { kind: 'hashivault', name: 'privatekey' }],
    [`pgp:${'0A'.repeat(20)}`, { kind: 'pgp', fingerprint: '0A'.repeat(20) }],
    [`retired:${'0a'.repeat(32)}`, { kind: 'retired', keyId: '0a'.repeat(32) }],
    [ed25519Text, { kind: 'ed25519' }],
    [p256Text, { kind: 'p256' }],
    [age, { kind: 'age', hybrid: false }],
    [hybrid, { kind: 'age', hybrid: true }],
    [sshEd25519, { kind: 'ssh' }],
    [`${sshEd25519} alice@example.com`, { kind: 'ssh' }],
    [sshRsa(256), { kind: 'ssh' }],
  ])('%s', (text, expected) => {
    expect(parseKeyReference(text)).toMatchObject({ text, ...expected });
  });

  it('says which kinds a KMS holds', () => {
    const texts = [
      `awskms:///${arn}`,
      `gcpkms://${gcp}`,
      'hashivault://transit/clef',
      age,
      ed25519Text,
      sshEd25519,
    ];
    expect(texts.map((text) => isKmsKey(parseKeyReference(text)))).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it('names a verifying key by the SHA-256 of its SPKI', () => {
    const key = parseKeyReference(ed25519Text);
    expect(key.kind === 'ed25519' && keyIdOf(key)).toMatch(/^[0-9a-f]{64}$/);
  });
});

const flipped = (text: string): string => text.replace(/.$/, (last) => (last === 'q' ? 'p' : 'q'));

describe('what is refused', () => {
  const derWith = (der: Buffer, ...more: number[]): string =>
    Buffer.concat([der, Buffer.from(more)]).toString('base64');
  const spki = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'spki' });
  const ed25519Point = (hex: string): string =>
    `ed25519:${Buffer.concat([spki(ed25519.publicKey).subarray(0, 12), Buffer.from(hex, 'hex')]).toString('base64')}`;
  const compressed = (): string => {
    const der = spki(p256.publicKey);
    const x = der.subarray(27, 59);
    const start = Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex');
    const point = Buffer.concat([Buffer.from([2 + ((der.at(-1) ?? 0) & 1)]), x]);
    const short = Buffer.concat([start, point]);
    expect(createPublicKey({ key: short, format: 'der', type: 'spki' }).asymmetricKeyType).toBe('ec');
    return short.toString('base64');
  };

  const rows: readonly (readonly [title: string, text: string, about: RegExp])[] = [
    ['B18: empty', '', /no known form/],
    ['B18: a number', '5', /no known form/],
    ['B18: a word', 'alice', /no known form/],
    ['B18: another prefix', encodeBech32('bge', new Uint8Array(32).fill(9)), /no known form/],
    ['B18: a bad checksum', flipped(age), /checksum/],
    ['B18: upper case', age.toUpperCase(), /lower case/],
    ['B18: mixed case', `age1L${age.slice(5)}`, /checksum/],
    ['B18, INV-31: a blank after it', `${age} `, /blank/],
    ['B18, INV-31: a blank before it', ` ${age}`, /blank/],
    ['INV-31: a line break after it', `${age}\r\n`, /character/],
    ['INV-31: a tab', `${age}\t`, /character/],
    ['B18: truncated', age.slice(0, -1), /checksum/],
    ['B18: 31 bytes', encodeBech32('age', new Uint8Array(31).fill(9)), /not an age public key/],
    ['B18: 33 bytes', encodeBech32('age', new Uint8Array(33).fill(9)), /not an age public key/],
    [
      'D08: a post-quantum key cut short',
      encodeBech32('age1pq', new Uint8Array(1215).fill(9)),
      /not an age public key/,
    ],
    ['D09: a zero-width space', `${age.slice(0, 10)}\u200b${age.slice(10)}`, /character/],
    ['D09: a Cyrillic а', `\u0430${age.slice(1)}`, /character/],
    ['a direction mark', `\u202e${age}`, /character/],
    ['B23: another service', `awskms:///${arn.replace(':kms:', ':s3:')}`, /service "s3"/],
    ['B23: a zone instead of a region', `awskms:///${arn.replace('eu-west-1', 'us-east-1a')}`, /region/],
    ['B23: a region in upper case', `awskms:///${arn.replace('eu-west-1', 'EU-WEST-1')}`, /region/],
    ['B23: no region', `awskms:///${arn.replace('eu-west-1', '')}`, /region/],
    ['B23: an alias ARN', 'awskms:///arn:aws:kms:eu-west-1:111122223333:alias/clef', /alias/],
    ['B23: a bare alias', 'awskms:///alias/clef', /ARN/],
    ['B23: a bare key ID', `awskms:///${uuid}`, /ARN/],
    ['B23: an account of 11 digits', `awskms:///${arn.replace('111122223333', '11112222333')}`, /12 digits/],
    ['B23: a blank inside', `awskms:///${arn.replace('key/', 'key/ ')}`, /ID of a key/],
    ['a key ID that is no UUID', `awskms:///arn:aws:kms:eu-west-1:111122223333:key/x`, /ID of a key/],
    [
      'a key ID in upper case',
      `awskms:///${arn.toUpperCase().replace('ARN:AWS:KMS:EU-WEST-1', 'arn:aws:kms:eu-west-1').replace('KEY/', 'key/')}`,
      /ID of a key/,
    ],
    ['INV-111: an AWS endpoint in a key', `awskms://localhost:4566/${arn}`, /endpoint/],
    ['a bare ARN', arn, /write awskms:\/\/\/ before it/],
    ['a bare name of Google Cloud', 'projects/p/locations/global', /write gcpkms:\/\/ before it/],
    ['another partition', `awskms:///${arn.replace('arn:aws:', 'arn:evil:')}`, /ARN/],
    ['B23: a GCP key without its ring', 'gcpkms://projects/p/locations/global/cryptoKeys/k', /projects\/P/],
    ['B23: a version of 0', `gcpkms://${gcp}/cryptoKeyVersions/0`, /cryptoKeyVersions/],
    ['B23: a version that is a word', `gcpkms://${gcp}/cryptoKeyVersions/latest`, /cryptoKeyVersions/],
    ['B23: half of a version', `gcpkms://${gcp}/cryptoKeyVersions`, /cryptoKeyVersions/],
    ['B23: a blank in a GCP key', `gcpkms://${gcp} x`, /cryptoKeyVersions/],
    ['a GCP project of dots', gcp.replace('my-project', '..').replace(/^/, 'gcpkms://'), /projects\/P/],
    [
      'a service of 3,000 characters',
      `awskms:///${arn.replace(':kms:', `:${'k'.repeat(3000)}:`)}`,
      /service "k{63}…"/,
    ],
    ['a way up in a GCP key', `gcpkms://projects/p/locations/global/keyRings/../cryptoKeys/k`, /projects\/P/],
    ['a slash at the end', `gcpkms://${gcp}/`, /cryptoKeyVersions/],
    ['an Azure key without a version', 'azurekms://my-vault.vault.azure.net/my-key', /azurekms/],
    [
      'an Azure key on another host',
      'azurekms://my-vault.example.com/my-key/0123456789abcdef0123456789abcdef',
      /azurekms/,
    ],
    ['a Vault address', 'hashivault://https://vault.example.com/transit/clef', /VAULT_ADDR/],
    ['a Vault path that goes up', 'hashivault://../clef', /VAULT_ADDR/],
    ['a Vault key without its mount', 'hashivault://clef', /VAULT_ADDR/],
    ['a retired key in upper case', `retired:${'0A'.repeat(32)}`, /lower case/],
    ['a retired key without its ID', 'retired:', /64 hexadecimal/],
    ['a short PGP fingerprint', 'pgp:0123456789ABCDEF', /40/],
    ['D06: a PGP block', '-----BEGIN PGP PUBLIC KEY BLOCK-----', /no known form/],
    ['D06: a PKCS#11 URI', 'pkcs11:token=x', /no known form/],
    ['D12: RSA as ed25519', `ed25519:${spkiOf(rsa.publicKey)}`, /no public key of the kind/],
    ['D12: RSA as p256', `p256:${spkiOf(rsa.publicKey)}`, /no public key of the kind/],
    ['D12: P-384', `p256:${spkiOf(p384.publicKey)}`, /no public key of the kind/],
    ['D12: Ed448', `ed25519:${spkiOf(ed448.publicKey)}`, /no public key of the kind/],
    ['D12: P-256 as ed25519', `ed25519:${spkiOf(p256.publicKey)}`, /no public key of the kind/],
    ['D12: Ed25519 as p256', `p256:${spkiOf(ed25519.publicKey)}`, /no public key of the kind/],
    ['D12: garbage DER', 'ed25519:AAAA', /SPKI/],
    ['D12: bytes after the key', `ed25519:${derWith(spki(ed25519.publicKey), 0)}`, /bytes after|SPKI/],
    ['D12: a compressed point', `p256:${compressed()}`, /bytes after|usual/],
    [
      'D12: a point that is not on the curve',
      `p256:${derWith(spki(p256.publicKey).subarray(0, -1), (spki(p256.publicKey).at(-1) ?? 0) ^ 1)}`,
      /SPKI/,
    ],
    ['D12: no base64', 'ed25519:!!!!', /base64/],
    ['D12: base64 without its padding', ed25519Text.replace(/=+$/, ''), /base64/],
    ['D12: base64url', ed25519Text.replace(/.$/, '_'), /base64/],
    ['a small Ed25519 point', ed25519Point('01'.padEnd(64, '0')), /anybody can sign/],
    [
      'an Ed25519 point of order 8',
      ed25519Point('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa'),
      /anybody can sign/,
    ],
    ['an SSH key of another kind', ssh('ssh-dss', exponent), /ssh-ed25519/],
    ['an SSH key with another name inside', sshEd25519.replace('ssh-ed25519', 'ssh-rsa'), /ssh-ed25519/],
    ['an SSH key cut short', sshEd25519.slice(0, -4), /ssh-ed25519/],
    ['an SSH key of 31 bytes', ssh('ssh-ed25519', new Uint8Array(31)), /ssh-ed25519/],
    ['an SSH key with one more part', ssh('ssh-ed25519', new Uint8Array(32), exponent), /ssh-ed25519/],
    [
      'an SSH key with bytes after its parts',
      `ssh-ed25519 ${Buffer.concat([Buffer.from(sshEd25519.slice(12), 'base64'), Buffer.of(0, 0)]).toString('base64')}`,
      /ssh-ed25519/,
    ],
    ['an RSA key of more than 16,384 bits', sshRsa(2049), /16,384/],
    ['an RSA key of 1,024 bits', sshRsa(128), /2,048/],
    ['an SSH certificate', `ssh-ed25519-cert-v01@openssh.com AAAA${'A'.repeat(40)}`, /ssh-ed25519/],
    ['a scheme in upper case', `AWSKMS:///${arn}`, /lower case/],
    ['5,000 characters', `age1${'q'.repeat(5000)}`, /4096 characters/],
  ];
  it.each(rows)('%s', (_, text, about) => {
    const error = refusal(text);
    expect(error).toMatchObject({ code: 'bad_reference' });
    expect(error.message).toMatch(about);
    expect(error.message.length).toBeLessThan(200);
  });

  it.each([
    ['D07: a plugin', encodeBech32('age1yubikey', new Uint8Array(33).fill(9))],
    ['D07, INV-33: a path as the name of a plugin', 'age1../../x1qqqqqq'],
    ['a tag recipient', encodeBech32('age1tag', new Uint8Array(33).fill(9))],
  ])('%s', (_, text) => {
    expect(refusal(text)).toMatchObject({ code: 'unsupported' });
  });

  const low = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000080',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880',
  ];
  it.each(low)('D10, INV-32: the low-order point %s', (hex) => {
    const point = Buffer.from(hex, 'hex');
    expect(refusal(encodeBech32('age', point))).toMatchObject({ code: 'bad_reference' });
    const half = Buffer.concat([Buffer.alloc(1184, 7), point]);
    expect(refusal(encodeBech32('age1pq', half))).toMatchObject({ code: 'bad_reference' });
  });
});

describe('a private key in the place of a public one', () => {
  const secret = encodeBech32('age-secret-key-', new Uint8Array(32).fill(0x5a)).toUpperCase();
  const pem = (key: KeyObject, type: 'pkcs8' | 'sec1'): string =>
    key.export({ format: 'pem', type }).toString();
  const pkcs8 = ed25519.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
  const ecPkcs8 = p256.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
  const sec1 = p256.privateKey.export({ format: 'der', type: 'sec1' }).toString('base64');
  const openssh = Buffer.from(`openssh-key-v1\0${'secret '.repeat(8)}`).toString('base64');

  const rows: readonly (readonly [title: string, text: string, kind: RegExp])[] = [
    ['B19: an age key', secret, /age private key/],
    ['B19, D03: an age key in lower case', secret.toLowerCase(), /age private key/],
    [
      'B19: a post-quantum age key',
      encodeBech32('age-secret-key-pq-', new Uint8Array(32).fill(0x5a)).toUpperCase(),
      /age private key/,
    ],
    ['B19: an age key with a blank and a line break', ` ${secret}\n`, /age private key/],
    ['B19: an age key that was cut short', secret.slice(0, 40), /age private key/],
    ['B19: an age key behind a prefix', `age1${secret}`, /age private key/],
    [
      'D09: an age key with an invisible character',
      secret.replace('SECRET', 'SEC\u200bRET'),
      /age private key/,
    ],
    ['D09: an age key in full-width letters', secret.replace('A', '\uff21'), /age private key/],
    ['D07: a plugin identity', 'AGE-PLUGIN-YUBIKEY-1QQQQQQQQQQQ', /age plugin/],
    ['D06, D12: PEM', pem(ed25519.privateKey, 'pkcs8'), /PEM/],
    ['D12: PEM of an EC key', pem(p256.privateKey, 'sec1'), /PEM/],
    ['D12: PEM of an RSA key', pem(rsa.privateKey, 'pkcs8'), /PEM/],
    ['D06: OpenSSH', `-----BEGIN OPENSSH PRIVATE KEY-----\n${openssh}\n`, /SSH/],
    ['D06: the base64 of OpenSSH', openssh, /SSH/],
    ['a PGP private key', '-----BEGIN PGP PRIVATE KEY BLOCK-----', /PGP/],
    ['PuTTY', 'PuTTY-User-Key-File-3: ssh-ed25519', /PuTTY/],
    ['D12: PKCS #8 as ed25519:', `ed25519:${pkcs8}`, /Ed25519 private key/],
    ['D12: PKCS #8 as p256:', `p256:${ecPkcs8}`, /EC private key/],
    ['D12: SEC 1 as p256:', `p256:${sec1}`, /EC private key/],
  ];
  it.each(rows)('%s', (_, text, kind) => {
    const error = refusal(text);
    expect(error).toMatchObject({ code: 'private_key' });
    expect(error.message).toMatch(kind);
    const shown = JSON.stringify([error.message, error.key, String(error.cause)]);
    for (let at = 0; at + 12 <= text.length; at += 6) {
      const piece = text.slice(at, at + 12);
      if (/[0-9A-Z]{12}/i.test(piece)) expect(shown).not.toContain(piece);
    }
  });
});

describe('any text', () => {
  it('is a key reference that keeps its text, or a KmsError', () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string().map((text) => `age1${text}`),
      fc.string().map((text) => `awskms:///arn:aws:kms:${text}`),
    );
    fc.assert(
      fc.property(anything, (text) => {
        try {
          expect(parseKeyReference(text).text).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(KmsError);
        }
      }),
    );
  });

  it('any 32 bytes as an age key come back, unless of low order', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const text = encodeBech32('age', bytes);
        const isZero = bytes.every((byte) => byte === 0);
        if (!isZero && bytes.some((byte) => byte > 1))
          expect(decodeBech32(parseKeyReference(text).text)?.bytes).toEqual(bytes);
      }),
    );
  });

  /** Every text that differs from this one in one character. */
  function* neighbours(text: string): Generator<string> {
    const characters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=:- ';
    for (let at = 0; at < text.length; at += 1) {
      for (const other of characters)
        if (other !== text[at]) yield `${text.slice(0, at)}${other}${text.slice(at + 1)}`;
    }
  }

  it('INV-31: an age key with any other character in any place is refused', () => {
    for (const text of neighbours(age)) expect(() => parseKeyReference(text)).toThrow(KmsError);
  });

  it('a verifying key with any other character in any place is refused, or another key', () => {
    // Nothing in it is a checksum: what must not be is two texts for one key.
    const known = parseKeyReference(ed25519Text);
    const keyIds = new Set([known.kind === 'ed25519' ? keyIdOf(known) : '']);
    let accepted = 1;
    for (const text of neighbours(ed25519Text)) {
      try {
        const key = parseKeyReference(text);
        if (key.kind === 'ed25519') keyIds.add(keyIdOf(key));
        accepted += 1;
      } catch (error) {
        expect(error).toBeInstanceOf(KmsError);
      }
    }
    expect(keyIds.size).toBe(accepted);
  });
});
