// The operations of Google Cloud KMS: one row an operation, with its method, its path and the names it honours.
import { createHash } from 'node:crypto';
import { crc32c, encodeBase64, excerpt, formatTimestamp, type JsonObject } from '@clef/strict';

import { openBlob, type RandomBytes, sealBlob } from '../software-key.ts';
import { makeSigningMaterial, publicKeyPemOf, signDigest } from '../software-signing-key.ts';
import type { Caller, GcpKey, KeyUse, State } from '../state.ts';
import { checkedBytes, requiredBytes } from './fields.ts';
import { GcpRefusal } from './gcp-refusal.ts';
import { authorizeKey, authorizeProject, parseBindings, policyEtag } from './iam.ts';

/** One authenticated request. */
export type GcpCall = {
  readonly state: State;
  readonly caller: Caller;
  readonly now: number;
  readonly randomBytes: RandomBytes;
  /** The resource in the path, without `/v1/` and the verb. */
  readonly resource: string;
  readonly query: ReadonlyMap<string, string>;
};

export type GcpOperation = {
  readonly name: string;
  readonly method: 'GET' | 'POST';
  /** Of the whole path; its first group is the resource. */
  readonly path: RegExp;
  readonly query?: readonly string[];
  readonly fields?: readonly string[];
  /** True when the state file has to be written. */
  readonly isChange?: true;
  /** Returns the reply's JSON. Throws `GcpRefusal`. */
  readonly run: (call: GcpCall, fields: JsonObject) => GcpAnswer | Promise<GcpAnswer>;
};

type GcpAnswer = Record<string, unknown>;

const part = '[A-Za-z0-9_-]{1,63}';
const location = `projects/[a-z0-9-]{6,30}/locations/${part}`;
const keyRing = `${location}/keyRings/${part}`;
const cryptoKey = `${keyRing}/cryptoKeys/${part}`;
const path = (resource: string, rest: string): RegExp => new RegExp(`^/v1/(${resource})${rest}$`);
const keyPattern = new RegExp(`^${cryptoKey}$`);

export const gcpOperations: readonly GcpOperation[] = [
  {
    name: 'encrypt',
    method: 'POST',
    path: path(`${cryptoKey}(?:/cryptoKeyVersions/1)?`, ':encrypt'),
    fields: [
      'plaintext',
      'plaintextCrc32c',
      'additionalAuthenticatedData',
      'additionalAuthenticatedDataCrc32c',
    ],
    run: encrypt,
  },
  {
    name: 'decrypt',
    method: 'POST',
    path: path(cryptoKey, ':decrypt'),
    fields: [
      'ciphertext',
      'ciphertextCrc32c',
      'additionalAuthenticatedData',
      'additionalAuthenticatedDataCrc32c',
    ],
    run: decrypt,
  },
  {
    name: 'asymmetricSign',
    method: 'POST',
    path: path(`${cryptoKey}/cryptoKeyVersions/1`, ':asymmetricSign'),
    fields: ['digest', 'digestCrc32c', 'data', 'dataCrc32c'],
    run: asymmetricSign,
  },
  {
    name: 'getPublicKey',
    method: 'GET',
    path: path(`${cryptoKey}/cryptoKeyVersions/1`, '/publicKey'),
    query: ['publicKeyFormat'],
    run: getPublicKey,
  },
  {
    name: 'cryptoKeyVersions.get',
    method: 'GET',
    path: path(`${cryptoKey}/cryptoKeyVersions/1`, ''),
    run: getCryptoKeyVersion,
  },
  {
    name: 'keyRings.list',
    method: 'GET',
    path: path(location, '/keyRings'),
    query: ['pageSize'],
    run: listKeyRings,
  },
  { name: 'keyRings.get', method: 'GET', path: path(keyRing, ''), run: getKeyRing },
  {
    name: 'keyRings.create',
    method: 'POST',
    path: path(location, '/keyRings'),
    query: ['keyRingId'],
    isChange: true,
    run: createKeyRing,
  },
  {
    name: 'cryptoKeys.list',
    method: 'GET',
    path: path(keyRing, '/cryptoKeys'),
    query: ['pageSize'],
    run: listCryptoKeys,
  },
  { name: 'cryptoKeys.get', method: 'GET', path: path(cryptoKey, ''), run: getCryptoKey },
  {
    name: 'cryptoKeys.create',
    method: 'POST',
    path: path(keyRing, '/cryptoKeys'),
    query: ['cryptoKeyId'],
    fields: ['purpose', 'versionTemplate'],
    isChange: true,
    run: createCryptoKey,
  },
  {
    name: 'getIamPolicy',
    method: 'GET',
    path: path(cryptoKey, ':getIamPolicy'),
    query: ['options.requestedPolicyVersion'],
    run: getIamPolicy,
  },
  {
    name: 'setIamPolicy',
    method: 'POST',
    path: path(cryptoKey, ':setIamPolicy'),
    fields: ['policy', 'updateMask'],
    isChange: true,
    run: setIamPolicy,
  },
];

const maxPlaintextBytes = 65_536;
const maxAssociatedBytes = 65_536;

function encrypt(call: GcpCall, fields: JsonObject): Record<string, unknown> {
  const name = call.resource.replace(/\/cryptoKeyVersions\/1$/, '');
  const key = authorizeKey(call.state, call.caller, 'cloudkms.cryptoKeyVersions.useToEncrypt', name);
  checkUse(key, 'wrap');
  const plaintext = requiredBytes(fields, 'plaintext', maxPlaintextBytes);
  const associated = checkedBytes(fields, 'additionalAuthenticatedData', maxAssociatedBytes);
  const ciphertext = sealBlob(
    blobKey(key),
    plaintext.bytes,
    associated.bytes ?? new Uint8Array(),
    call.randomBytes,
  );
  return {
    name: primaryVersion(key),
    ciphertext: encodeBase64(ciphertext),
    ciphertextCrc32c: String(crc32c(ciphertext)),
    ...(plaintext.isVerified ? { verifiedPlaintextCrc32c: true } : {}),
    ...(associated.isVerified ? { verifiedAdditionalAuthenticatedDataCrc32c: true } : {}),
    protectionLevel: 'SOFTWARE',
  };
}

function decrypt(call: GcpCall, fields: JsonObject): Record<string, unknown> {
  const key = authorizeKey(call.state, call.caller, 'cloudkms.cryptoKeyVersions.useToDecrypt', call.resource);
  checkUse(key, 'wrap');
  const ciphertext = requiredBytes(fields, 'ciphertext', maxPlaintextBytes + 1024);
  const associated = checkedBytes(fields, 'additionalAuthenticatedData', maxAssociatedBytes);
  const plaintext = openBlob(blobKey(key), ciphertext.bytes, associated.bytes ?? new Uint8Array());
  if (plaintext === undefined) {
    throw new GcpRefusal(
      'INVALID_ARGUMENT',
      "Decryption failed: verify that 'name' refers to the correct CryptoKey.",
    );
  }
  return {
    plaintext: encodeBase64(plaintext),
    plaintextCrc32c: String(crc32c(plaintext)),
    usedPrimary: true,
    protectionLevel: 'SOFTWARE',
  };
}

async function asymmetricSign(call: GcpCall, fields: JsonObject): Promise<GcpAnswer> {
  const key = authorizeVersion(call, 'cloudkms.cryptoKeyVersions.useToSign');
  const { digest, isVerified } = digestToSign(fields);
  const signature = await signDigest(key.material, digest);
  return {
    signature: encodeBase64(signature),
    signatureCrc32c: String(crc32c(signature)),
    ...(isVerified
      ? { [fields['data'] === undefined ? 'verifiedDigestCrc32c' : 'verifiedDataCrc32c']: true }
      : {}),
    name: primaryVersion(key),
    protectionLevel: 'SOFTWARE',
  };
}

/** Either a SHA-256 digest, or data that is hashed here. */
function digestToSign(fields: JsonObject): { readonly digest: Uint8Array; readonly isVerified: boolean } {
  const { digest, digestCrc32c, data, dataCrc32c } = fields;
  if ((digest === undefined) === (data === undefined))
    throw new GcpRefusal('INVALID_ARGUMENT', 'Exactly one of digest and data is required.');
  if (data !== undefined) {
    const given = requiredBytes(
      { data, ...(dataCrc32c === undefined ? {} : { dataCrc32c }) },
      'data',
      65_536,
    );
    return { digest: createHash('sha256').update(given.bytes).digest(), isVerified: given.isVerified };
  }
  const { sha256, ...others } =
    typeof digest === 'object' && digest !== null && !Array.isArray(digest) ? (digest as JsonObject) : {};
  if (sha256 === undefined || Object.keys(others).length > 0)
    throw new GcpRefusal('INVALID_ARGUMENT', 'The digest must be sha256 for EC_SIGN_P256_SHA256.');
  const given = requiredBytes(
    { digest: sha256, ...(digestCrc32c === undefined ? {} : { digestCrc32c }) },
    'digest',
    64,
  );
  if (given.bytes.length !== 32) throw new GcpRefusal('INVALID_ARGUMENT', 'digest.sha256 must have 32 bytes');
  return { digest: given.bytes, isVerified: given.isVerified };
}

async function getPublicKey(call: GcpCall): Promise<GcpAnswer> {
  const key = authorizeVersion(call, 'cloudkms.cryptoKeyVersions.viewPublicKey');
  const format = call.query.get('publicKeyFormat') ?? 'PEM';
  if (format !== 'PEM' && format !== 'PUBLIC_KEY_FORMAT_UNSPECIFIED')
    throw new GcpRefusal('INVALID_ARGUMENT', 'The only publicKeyFormat of this emulator is PEM');
  const pem = await publicKeyPemOf(key.material);
  return {
    pem,
    algorithm: 'EC_SIGN_P256_SHA256',
    pemCrc32c: String(crc32c(Buffer.from(pem))),
    name: primaryVersion(key),
    protectionLevel: 'SOFTWARE',
  };
}

function getCryptoKeyVersion(call: GcpCall): GcpAnswer {
  const name = call.resource.replace(/\/cryptoKeyVersions\/1$/, '');
  return describeVersion(authorizeKey(call.state, call.caller, 'cloudkms.cryptoKeys.get', name));
}

function authorizeVersion(call: GcpCall, permission: string): GcpKey {
  const name = call.resource.replace(/\/cryptoKeyVersions\/1$/, '');
  const key = authorizeKey(call.state, call.caller, permission, name);
  checkUse(key, 'sign');
  return key;
}

function checkUse(key: GcpKey, use: KeyUse): void {
  if (key.use === use) return;
  const { algorithm, purpose } = facts[key.use];
  const why = `${primaryVersion(key)} has algorithm ${algorithm} and purpose ${purpose}, which cannot do this.`;
  throw new GcpRefusal('FAILED_PRECONDITION', why);
}

/** What Google calls the two kinds of key. */
const facts = {
  wrap: { purpose: 'ENCRYPT_DECRYPT', algorithm: 'GOOGLE_SYMMETRIC_ENCRYPTION' },
  sign: { purpose: 'ASYMMETRIC_SIGN', algorithm: 'EC_SIGN_P256_SHA256' },
} as const satisfies Record<KeyUse, object>;

function listKeyRings(call: GcpCall): Record<string, unknown> {
  authorizeProject(call.caller, 'cloudkms.keyRings.list', call.resource);
  const rings = [...call.state.gcpKeyRings].filter(([name]) => name.startsWith(`${call.resource}/keyRings/`));
  return {
    keyRings: rings.map(([name, createdAtMs]) => describeKeyRing(name, createdAtMs)),
    totalSize: rings.length,
  };
}

function getKeyRing(call: GcpCall): Record<string, unknown> {
  authorizeProject(call.caller, 'cloudkms.keyRings.get', call.resource);
  return describeKeyRing(call.resource, findKeyRing(call));
}

function createKeyRing(call: GcpCall): Record<string, unknown> {
  authorizeProject(call.caller, 'cloudkms.keyRings.create', call.resource);
  const name = `${call.resource}/keyRings/${newName(call, 'keyRingId')}`;
  if (call.state.gcpKeyRings.has(name))
    throw new GcpRefusal('ALREADY_EXISTS', `KeyRing ${name} already exists.`);
  call.state.gcpKeyRings.set(name, call.now);
  return describeKeyRing(name, call.now);
}

function listCryptoKeys(call: GcpCall): Record<string, unknown> {
  authorizeProject(call.caller, 'cloudkms.cryptoKeys.list', call.resource);
  findKeyRing(call);
  const keys = [...call.state.gcpKeys.values()].filter(({ name }) =>
    name.startsWith(`${call.resource}/cryptoKeys/`),
  );
  return { cryptoKeys: keys.map(describeCryptoKey), totalSize: keys.length };
}

function getCryptoKey(call: GcpCall): Record<string, unknown> {
  return describeCryptoKey(authorizeKey(call.state, call.caller, 'cloudkms.cryptoKeys.get', call.resource));
}

function createCryptoKey(call: GcpCall, fields: JsonObject): Record<string, unknown> {
  authorizeProject(call.caller, 'cloudkms.cryptoKeys.create', call.resource);
  findKeyRing(call);
  const use = useOf(fields);
  const name = `${call.resource}/cryptoKeys/${newName(call, 'cryptoKeyId')}`;
  if (call.state.gcpKeys.has(name))
    throw new GcpRefusal('ALREADY_EXISTS', `CryptoKey ${name} already exists.`);
  return describeCryptoKey(addGcpKey(call, name, use));
}

function useOf({ purpose, versionTemplate }: JsonObject): KeyUse {
  const template =
    typeof versionTemplate === 'object' && versionTemplate !== null ? (versionTemplate as JsonObject) : {};
  for (const use of ['wrap', 'sign'] as const) {
    const algorithm = template['algorithm'] ?? (use === 'wrap' ? facts.wrap.algorithm : undefined);
    if (purpose === facts[use].purpose && algorithm === facts[use].algorithm) return use;
  }
  throw new GcpRefusal(
    'INVALID_ARGUMENT',
    'This emulator makes keys for ENCRYPT_DECRYPT, and for ASYMMETRIC_SIGN with EC_SIGN_P256_SHA256',
  );
}

/** Makes a key, and its ring if need be. `name` is the full resource name. The caller has checked that it is free. */
export function addGcpKey(
  call: Pick<GcpCall, 'state' | 'now' | 'randomBytes'>,
  name: string,
  use: KeyUse = 'wrap',
): GcpKey {
  const ring = name.slice(0, name.indexOf('/cryptoKeys/'));
  if (!call.state.gcpKeyRings.has(ring)) call.state.gcpKeyRings.set(ring, call.now);
  const key: GcpKey = {
    name,
    use,
    material: use === 'sign' ? makeSigningMaterial(call.randomBytes) : Uint8Array.from(call.randomBytes(32)),
    createdAtMs: call.now,
    bindings: [],
  };
  call.state.gcpKeys.set(name, key);
  return key;
}

export function isCryptoKeyName(name: string): boolean {
  return keyPattern.test(name);
}

function getIamPolicy(call: GcpCall): Record<string, unknown> {
  const key = authorizeKey(call.state, call.caller, 'cloudkms.cryptoKeys.getIamPolicy', call.resource);
  return describePolicy(key);
}

function setIamPolicy(call: GcpCall, fields: JsonObject): Record<string, unknown> {
  const key = authorizeKey(call.state, call.caller, 'cloudkms.cryptoKeys.setIamPolicy', call.resource);
  const policy = fields['policy'] ?? null;
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy)) {
    throw new GcpRefusal('INVALID_ARGUMENT', 'policy must be an object');
  }
  const { etag, bindings, ...others } = policy as JsonObject;
  const other = Object.keys(others).find((name) => name !== 'version');
  if (other !== undefined)
    throw new GcpRefusal('INVALID_ARGUMENT', `"${excerpt(other)}" is not supported in a policy here`);
  const parsed = parseBindings(bindings);
  if (etag !== undefined && etag !== policyEtag(key.bindings)) {
    throw new GcpRefusal(
      'ABORTED',
      'There were concurrent policy changes. Please retry the whole read-modify-write.',
    );
  }
  key.bindings = parsed;
  return describePolicy(key);
}

function findKeyRing(call: GcpCall): number {
  const createdAtMs = call.state.gcpKeyRings.get(call.resource);
  if (createdAtMs !== undefined) return createdAtMs;
  throw new GcpRefusal('NOT_FOUND', `KeyRing ${call.resource} not found.`);
}

function newName(call: GcpCall, parameter: string): string {
  const name = call.query.get(parameter) ?? '';
  if (new RegExp(`^${part}$`).test(name)) return name;
  throw new GcpRefusal('INVALID_ARGUMENT', `${parameter} must match ${part}`);
}

function blobKey(key: GcpKey): { readonly keyName: string; readonly material: Uint8Array } {
  return { keyName: primaryVersion(key), material: key.material };
}

function primaryVersion(key: GcpKey): string {
  return `${key.name}/cryptoKeyVersions/1`;
}

function describeKeyRing(name: string, createdAtMs: number): Record<string, unknown> {
  return { name, createTime: formatTimestamp(createdAtMs) };
}

function describeCryptoKey(key: GcpKey): Record<string, unknown> {
  const { purpose, algorithm } = facts[key.use];
  return {
    name: key.name,
    // A key that signs has no primary version: each version is another key pair.
    ...(key.use === 'wrap' ? { primary: describeVersion(key) } : {}),
    purpose,
    createTime: formatTimestamp(key.createdAtMs),
    versionTemplate: { protectionLevel: 'SOFTWARE', algorithm },
  };
}

function describeVersion(key: GcpKey): Record<string, unknown> {
  const createTime = formatTimestamp(key.createdAtMs);
  const { algorithm } = facts[key.use];
  return { name: primaryVersion(key), state: 'ENABLED', createTime, protectionLevel: 'SOFTWARE', algorithm };
}

function describePolicy(key: GcpKey): Record<string, unknown> {
  return { version: 1, etag: policyEtag(key.bindings), bindings: key.bindings };
}
