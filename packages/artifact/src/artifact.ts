// The artifact as bytes and as a value, both directions (formats.md, "The artifact"): a DSSE envelope around a payload,
// which is a header and either sealed secrets or a revocation. Nothing here verifies or decrypts.
import { createHash } from 'node:crypto';
import { type KeyReference, KmsError, parseKeyReference } from '@clef/kms';
import {
  decodeBase64,
  encodeBase64,
  type JsonObject,
  type JsonValue,
  parseJson,
  parseTimestamp,
  StrictError,
} from '@clef/strict';
import { ageStanzaType } from './age-file.ts';
import { ArtifactError } from './artifact-error.ts';
import { type Fault, type Fields, readFields } from './fields.ts';

/** The type of what is signed (DSSE), a part of every signature. */
export const payloadType = 'application/vnd.clef.artifact.v1+json';
/** No artifact is larger: neither written nor read. */
export const maxArtifactBytes = 1024 * 1024;
const maxSignatures = 8;
const maxWrappedBytes = 8 * 1024;
const maxReasonCharacters = 500;
const maxHeaderCharacters = 128;
const jsonLimits = { maxBytes: maxArtifactBytes, maxDepth: 4, maxNodes: 64 };

/** What an artifact is for. Times are RFC 3339 in UTC; `revision` is a positive safe integer, in practice milliseconds. */
export type ArtifactHeader = {
  readonly version: 1;
  readonly repository: string;
  readonly identity: string;
  readonly environment: string;
  readonly revision: number;
  /** Information only: nothing may decide on it. */
  readonly commit?: string;
  readonly packedAt: string;
  readonly expiresAt: string;
};

/** `keyId` is the hex SHA-256 of the verifying key's SPKI: a hint at which key to try, no more. */
export type Signature = { readonly keyId: string; readonly bytes: Uint8Array };

/** The outer shell: the exact bytes that are signed, and who signed them. */
export type Envelope = { readonly payload: Uint8Array; readonly signatures: readonly Signature[] };

/** With what the age file inside opens: a one-time key that a KMS wrapped, or the owner of an age key. */
export type Seal = { readonly key: KeyReference; readonly wrappedIdentity?: Uint8Array };

export type SealedPayload = {
  readonly header: ArtifactHeader;
  readonly seal: Seal;
  /** A binary age file. */
  readonly ciphertext: Uint8Array;
};
export type RevokedPayload = {
  readonly header: ArtifactHeader;
  readonly revoked: { readonly reason: string };
};
export type ArtifactPayload = SealedPayload | RevokedPayload;

/** An artifact taken apart, with nothing verified. */
export type Artifact = { readonly envelope: Envelope; readonly payload: ArtifactPayload };

/**
 * Takes an artifact apart without verifying anything: whatever it says may be a lie.
 * @throws {ArtifactError} `too_large`, `format`, `signature` where the list of signatures is not one.
 */
export function parseArtifact(bytes: Uint8Array): Artifact {
  const envelope = parseEnvelope(bytes);
  return { envelope, payload: parsePayload(envelope.payload) };
}

/** {@link parseArtifact} for the outer shell alone; the payload stays bytes, as it must until it is verified. */
export function parseEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length > maxArtifactBytes) {
    throw new ArtifactError('too_large', `The artifact is larger than ${maxArtifactBytes} bytes`);
  }
  return readObject(readJson(bytes, 'artifact'), 'artifact', (fields) => {
    fields.closed(['payloadType', 'payload', 'signatures']);
    fields.exactly('payloadType', payloadType);
    const payload = fields.base64('payload', 1, maxArtifactBytes);
    return { payload, signatures: readSignatures(fields.get('signatures'), fields.report) };
  });
}

/** The file: the payload in base64 with its signatures. Bytes that {@link parseEnvelope} gives back. */
export function formatEnvelope({ payload, signatures }: Envelope): Uint8Array {
  const list = signatures.map(({ keyId, bytes }) => ({ keyid: keyId, sig: encodeBase64(bytes) }));
  return Buffer.from(
    JSON.stringify({ payloadType, payload: encodeBase64(payload), signatures: list }),
    'utf8',
  );
}

// What is wrong inside of the list concerns the signature, and has its code (catalogue E09).
function readSignatures(value: JsonValue | undefined, report: (fault: Fault) => void): Signature[] {
  if (!Array.isArray(value)) {
    report('"signatures" is not a list');
    return [];
  }
  if (value.length > maxSignatures) {
    throw new ArtifactError('signature', `The artifact has more than ${maxSignatures} signatures`);
  }
  const signatures = value.map(readSignature);
  if (new Set(signatures.map(({ keyId }) => keyId)).size !== signatures.length) {
    throw new ArtifactError('signature', 'The artifact has two signatures of one key');
  }
  return signatures;
}

function readSignature(value: JsonValue): Signature {
  const { keyid, sig, ...rest } = isObject(value) ? value : ({} as JsonObject);
  const isShaped = typeof keyid === 'string' && /^[0-9a-f]{64}$/.test(keyid) && typeof sig === 'string';
  const bytes = isShaped && Object.keys(rest).length === 0 ? decodeOrUndefined(sig, 128) : undefined;
  if (!isShaped || bytes === undefined) {
    throw new ArtifactError('signature', 'A signature is not {"keyid": <hex SHA-256>, "sig": <base64>}');
  }
  return { keyId: keyid, bytes };
}

/** Reads the payload. Only what is verified, or shown as unverified, may come here. */
export function parsePayload(payload: Uint8Array): ArtifactPayload {
  return readObject(readJson(payload, 'payload'), 'payload', (fields) => {
    const header = readHeader(fields);
    if (fields.has('revoked')) {
      fields.closed([...headerFields, 'revoked']);
      return { header, revoked: { reason: fields.object('revoked', readReason) ?? '' } };
    }
    fields.closed([...headerFields, 'seal', 'ciphertext']);
    const seal = fields.object('seal', readSeal);
    const ciphertext = fields.base64('ciphertext', 1, maxArtifactBytes);
    if (seal !== undefined) checkStanza(seal, ciphertext, fields.report);
    return { header, seal: seal as Seal, ciphertext };
  });
}

/** The bytes that are signed, fields in the order of docs/formats.md. */
export function formatPayload(payload: ArtifactPayload): Uint8Array {
  const header = orderedHeader(payload.header);
  if ('revoked' in payload) return jsonBytes({ ...header, revoked: { reason: payload.revoked.reason } });
  const { key, wrappedIdentity } = payload.seal;
  const seal = { key: key.text, ...(wrappedIdentity && { wrappedIdentity: encodeBase64(wrappedIdentity) }) };
  return jsonBytes({ ...header, seal, ciphertext: encodeBase64(payload.ciphertext) });
}

export const headerFields = [
  'version',
  'repository',
  'identity',
  'environment',
  'revision',
  'commit',
  'packedAt',
  'expiresAt',
] as const satisfies readonly (keyof ArtifactHeader)[];

/** The header with its fields in the order of formats.md, and nothing else. */
export function orderedHeader(header: ArtifactHeader): ArtifactHeader {
  const { version, repository, identity, environment, revision, commit, packedAt, expiresAt } = header;
  const provenance = commit === undefined ? {} : { commit };
  return { version, repository, identity, environment, revision, ...provenance, packedAt, expiresAt };
}

function readHeader(fields: Fields): ArtifactHeader {
  fields.exactly('version', 1);
  const packedAt = readTime(fields, 'packedAt');
  const expiresAt = readTime(fields, 'expiresAt');
  if (packedAt.at >= expiresAt.at) fields.report('"expiresAt" is not after "packedAt"');
  const header = {
    version: 1,
    repository: fields.text('repository', maxHeaderCharacters),
    identity: fields.text('identity', maxHeaderCharacters),
    environment: fields.text('environment', maxHeaderCharacters),
    revision: readRevision(fields),
    packedAt: packedAt.text,
    expiresAt: expiresAt.text,
  } as const;
  return fields.has('commit') ? { ...header, commit: fields.text('commit', maxHeaderCharacters) } : header;
}

function readRevision(fields: Fields): number {
  const value = fields.get('revision');
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  fields.report('"revision" is not a positive integer below 2^53');
  return 0;
}

function readTime(
  fields: Fields,
  name: 'packedAt' | 'expiresAt',
): { readonly text: string; readonly at: number } {
  const text = fields.text(name, 40);
  try {
    return { text, at: parseTimestamp(text) };
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    fields.report(`"${name}" is not a UTC time such as "2026-01-31T12:34:56Z"`);
    return { text, at: Number.NaN };
  }
}

function readReason(fields: Fields): string {
  fields.closed(['reason']);
  return fields.text('reason', maxReasonCharacters);
}

function readSeal(fields: Fields): Seal | undefined {
  fields.closed(['key', 'wrappedIdentity']);
  const key = readSealingKey(fields);
  if (key?.kind === 'age' && fields.has('wrappedIdentity')) {
    fields.report('"wrappedIdentity" has no meaning beside an age key');
  }
  if (key === undefined || key.kind === 'age') return key && { key };
  return { key, wrappedIdentity: fields.base64('wrappedIdentity', 1, maxWrappedBytes) };
}

function readSealingKey(fields: Fields): KeyReference | undefined {
  try {
    const key = parseKeyReference(fields.text('key', 4096));
    if (isSealingKey(key)) return key;
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
  }
  fields.report('"key" is no key that can seal: wanted a KMS key or an age recipient');
  return undefined;
}

/** Whether a key can seal an artifact: one in a KMS, or an age recipient. */
export function isSealingKey(key: KeyReference): boolean {
  const isVersion = key.kind === 'gcpkms' && key.version !== undefined;
  return ['awskms', 'gcpkms', 'azurekms', 'hashivault', 'age'].includes(key.kind) && !isVersion;
}

// One stanza of the one kind that the key calls for: no passphrase to grind at, no second reader, nothing unknown.
function checkStanza({ key }: Seal, ciphertext: Uint8Array, report: (fault: Fault) => void): void {
  const wanted = key.kind === 'age' && !key.hybrid ? 'X25519' : 'mlkem768x25519';
  if (ciphertext.length > 0 && ageStanzaType(ciphertext) !== wanted) {
    report(`"ciphertext" is not a binary age file with one stanza, of the type ${wanted}`);
  }
}

/** Hex SHA-256, as it stands in floors and contexts. */
export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function jsonBytes(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

function readJson(bytes: Uint8Array, name: string): JsonValue {
  try {
    return parseJson(bytes, jsonLimits);
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    const place =
      error.position === undefined ? '' : ` (line ${error.position.line}, column ${error.position.column})`;
    if (error.code === 'limit') {
      throw new ArtifactError('too_large', `The ${name} is nested too deeply or holds too many values`, {
        cause: error,
      });
    }
    // The reader's own message quotes what it met, which nobody has verified.
    throw formatError(name, [`it is not strict JSON${place}`]);
  }
}

function readObject<T>(value: JsonValue, name: string, read: (fields: Fields) => T): T {
  if (!isObject(value)) throw formatError(name, ['it is not a JSON object']);
  const faults: Fault[] = [];
  const result = readFields(value, (fault) => faults.push(fault), read);
  if (faults.length > 0) throw formatError(name, faults);
  return result;
}

function formatError(name: string, faults: readonly Fault[]): ArtifactError {
  return new ArtifactError('format', `The ${name} is malformed: ${faults.join('; ')}`, { faults });
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function decodeOrUndefined(text: string, maxBytes: number): Uint8Array | undefined {
  if (text.length > maxBytes * 2) return undefined;
  try {
    return decodeBase64(text);
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}
