// Reads the fields of a request in the JSON of protocol buffers: either alphabet of base64, with or without padding, and
// 64-bit numbers as strings or numbers. Checksums are compared here.
import {
  crc32c,
  decodeBase64,
  excerpt,
  type JsonObject,
  type JsonValue,
  parseJson,
  StrictError,
} from '@clef/strict';

import { GcpRefusal } from './gcp-refusal.ts';

/** Two fields of 64 KiB in base64 and their names. */
export const maxBodyBytes = 262_144;

/** The request's JSON object; no body is an empty one. Throws `INVALID_ARGUMENT`, as Google does, also on an unknown name. */
export function parseBody(body: Uint8Array, known: readonly string[]): JsonObject {
  if (body.length === 0) return {};
  const value = parse(body);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('Root element must be a message.');
  refuseUnknown(Object.keys(value), known, 'Cannot find field.');
  return value as JsonObject;
}

function parse(body: Uint8Array): JsonValue {
  try {
    return parseJson(body, { maxBytes: maxBodyBytes, maxDepth: 8 });
  } catch (cause) {
    if (cause instanceof StrictError) throw invalid(`Invalid JSON payload received. ${cause.message}`);
    throw cause;
  }
}

/** The query's parameters that are an operation's own; those that only shape the answer are dropped. */
export function parseQuery(query: string | undefined, known: readonly string[]): ReadonlyMap<string, string> {
  const parameters = new URLSearchParams(query ?? '');
  for (const name of ['alt', '$alt', 'prettyPrint', '$prettyPrint', 'quotaUser', 'key'])
    parameters.delete(name);
  const names = [...parameters.keys()];
  refuseUnknown(names, known, 'Cannot bind query parameter.');
  if (new Set(names).size !== names.length) throw invalid('A query parameter is given twice');
  return new Map(parameters);
}

function refuseUnknown(names: readonly string[], known: readonly string[], why: string): void {
  const other = names.find((name) => !known.includes(name));
  if (other === undefined) return;
  throw invalid(`Invalid JSON payload received. Unknown name "${excerpt(other)}": ${why}`);
}

/**
 * A field of bytes and whether its checksum was given and verified; undefined bytes when it is absent.
 * Throws `INVALID_ARGUMENT`: not base64, longer than `maxBytes`, a checksum that does not fit.
 */
export function checkedBytes(
  fields: JsonObject,
  name: string,
  maxBytes: number,
): { readonly bytes: Uint8Array | undefined; readonly isVerified: boolean } {
  const bytes = bytesField(fields, name);
  if (bytes !== undefined && bytes.length > maxBytes)
    throw invalid(`${name} is longer than ${maxBytes} bytes`);
  const checksum = checksumField(fields, `${name}Crc32c`);
  if (checksum === undefined) return { bytes, isVerified: false };
  if (checksum !== crc32c(bytes ?? new Uint8Array())) {
    throw invalid(
      `The checksum in field ${snakeCase(name)}_crc32c did not match the data in field ${snakeCase(name)}.`,
    );
  }
  return { bytes, isVerified: true };
}

export function requiredBytes(fields: JsonObject, name: string, maxBytes: number) {
  const { bytes, isVerified } = checkedBytes(fields, name, maxBytes);
  if (bytes === undefined) throw invalid(`The field ${name} is required`);
  return { bytes, isVerified };
}

function bytesField(fields: JsonObject, name: string): Uint8Array | undefined {
  const text = fields[name] ?? undefined;
  if (text === undefined) return undefined;
  if (typeof text !== 'string') throw invalid(`Invalid value at '${name}' (TYPE_BYTES)`);
  const standard = text
    .replaceAll('-', '+')
    .replaceAll('_', '/')
    .replace(/={1,2}$/, '');
  try {
    return decodeBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, '='));
  } catch (cause) {
    if (cause instanceof StrictError)
      throw invalid(`Invalid value at '${name}' (TYPE_BYTES), Base64 decoding failed`);
    throw cause;
  }
}

function checksumField(fields: JsonObject, name: string): number | undefined {
  const value = fields[name] ?? undefined;
  if (value === undefined) return undefined;
  const text = String(value);
  const isNumber = (typeof value === 'string' || typeof value === 'number') && /^[0-9]{1,10}$/.test(text);
  if (!isNumber || Number(text) > 0xffff_ffff) throw invalid(`Invalid value at '${name}' (TYPE_INT64)`);
  return Number(text);
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function invalid(message: string): GcpRefusal {
  return new GcpRefusal('INVALID_ARGUMENT', message);
}
