// Stores one value: one transaction over the cell, its sidecar and, for a new namespace, clef.yaml.
import { isUtf8 } from 'node:buffer';
import { type ChangedCell, type Confirm, changeCell } from '../cells/write.ts';
import { ClefError } from '../errors.ts';
import { checkKeyName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import { refuseDangerousNames } from './environment-policy.ts';

/** The largest value, in bytes of UTF-8 (formats.md, "A cell"). */
export const maxValueBytes = 256 * 1024;

export type SetRequest = {
  readonly cell: string;
  readonly key: string;
  /** Asked for only after every check that needs no value. UTF-8 without NUL, 1 byte to 256 KiB. */
  readonly value: () => Promise<Uint8Array>;
  readonly createNamespace: boolean;
  readonly allowedEnvironmentNames: readonly string[];
  /** Asked before a protected environment is changed. */
  readonly confirm: Confirm;
};

export type SetResult = ChangedCell & { readonly key: string };

/**
 * Stores a value, creating the cell and its namespace where they are new. A value equal to the stored one changes nothing.
 * @throws {ClefError} `bad_name`, `dangerous_name`, `empty_value`, `value_too_large`, `bad_format`, `protected`,
 * `recipients_differ`, and what naming, opening and committing a cell can give.
 */
export async function setSecret(repository: Repository, request: SetRequest): Promise<SetResult> {
  const { key } = request;
  checkKeyName(key);
  refuseDangerousNames([key], request.allowedEnvironmentNames);
  const changed = await changeCell(repository, request.cell, {
    createNamespace: request.createNamespace,
    confirm: request.confirm,
    edit: async () => {
      const value = checkValue(key, await request.value());
      return () => ({ set: new Map([[key, value]]), delete: [] });
    },
  });
  return { ...changed, key };
}

/**
 * The text of a value that a cell may hold.
 * @throws {ClefError} `empty_value`, `value_too_large`, `bad_format` (NUL, not UTF-8).
 */
export function checkValue(key: string, bytes: Uint8Array): string {
  if (bytes.length === 0) {
    throw new ClefError({
      code: 'empty_value',
      message: `The value of "${key}" is empty, and SOPS would keep that unauthenticated in the clear`,
      hint: 'leave the key out, or store a value that your program takes for "none"',
      location: { key },
    });
  }
  if (bytes.length > maxValueBytes) {
    throw new ClefError({
      code: 'value_too_large',
      message: `The value of "${key}" is larger than ${maxValueBytes} bytes`,
      hint: 'keep large files elsewhere and store the key that decrypts them',
      location: { key },
    });
  }
  if (!isUtf8(bytes)) throw unusable(key, 'is not UTF-8 text');
  // Not a TextDecoder: a value may begin with a byte order mark, and keeps it.
  const text = Buffer.from(bytes).toString('utf8');
  if (text.includes('\0')) throw unusable(key, 'has a NUL character, which no variable can hold');
  return text;
}

function unusable(key: string, why: string): ClefError {
  return new ClefError({
    code: 'bad_format',
    message: `The value of "${key}" ${why}`,
    hint: 'encode binary data as base64 before storing it',
    location: { key },
  });
}
