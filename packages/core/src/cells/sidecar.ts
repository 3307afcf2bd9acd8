// The plaintext file beside a cell: when each key was last changed and by whom, and which keys are pending. Names only,
// never a value; what it says decides nothing about access.
import { formatTimestamp, isTimestamp } from '@clef/strict';
import { ClefError, type ErrorFault } from '../errors.ts';
import { keyNameFault, nameFault, quoteName, shellWord } from '../manifest/names.ts';
import { isMap, parseStrictYaml, type YamlValue } from '../manifest/strict-yaml.ts';

/** When a key's value was last changed, and by whom. */
export type KeyChange = { readonly changedAt: string; readonly by: string };

export type Sidecar = {
  readonly keys: ReadonlyMap<string, KeyChange>;
  readonly pending: ReadonlySet<string>;
};

export const emptySidecar: Sidecar = { keys: new Map(), pending: new Set() };

const maxSidecarBytes = 8 * 1024 * 1024;
const knownFields = ['version', 'keys', 'pending'];

/**
 * Reads a sidecar strictly.
 * @throws {ClefError} `bad_format` with every fault.
 */
export function parseSidecar(bytes: Uint8Array, file: string): Sidecar {
  const yaml = parseStrictYaml(bytes, { maxBytes: maxSidecarBytes });
  if ('faults' in yaml)
    throw malformed(
      file,
      yaml.faults.map(({ message, position }) => ({ message, ...position })),
    );
  if (!isMap(yaml.value)) throw malformed(file, [{ message: 'it is not a map' }]);
  const faults: Faults = Object.keys(yaml.value)
    .filter((field) => !knownFields.includes(field))
    .map((field) => ({ message: `unknown field ${quoteName(field)}`, ...yaml.positionOf([field], 'key') }));
  if (yaml.value['version'] !== 1) faults.push({ message: 'version is not 1' });
  const keys = readKeys(yaml.value['keys'], faults);
  const pending = readPending(yaml.value['pending'], faults);
  if (faults.length > 0) throw malformed(file, faults);
  return { keys, pending };
}

/** Writes a sidecar: keys sorted by name, one line a key, so that two people's changes merge by line. */
export function formatSidecar(sidecar: Sidecar): Uint8Array {
  const names = [...sidecar.keys.keys()].sort();
  const lines = names.map((name) => {
    const change = sidecar.keys.get(name) as KeyChange;
    return `  ${yamlName(name)}: { changed: ${change.changedAt}, by: ${change.by} }`;
  });
  const pending = [...sidecar.pending].sort();
  const text = [
    'version: 1',
    ...(lines.length === 0 ? ['keys: {}'] : ['keys:', ...lines]),
    ...(pending.length === 0 ? [] : [`pending: [${pending.map(yamlName).join(', ')}]`]),
    '',
  ].join('\n');
  return new TextEncoder().encode(text);
}

/** Quoted where some reader of YAML would take the name for a boolean or null. */
function yamlName(name: string): string {
  return /^(null|true|false|yes|no|on|off|y|n)$/i.test(name) ? `"${name}"` : name;
}

/** What happened to the keys of a cell, by name. */
export type KeyChanges = {
  readonly set: Iterable<string>;
  readonly deleted: Iterable<string>;
  /** Announced without a value. */
  readonly announced?: Iterable<string> | undefined;
  /** No longer pending, though nothing else happened to them. */
  readonly fulfilled?: Iterable<string> | undefined;
};

/** The sidecar after these changes. A set key is no longer pending. */
export function recordChanges(
  sidecar: Sidecar,
  { set, deleted, announced = [], fulfilled = [] }: KeyChanges,
  by: string,
  nowMilliseconds: number,
): Sidecar {
  const keys = new Map(sidecar.keys);
  const pending = new Set(sidecar.pending);
  for (const name of deleted) {
    keys.delete(name);
    pending.delete(name);
  }
  for (const name of set) {
    keys.set(name, { changedAt: formatTimestamp(nowMilliseconds), by });
    pending.delete(name);
  }
  for (const name of fulfilled) pending.delete(name);
  for (const name of announced) pending.add(name);
  return { keys, pending };
}

type Faults = { message: string; line?: number; column?: number }[];

function readKeys(value: YamlValue | undefined, faults: Faults): Map<string, KeyChange> {
  const keys = new Map<string, KeyChange>();
  if (value === undefined) return keys;
  if (!isMap(value)) {
    faults.push({ message: '"keys" is not a map' });
    return keys;
  }
  for (const [name, entry] of Object.entries(value)) {
    const change = readChange(entry);
    if (keyNameFault(name) === undefined && change !== undefined) keys.set(name, change);
    else faults.push({ message: `${quoteName(name)} in "keys" is not NAME: { changed: TIME, by: PERSON }` });
  }
  return keys;
}

function readChange(entry: YamlValue): KeyChange | undefined {
  if (!isMap(entry) || Object.keys(entry).length !== 2) return undefined;
  const { changed: changedAt, by } = entry;
  if (typeof changedAt !== 'string' || typeof by !== 'string' || nameFault(by) !== undefined)
    return undefined;
  return isTimestamp(changedAt) ? { changedAt, by } : undefined;
}

function readPending(value: YamlValue | undefined, faults: Faults): Set<string> {
  if (value === undefined) return new Set();
  const isName = (name: YamlValue): name is string =>
    typeof name === 'string' && keyNameFault(name) === undefined;
  if (Array.isArray(value) && value.every(isName)) return new Set(value);
  faults.push({ message: '"pending" is not a list of key names' });
  return new Set();
}

function malformed(file: string, faults: readonly ErrorFault[]): ClefError {
  return new ClefError({
    code: 'bad_format',
    message: `Cannot read "${file}": ${faults.map((fault) => fault.message).join('; ')}`,
    hint: `restore it with "git checkout -- ${shellWord(file)}", or delete it: it holds only names and dates`,
    location: { file },
    faults,
  });
}
