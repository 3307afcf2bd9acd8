// A key as one line of text: the same forms in the manifest, in artifacts, in flags and in the agent's settings
// (formats.md, "Key references"). One parser, one type; a private key in a public key's place is never echoed.
import { createHash, createPublicKey } from 'node:crypto';
import { decodeBase64, decodeBech32, excerpt, StrictError } from '@clef/strict';
import { KmsError } from './kms-error.ts';
import { isLowOrderX25519, isReducedEd25519, isSmallOrderEd25519 } from './low-order-points.ts';

type Common = { readonly text: string };

export type AwsKey = Common & {
  readonly kind: 'awskms';
  readonly arn: string;
  readonly partition: string;
  readonly region: string;
  readonly account: string;
  readonly keyId: string;
};

export type GcpKey = Common & {
  readonly kind: 'gcpkms';
  /** `projects/…/cryptoKeys/K`, without the version. */
  readonly resource: string;
  /** Only for signing. */
  readonly version?: string;
};

export type AzureKey = Common & {
  readonly kind: 'azurekms';
  readonly vault: string;
  readonly name: string;
  readonly version: string;
};
export type VaultKey = Common & {
  readonly kind: 'hashivault';
  readonly mount: string;
  readonly name: string;
};
export type PgpKey = Common & { readonly kind: 'pgp'; readonly fingerprint: string };
/** A public key that signatures are verified with. */
export type VerifyingKey = Common & { readonly kind: 'ed25519' | 'p256'; readonly spki: Uint8Array };
/** A verifying key that is trusted no longer, by its ID: it keeps the place, and so the epoch, of those after it. */
export type RetiredKey = Common & { readonly kind: 'retired'; readonly keyId: string };
export type AgeKey = Common & { readonly kind: 'age'; readonly hybrid: boolean };
export type SshKey = Common & { readonly kind: 'ssh' };

export type KmsKey = AwsKey | GcpKey | AzureKey | VaultKey;
export type KeyReference = KmsKey | PgpKey | VerifyingKey | RetiredKey | AgeKey | SshKey;

const maxTextCharacters = 4096;
const hybridRecipientBytes = 1216;

type Form = { readonly prefix: string; readonly parse: (text: string) => KeyReference };

const forms: readonly Form[] = [
  { prefix: 'awskms://', parse: parseAws },
  { prefix: 'gcpkms://', parse: parseGcp },
  { prefix: 'azurekms://', parse: parseAzure },
  { prefix: 'hashivault://', parse: parseVault },
  { prefix: 'pgp:', parse: parsePgp },
  { prefix: 'ed25519:', parse: (text) => parseVerifying(text, 'ed25519') },
  { prefix: 'p256:', parse: (text) => parseVerifying(text, 'p256') },
  { prefix: 'retired:', parse: parseRetired },
  { prefix: 'age1', parse: parseAge },
  { prefix: 'ssh-', parse: parseSsh },
];

/**
 * Parses a key reference.
 * @throws {KmsError} `bad_reference` with what was found and wanted; `private_key` where a private key was given, which is
 * described by its kind and never echoed; `unsupported` for a plugin recipient.
 */
export function parseKeyReference(text: string): KeyReference {
  refusePrivateKey(text);
  if (text.length > maxTextCharacters) throw bad(`has more than ${maxTextCharacters} characters`);
  if (!/^[\x20-\x7e]*$/.test(text)) throw bad('has a character that no key has: it may only look like one');
  if (text !== text.trim()) throw bad('has a blank at its edge');
  const form = forms.find(({ prefix }) => text.startsWith(prefix));
  if (form !== undefined) return form.parse(text);
  const folded = forms.find(({ prefix }) => text.toLowerCase().startsWith(prefix));
  if (folded !== undefined) throw bad('is not in lower case');
  if (text.startsWith('arn:aws')) throw bad('is a bare ARN: write awskms:/// before it');
  if (text.startsWith('projects/')) throw bad('is a bare name of Google Cloud: write gcpkms:// before it');
  throw bad(`is of no known form: ${forms.map(({ prefix }) => prefix).join(', ')}`);
}

/** Whether a key is in a KMS, so that it can wrap and unwrap. */
export function isKmsKey(key: KeyReference): key is KmsKey {
  return (
    key.kind === 'awskms' || key.kind === 'gcpkms' || key.kind === 'azurekms' || key.kind === 'hashivault'
  );
}

/** The hex SHA-256 of the key's SPKI: its ID in the signatures of artifacts. */
export function keyIdOf(key: VerifyingKey): string {
  return createHash('sha256').update(key.spki).digest('hex');
}

function bad(why: string, options: { readonly cause?: unknown } = {}): KmsError {
  return new KmsError('bad_reference', `The key ${why}`, options);
}

const privateKinds: readonly (readonly [pattern: RegExp, kind: string])[] = [
  [/age-?secret-?key/i, 'an age private key'],
  [/age-plugin-/i, 'a private key of an age plugin'],
  [/beginopensshprivatekey/i, 'an SSH private key'],
  [/b3BlbnNzaC1rZXktdj/, 'an SSH private key'],
  [/putty-user-key/i, 'a PuTTY private key'],
  [/beginpgpprivatekey/i, 'a PGP private key'],
  [/(begin|end)[a-z]*privatekey/i, 'a private key in PEM'],
];

// Blanks, dashes that are none and invisible characters do not make a private key public.
function refusePrivateKey(text: string): void {
  const bare = text
    .slice(0, 2 * maxTextCharacters)
    .normalize('NFKC')
    .replace(/[^\x21-\x7e]/g, '');
  const found = privateKinds.find(([pattern]) => pattern.test(bare));
  if (found !== undefined) throw privateKey(found[1]);
}

function privateKey(kind: string): KmsError {
  return new KmsError('private_key', `This is ${kind} where a public key belongs; it has leaked`);
}

/** PKCS #8 and SEC 1 begin with a sequence and a small version number, an SPKI with two sequences. */
function isPrivateDer(der: Uint8Array): boolean {
  const lengthBytes = (der[1] ?? 0) < 0x80 ? 1 : 1 + ((der[1] ?? 0) & 0x7f);
  return der[0] === 0x30 && der[1 + lengthBytes] === 0x02 && der[2 + lengthBytes] === 0x01;
}

const awsArn =
  /^arn:(aws|aws-cn|aws-us-gov|aws-iso|aws-iso-b|aws-iso-e|aws-iso-f|aws-eusc):([a-z0-9-]*):([^:]*):([^:]*):(.*)$/;

function parseAws(text: string): AwsKey {
  const prefix = 'awskms:///';
  if (!text.startsWith(prefix)) throw bad('names an endpoint: write awskms:/// and the ARN, three slashes');
  const arn = text.slice(prefix.length);
  const [, partition = '', service, region = '', account = '', resource = ''] = awsArn.exec(arn) ?? [];
  if (service === undefined) throw bad('is no ARN: wanted awskms:///arn:aws:kms:REGION:ACCOUNT:key/ID');
  if (service !== 'kms') throw bad(`is the ARN of the service "${excerpt(service)}", not of "kms"`);
  if (!/^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$/.test(region))
    throw bad('has no AWS region such as "eu-west-1" in its ARN');
  if (!/^[0-9]{12}$/.test(account)) throw bad('has no account of 12 digits in its ARN');
  if (resource.startsWith('alias/'))
    throw bad('is an alias: an alias can be moved, so give the ARN of the key itself');
  const [, keyId] =
    /^key\/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(resource) ?? [];
  if (keyId === undefined) throw bad('does not end in key/ and the ID of a key');
  return { kind: 'awskms', text, arn, partition, region, account, keyId };
}

const gcpResource =
  /^projects\/(?:[a-z0-9][a-z0-9.-]{0,62}:)?[a-z0-9][a-z0-9-]{0,62}\/locations\/[a-z0-9-]{1,63}\/keyRings\/[A-Za-z0-9_-]{1,63}\/cryptoKeys\/[A-Za-z0-9_-]{1,63}/;

function parseGcp(text: string): GcpKey {
  const path = text.slice('gcpkms://'.length);
  const [resource] = gcpResource.exec(path) ?? [];
  if (resource === undefined) throw bad('is not gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K');
  const rest = path.slice(resource.length);
  if (rest === '') return { kind: 'gcpkms', text, resource };
  const [, version] = /^\/cryptoKeyVersions\/([1-9][0-9]{0,9})$/.exec(rest) ?? [];
  if (version === undefined) throw bad('ends in something else than /cryptoKeyVersions/N');
  return { kind: 'gcpkms', text, resource, version };
}

function parseAzure(text: string): AzureKey {
  const pattern =
    /^azurekms:\/\/([a-z][a-z0-9-]{1,22}[a-z0-9])\.vault\.azure\.net\/([A-Za-z0-9-]{1,127})\/([0-9a-f]{32})$/;
  const [, vault, name, version] = pattern.exec(text) ?? [];
  if (vault === undefined || name === undefined || version === undefined) {
    throw bad('is not azurekms://NAME.vault.azure.net/KEY/VERSION');
  }
  return { kind: 'azurekms', text, vault, name, version };
}

function parseVault(text: string): VaultKey {
  const [, mount, name] =
    /^hashivault:\/\/([A-Za-z0-9_-]{1,64}(?:\/[A-Za-z0-9_-]{1,64}){0,7})\/([A-Za-z0-9_-]{1,64})$/.exec(
      text,
    ) ?? [];
  if (mount === undefined || name === undefined)
    throw bad('is not hashivault://MOUNT/KEY; the address comes from VAULT_ADDR');
  return { kind: 'hashivault', text, mount, name };
}

function parsePgp(text: string): PgpKey {
  const [, fingerprint] = /^pgp:([0-9A-F]{40}|[0-9a-f]{40})$/.exec(text) ?? [];
  if (fingerprint === undefined) throw bad('is not pgp: and a fingerprint of 40 hexadecimal digits');
  return { kind: 'pgp', text, fingerprint };
}

/** How the SPKI of each begins, down to the point, and how long it is. Any other spelling would be a second name of one key. */
const spkiForms = {
  ed25519: { algorithm: '300506032b6570', start: '302a300506032b6570032100', bytes: 44 },
  p256: {
    algorithm: '301306072a8648ce3d020106082a8648ce3d030107',
    start: '3059301306072a8648ce3d020106082a8648ce3d03010703420004',
    bytes: 91,
  },
} as const;

// Nothing but its type is asked of the key before its form is known: for the point at infinity, which OpenSSL loads, node
// answers a question about the curve by ending the process.
function parseVerifying(text: string, kind: 'ed25519' | 'p256'): VerifyingKey {
  const spki = decode(text.slice(kind.length + 1), kind);
  if (isPrivateDer(spki)) throw privateKey(`an ${kind === 'ed25519' ? 'Ed25519' : 'EC'} private key`);
  checkLoads(spki, kind);
  const { algorithm, start, bytes } = spkiForms[kind];
  const hex = Buffer.from(spki).toString('hex');
  if (!hex.startsWith(algorithm, 4)) throw bad(`is no public key of the kind ${kind}`);
  if (!hex.startsWith(start) || spki.length !== bytes) {
    throw bad('has bytes after the public key, or is in a form that is not the usual one');
  }
  if (kind === 'ed25519') checkEd25519Point(spki.subarray(-32));
  return { kind, text, spki };
}

function checkEd25519Point(point: Uint8Array): void {
  if (isSmallOrderEd25519(point)) throw bad('is a point under which anybody can sign');
  if (!isReducedEd25519(point)) throw bad('is a point that is not written in the usual way');
}

function parseRetired(text: string): RetiredKey {
  const keyId = text.slice('retired:'.length);
  if (/^[0-9a-f]{64}$/.test(keyId)) return { kind: 'retired', text, keyId };
  throw bad('is not retired: and the ID of a verifying key, 64 hexadecimal digits in lower case');
}

function decode(base64: string, kind: string): Uint8Array {
  try {
    return decodeBase64(base64);
  } catch (cause) {
    if (!(cause instanceof StrictError)) throw cause;
    throw bad(`is not ${kind}: and the base64 of its SPKI`, { cause });
  }
}

function checkLoads(spki: Uint8Array, kind: string): void {
  try {
    createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    // OpenSSL's message says nothing that helps, and the bytes may be of anything.
    throw bad(`is not ${kind}: and the base64 of its SPKI`);
  }
}

function parseAge(text: string): AgeKey {
  if (/^age1[^1]+1/.test(text) && !text.startsWith('age1pq1')) {
    throw new KmsError('unsupported', 'The key is of an age plugin, which Clef does not run', {
      key: text.slice(0, 32),
    });
  }
  // Bech32 has one case, and the prefix is in lower case already.
  const decoded = decodeBech32(text);
  if (decoded === undefined) throw bad('is not a whole age public key: its checksum does not fit');
  const hybrid = decoded.prefix === 'age1pq' && decoded.bytes.length === hybridRecipientBytes;
  if (!hybrid && (decoded.prefix !== 'age' || decoded.bytes.length !== 32))
    throw bad('is not an age public key');
  // The hybrid key ends in its X25519 half.
  if (isLowOrderX25519(decoded.bytes.subarray(-32))) {
    throw bad('is a point that every private key shares: nobody should encrypt to it');
  }
  return { kind: 'age', text, hybrid };
}

const sshForm = /^(ssh-ed25519|ssh-rsa) ([A-Za-z0-9+/]{16,3000}={0,2})(?: [\x21-\x7e][\x20-\x7e]{0,199})?$/;
const rsaModulusBytes = { least: 256, most: 2048 };

// What age encrypts to: Ed25519, or RSA of 2,048 bits and more.
function parseSsh(text: string): SshKey {
  const [, algorithm, base64 = ''] = sshForm.exec(text) ?? [];
  const parts = algorithm === undefined ? [] : sshParts(decode(base64, 'ssh- with its algorithm'));
  const [name, first, second] = parts.map((part) => Buffer.from(part));
  const isEd25519 = name?.toString('latin1') === 'ssh-ed25519' && parts.length === 2 && first?.length === 32;
  const isRsa = name?.toString('latin1') === 'ssh-rsa' && parts.length === 3 && second !== undefined;
  if (name?.toString('latin1') !== algorithm || !(isEd25519 || isRsa)) {
    throw bad('is not ssh-ed25519 or ssh-rsa, its base64, and a comment');
  }
  const modulusBytes = isRsa ? second.length - (second[0] === 0 ? 1 : 0) : rsaModulusBytes.least;
  if (modulusBytes < rsaModulusBytes.least) throw bad('is an RSA key of less than 2,048 bits');
  if (modulusBytes > rsaModulusBytes.most) throw bad('is an RSA key of more than 16,384 bits');
  return { kind: 'ssh', text };
}

/** The length-prefixed strings of an SSH public key (RFC 4253, section 6.6); none where the lengths do not add up. */
function sshParts(blob: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at + 4 <= blob.length) {
    const end = at + 4 + view.getUint32(at);
    if (end > blob.length) return [];
    parts.push(blob.subarray(at + 4, end));
    at = end;
  }
  return at === blob.length ? parts : [];
}
