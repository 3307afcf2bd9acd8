// What is wrong with clef.yaml: faults are collected, sorted by position and thrown together as one error.

import type { Position } from '@clef/strict';
import { ClefError, type ErrorCode } from '../errors.ts';
import { safeName } from './names.ts';

/** The classes that a fault of the manifest can have. */
export type FaultClass = 'config' | 'format' | 'limit' | 'name' | 'path' | 'private_key' | 'not_supported';

/** One fault; `message` is a sentence without a period that holds no value. */
export type ManifestFault = {
  readonly class: FaultClass;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly path?: string | undefined;
  readonly position?: Position | undefined;
};

/** A place in the manifest: field names and list positions. */
export type FieldPath = readonly (string | number)[];

const codes: Readonly<Record<FaultClass, ErrorCode>> = {
  config: 'manifest_invalid',
  format: 'bad_format',
  limit: 'limit',
  name: 'bad_name',
  path: 'bad_path',
  private_key: 'private_key_given',
  not_supported: 'not_supported',
};

// A file with a thousand faults is told by its first ones.
const mostFaults = 100;

/** `environments[2].encrypt_to`, as people write it; every part made safe to show. */
export function formatFieldPath(path: FieldPath): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${safeName(step)}`))
    .join('')
    .replace(/^\./, '');
}

/** Everything wrong with `file` as one error: its class is that of the faults where they agree, else `config`. */
export function manifestError(file: string, faults: readonly ManifestFault[]): ClefError {
  return faultsError(file, faults, codes.config);
}

/** The same for another file than clef.yaml; `mixed` is the code of faults of the class `config` and of several classes. */
export function faultsError(file: string, unsorted: readonly ManifestFault[], mixed: ErrorCode): ClefError {
  const faults = [...unsorted].sort(byPosition).slice(0, mostFaults);
  const [first] = faults;
  const classes = new Set(faults.map((fault) => fault.class));
  const isOne = first !== undefined && classes.size === 1 && first.class !== 'config';
  const code = isOne ? codes[first.class] : mixed;
  const hint = faults.find((fault) => fault.hint !== undefined)?.hint;
  return new ClefError({
    code,
    message: headline(file, first, unsorted.length),
    hint: hint ?? `edit ${file}${first?.position === undefined ? '' : ` at line ${first.position.line}`}`,
    location: { file, ...first?.position },
    faults: faults.map(({ message, path, position }) => ({
      message,
      ...(path === undefined || path === '' ? {} : { path }),
      ...position,
    })),
  });
}

function headline(file: string, first: ManifestFault | undefined, count: number): string {
  if (first === undefined || count > 1) return `Cannot use "${file}": it has ${count} faults`;
  const place = first.position === undefined ? '' : ` line ${first.position.line}`;
  return `Cannot use "${file}"${place}: ${first.message}`;
}

function byPosition(a: ManifestFault, b: ManifestFault): number {
  const line = (a.position?.line ?? 0) - (b.position?.line ?? 0);
  return line !== 0 ? line : (a.position?.column ?? 0) - (b.position?.column ?? 0);
}
