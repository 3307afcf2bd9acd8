// What is inside of the encryption: the header once more and the secrets, as JSON and then spaces up to a multiple of
// 4,096 bytes, so that the size says little (catalogue INV-42). Both directions.
import { excerpt, type JsonObject, type JsonValue, parseJson, StrictError } from '@clef/strict';
import { type ArtifactHeader, headerFields, maxArtifactBytes, orderedHeader } from './artifact.ts';
import { ArtifactError } from './artifact-error.ts';

const paddingBytes = 4096;
const maxValueBytes = 256 * 1024;
// A namespace of 63, two underscores, a key of 128 (formats.md, "prefix: namespace").
const namePattern = /^[A-Za-z_][A-Za-z0-9_]{0,192}$/;
const jsonLimits = { maxBytes: maxArtifactBytes, maxDepth: 3 };
const space = 0x20;
const openingBrace = 0x7b;
const closingBrace = 0x7d;

/**
 * The plaintext of an artifact.
 * @throws {ArtifactError} `bad_content` for a name or a value that no artifact may hold, and where there is no secret.
 */
export function formatSecrets(header: ArtifactHeader, secrets: ReadonlyMap<string, string>): Uint8Array {
  if (secrets.size === 0) throw new ArtifactError('bad_content', 'There is no secret to pack');
  for (const [name, value] of secrets) {
    const fault = nameFault(name) ?? valueFault(value);
    if (fault !== undefined)
      throw new ArtifactError('bad_content', `The secret "${excerpt(name)}" cannot be packed: ${fault}`);
  }
  const json = `{"header":${JSON.stringify(orderedHeader(header))},"secrets":${formatMap(secrets)}}`;
  const length = Buffer.byteLength(json, 'utf8');
  const bytes = Buffer.alloc(Math.ceil(length / paddingBytes) * paddingBytes, ' ');
  bytes.write(json, 'utf8');
  return bytes;
}

// Written by hand, because an object would lose the name "__proto__" and put names of digits first.
function formatMap(secrets: ReadonlyMap<string, string>): string {
  return `{${Array.from(secrets, ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
}

/**
 * The secrets in a plaintext whose header is `header`.
 * @throws {ArtifactError} `bad_content`; `header_mismatch` where the header inside is not the verified one (INV-37).
 */
export function parseSecrets(plaintext: Uint8Array, header: ArtifactHeader): Map<string, string> {
  const { header: inner, secrets, ...rest } = readPadded(plaintext);
  if (!isObject(inner) || !isObject(secrets) || Object.keys(rest).length > 0) {
    throw malformed('it wants "header" and "secrets", two objects, and nothing else');
  }
  if (!isSameHeader(inner, header)) {
    throw new ArtifactError(
      'header_mismatch',
      'The header inside of the encryption differs from the outer one',
    );
  }
  const entries = Object.entries(secrets).map(checkEntry);
  if (entries.length === 0) throw malformed('it holds no secret');
  return new Map(entries);
}

function readPadded(plaintext: Uint8Array): JsonObject {
  if (plaintext.length === 0 || plaintext.length % paddingBytes !== 0) {
    throw malformed(`its length is not a multiple of ${paddingBytes}`);
  }
  const json = plaintext.subarray(0, plaintext.findLastIndex((byte) => byte !== space) + 1);
  const isTight = plaintext.length - json.length < paddingBytes;
  const isBare = json[0] === openingBrace && json.at(-1) === closingBrace;
  if (!isTight || !isBare) throw malformed('it is not an object padded with the fewest spaces');
  try {
    return parseJson(json, jsonLimits) as JsonObject;
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    // Neither message nor cause: the reader's may quote a secret.
    throw malformed('it is not strict JSON');
  }
}

function isSameHeader(inner: JsonObject, header: ArtifactHeader): boolean {
  const outer: Readonly<Record<string, JsonValue | undefined>> = orderedHeader(header);
  const isClosed = Object.keys(inner).every((name) => (headerFields as readonly string[]).includes(name));
  return isClosed && headerFields.every((name) => inner[name] === outer[name]);
}

function checkEntry([name, value]: [string, JsonValue]): [string, string] {
  const fault =
    nameFault(name) ?? (typeof value === 'string' ? valueFault(value) : 'its value is not a string');
  if (fault !== undefined || typeof value !== 'string') throw malformed(`a secret is not one: ${fault}`);
  return [name, value];
}

function nameFault(name: string): string | undefined {
  return namePattern.test(name)
    ? undefined
    : 'its name is not letters, digits and underscores, or is too long';
}

function valueFault(value: string): string | undefined {
  if (value === '') return 'its value is empty';
  if (value.includes('\0')) return 'its value holds a NUL';
  if (/\p{Surrogate}/u.test(value)) return 'its value is not Unicode text';
  return Buffer.byteLength(value, 'utf8') > maxValueBytes
    ? `its value is larger than ${maxValueBytes} bytes`
    : undefined;
}

function malformed(why: string): ArtifactError {
  return new ArtifactError('bad_content', `The decrypted content is malformed: ${why}`, { faults: [why] });
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
