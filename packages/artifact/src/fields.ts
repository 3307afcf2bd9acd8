// The fields of one JSON object, read one by one: what is missing, of the wrong type or unknown is reported and reading
// goes on, so that all faults come at once. No report quotes a value.
import { decodeBase64, excerpt, type JsonObject, type JsonValue, StrictError, suggest } from '@clef/strict';

/** One thing that is wrong, as part of a sentence. */
export type Fault = string;

export type Fields = {
  readonly report: (fault: Fault) => void;
  readonly has: (name: string) => boolean;
  readonly get: (name: string) => JsonValue | undefined;
  /** Reports every field that is not among `names`. */
  readonly closed: (names: readonly string[]) => void;
  readonly exactly: (name: string, value: string | number) => void;
  /** A string of 1 to `maxCharacters` without control characters; empty after a report. */
  readonly text: (name: string, maxCharacters: number) => string;
  /** Bytes written as canonical base64; empty after a report. */
  readonly base64: (name: string, minBytes: number, maxBytes: number) => Uint8Array;
  readonly object: <T>(name: string, read: (fields: Fields) => T) => T | undefined;
};

/** Gives the fields of `object` to `read` and returns its result, which counts only if nothing was reported. */
export function readFields<T>(
  object: JsonObject,
  report: (fault: Fault) => void,
  read: (fields: Fields) => T,
): T {
  const has = (name: string): boolean => Object.hasOwn(object, name);
  const get = (name: string): JsonValue | undefined => (has(name) ? object[name] : undefined);
  const fields: Fields = {
    report,
    has,
    get,
    closed: (names) => reportUnknown(object, names, report),
    exactly: (name, value) => {
      if (get(name) !== value) report(`"${name}" is not ${JSON.stringify(value)}`);
    },
    text: (name, maxCharacters) => {
      const value = get(name);
      const isText = typeof value === 'string' && value.length > 0 && value.length <= maxCharacters;
      if (isText && !/\p{Cc}/u.test(value)) return value;
      report(`"${name}" is not a text of 1 to ${maxCharacters} characters`);
      return '';
    },
    base64: (name, minBytes, maxBytes) => {
      const bytes = decode(get(name));
      if (bytes !== undefined && bytes.length >= minBytes && bytes.length <= maxBytes) return bytes;
      report(`"${name}" is not base64 of ${minBytes} to ${maxBytes} bytes`);
      return new Uint8Array(0);
    },
    object: (name, readInner) => {
      const value = get(name);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        return readFields(value as JsonObject, report, readInner);
      }
      report(`"${name}" is not an object`);
      return undefined;
    },
  };
  return read(fields);
}

function reportUnknown(object: JsonObject, names: readonly string[], report: (fault: Fault) => void): void {
  for (const name of Object.keys(object)) {
    if (names.includes(name)) continue;
    const near = suggest(name, names);
    report(`"${excerpt(name)}" is no field here${near === undefined ? '' : ` (did you mean "${near}"?)`}`);
  }
}

function decode(value: JsonValue | undefined): Uint8Array | undefined {
  try {
    return typeof value === 'string' ? decodeBase64(value) : undefined;
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}
