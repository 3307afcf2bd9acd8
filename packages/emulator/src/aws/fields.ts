// Reads the parameters of a KMS request: the JSON types strictly, the constraints in AWS's words, and anything that the
// emulator does not honour refused by name, because ignoring it (DryRun, Recipient) would be worse.
import { decodeBase64, excerpt, type JsonObject, type JsonValue, parseJson, StrictError } from '@clef/strict';
import { AwsRefusal } from './aws-refusal.ts';

/** Far above the largest request of the operations here: a policy of 32 KiB, or 6 KiB of ciphertext and 8 KiB of context. */
export const maxBodyBytes = 65_536;

/** The request's JSON object. Throws `SerializationException`. */
export function parseParameters(body: Uint8Array, known: readonly string[]): JsonObject {
  let value: JsonValue;
  try {
    value = parseJson(body, { maxBytes: maxBodyBytes, maxDepth: 8 });
  } catch (cause) {
    if (!(cause instanceof StrictError)) throw cause;
    throw new AwsRefusal('SerializationException', `The request is not valid JSON: ${cause.message}`);
  }
  if (!isObject(value)) throw new AwsRefusal('SerializationException', 'Start of structure or map expected');
  const other = Object.keys(value).find((name) => !known.includes(name));
  if (other !== undefined) {
    throw new AwsRefusal(
      'ValidationException',
      `The parameter ${excerpt(other)} is not supported by this emulator`,
    );
  }
  return value;
}

type Length = { readonly min: number; readonly max: number };

/** A string, or undefined when it is absent or null. */
export function optionalString(fields: JsonObject, name: string, length: Length): string | undefined {
  const value = fields[name] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw wrongType(name, 'a String');
  checkLength(name, value.length, length);
  return value;
}

export function requiredString(fields: JsonObject, name: string, length: Length): string {
  return optionalString(fields, name, length) ?? refuseNull(name);
}

/** A string that may only be absent or one of these. */
export function optionalChoice<T extends string>(
  fields: JsonObject,
  name: string,
  choices: readonly T[],
): T | undefined {
  const value = optionalString(fields, name, { min: 0, max: 128 });
  if (value === undefined || choices.includes(value as T)) return value as T | undefined;
  throw invalid(name, excerpt(value), `Member must satisfy enum value set here: [${choices.join(', ')}]`);
}

export function requiredBlob(fields: JsonObject, name: string, length: Length): Uint8Array {
  const text = requiredString(fields, name, { min: 0, max: maxBodyBytes });
  try {
    const bytes = decodeBase64(text);
    checkLength(name, bytes.length, length);
    return bytes;
  } catch (cause) {
    if (cause instanceof StrictError) throw wrongType(name, 'base64');
    throw cause;
  }
}

export function optionalInteger(fields: JsonObject, name: string, range: Length): number | undefined {
  const value = fields[name] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(name, 'an Integer');
  if (value < range.min || value > range.max) {
    throw invalid(name, String(value), `Member must have value between ${range.min} and ${range.max}`);
  }
  return value;
}

/** Absent, null or false; true asks for what is not here. */
export function onlyFalse(fields: JsonObject, name: string): void {
  const value = fields[name] ?? false;
  if (typeof value !== 'boolean') throw wrongType(name, 'a Boolean');
  if (value)
    throw new AwsRefusal('UnsupportedOperationException', `${name} is not supported by this emulator`);
}

/** Absent, null or an empty list. */
export function onlyEmptyList(fields: JsonObject, name: string): void {
  const value = fields[name] ?? [];
  if (!Array.isArray(value)) throw wrongType(name, 'a List');
  if (value.length > 0)
    throw new AwsRefusal('UnsupportedOperationException', `${name} is not supported by this emulator`);
}

/**
 * The encryption context; no context and an empty one are the same. Two names that differ only in case are refused:
 * policies compare names without regard to case and could not tell them apart.
 */
export function encryptionContext(
  fields: JsonObject,
  field = 'EncryptionContext',
): ReadonlyMap<string, string> {
  const value = fields[field] ?? {};
  if (!isObject(value)) throw wrongType(field, 'a Map');
  const context = new Map<string, string>();
  const seen = new Set<string>();
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw wrongType(field, 'a Map of Strings');
    if (seen.has(name.toLowerCase())) {
      throw new AwsRefusal('ValidationException', 'Two names of the encryption context differ only in case');
    }
    seen.add(name.toLowerCase());
    context.set(name, text);
  }
  const length = [...context].reduce((sum, [name, text]) => sum + name.length + text.length, 0);
  checkLength('encryptionContext', length, { min: 0, max: 8192 });
  return context;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkLength(name: string, found: number, { min, max }: Length): void {
  if (found < min) throw invalid(name, 'given', `Member must have length greater than or equal to ${min}`);
  if (found > max) throw invalid(name, 'given', `Member must have length less than or equal to ${max}`);
}

function refuseNull(name: string): never {
  throw invalid(name, 'null', 'Member must not be null');
}

function invalid(name: string, value: string, constraint: string): AwsRefusal {
  const member = `${name.charAt(0).toLowerCase()}${name.slice(1)}`;
  const fault = `Value '${value}' at '${member}' failed to satisfy constraint: ${constraint}`;
  return new AwsRefusal('ValidationException', `1 validation error detected: ${fault}`);
}

function wrongType(name: string, wanted: string): AwsRefusal {
  return new AwsRefusal('SerializationException', `${name} must be ${wanted}`);
}
