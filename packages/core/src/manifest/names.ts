// The names of things: which are legal, how a cell is written, and what a near miss is called. Nothing else decides
// what may become part of a path or the name of a variable.

import { excerpt, suggest } from '@clef/strict';
import { ClefError } from '../errors.ts';

/** One cell of the matrix, by name. */
export type CellName = { readonly namespace: string; readonly environment: string };

/** Namespaces, environments, people, groups and service identities: formats.md, "Names". */
export const namePattern = /^[a-z][a-z0-9-]{0,62}$/;

/** Keys of a cell: what every shell and operating system takes as the name of a variable. */
export const keyNamePattern = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** What a name names; only used in messages. */
export type NameKind = 'namespace' | 'environment' | 'person' | 'group' | 'service identity';

const windowsDeviceName = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/;
const yamlWord = /^(yes|no|on|off|true|false|null)$/;

/** Why `name` is illegal, as the end of a sentence about it; undefined where it is legal. */
export function nameFault(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name.length > 63) return `has ${name.length} characters; 63 is the most`;
  if (!namePattern.test(name))
    return 'wants a lower-case letter first, then lower-case letters, digits and hyphens';
  if (windowsDeviceName.test(name)) return 'is reserved by Windows';
  if (yamlWord.test(name)) return 'is a word that YAML readers take for a boolean or null';
  return undefined;
}

/** Throws `bad_name` unless `name` is legal. */
export function checkName(name: string, kind: NameKind): void {
  const fault = nameFault(name);
  if (fault === undefined) return;
  throw new ClefError({
    code: 'bad_name',
    message: `The ${kind} name ${quoteName(name)} ${fault}`,
    hint: legalVariant(name) ?? 'choose a name such as "database" or "eu-west"',
  });
}

/**
 * Why `key` cannot be the name of a secret, as the end of a sentence about it; undefined where it can.
 * Names in `_unencrypted` would be stored in the clear by the default selector of SOPS, `sops` is the block of the file's
 * own metadata, and `_clef` is kept for Clef.
 */
export function keyNameFault(key: string): string | undefined {
  if (key === '') return 'is empty';
  if (key.length > 128) return `has ${key.length} characters; 128 is the most`;
  if (!keyNamePattern.test(key)) return 'wants letters, digits and underscores, and no digit first';
  if (key.endsWith('_unencrypted')) return 'ends in "_unencrypted", which SOPS stores in the clear';
  if (/^_clef/i.test(key)) return 'begins with "_clef", which is kept for Clef';
  if (key === 'sops') return 'is where SOPS keeps its own metadata';
  return undefined;
}

/** Throws `bad_name` unless `key` can be the name of a secret, without showing what may be a value in its place. */
export function checkKeyName(key: string): void {
  const fault = keyNameFault(key);
  if (fault === undefined) return;
  throw new ClefError({
    code: key === '' ? 'usage' : 'bad_name',
    message: key === '' ? 'The key name is empty' : `The key name ${quoteKeyName(key)} ${fault}`,
    hint: /^[A-Za-z_][A-Za-z0-9_]*=/.test(key)
      ? 'write the key alone, and the value after it or through a pipe'
      : 'choose a name such as "DB_URL"',
  });
}

/** `NAMESPACE/ENVIRONMENT`. */
export function formatCellName(cell: CellName): string {
  return `${cell.namespace}/${cell.environment}`;
}

/**
 * Reads `NAMESPACE/ENVIRONMENT`. Throws `usage` where it is not two names around one slash, and `bad_name` where a part
 * could never be a name. A part that differs from a legal name only in its case passes: looking it up gives a better
 * answer ({@link findEnvironment}, {@link findNamespace}).
 */
export function parseCellName(text: string): CellName {
  const parts = text.split('/');
  for (const part of parts) refuseImpossibleName(part, text);
  const [namespace, environment] = parts;
  if (parts.length === 2 && namespace && environment) return { namespace, environment };
  throw new ClefError({
    code: 'usage',
    message: `${quoteName(text)} is not a cell: wanted NAMESPACE/ENVIRONMENT`,
    hint: 'name a namespace and an environment, such as database/development',
  });
}

/** The existing name that `name` is probably a slip of; undefined where none is near, or where it exists itself. */
export function nearMiss(name: string, existing: readonly string[]): string | undefined {
  if (existing.includes(name)) return undefined;
  const folded = name.toLowerCase();
  return existing.find((candidate) => candidate.toLowerCase() === folded) ?? suggest(folded, existing);
}

/** `. Did you mean "x"?` for the end of a message, or nothing. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const near = nearMiss(word, candidates);
  return near === undefined ? '' : `. Did you mean "${near}"?`;
}

/** A name for a message: escaped, shortened, and never something that looks like a private key. */
export function safeName(text: string): string {
  return looksLikePrivateKey(text) ? '(not shown: it looks like a private key)' : excerpt(text);
}

/** {@link safeName} in quotes. */
export function quoteName(text: string): string {
  return looksLikePrivateKey(text) ? safeName(text) : `"${excerpt(text)}"`;
}

/**
 * What stands in the place of a key's name, for a message. What does not look like a name may be a value, or a piece of
 * one that lost its quotes, and is not shown.
 */
export function quoteKeyName(name: string): string {
  const isName = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/.test(name) && !looksLikePrivateKey(name);
  return isName ? `"${name}"` : '(not shown: it may be part of a value)';
}

/** A path or a name as one word of a line that a person may paste into a shell: a repository could have chosen it to be more. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function looksLikePrivateKey(text: string): boolean {
  return /secret-key|private key|age-plugin/i.test(text);
}

function refuseImpossibleName(part: string, whole: string): void {
  if (part === '' || namePattern.test(part.toLowerCase())) return;
  throw new ClefError({
    code: 'bad_name',
    message: `${quoteName(whole)} is not a cell: ${quoteName(part)} ${nameFault(part) ?? 'is not a legal name'}`,
    hint: 'name a namespace and an environment, such as database/development',
  });
}

function legalVariant(name: string): string | undefined {
  const variant = name.toLowerCase().replaceAll(/[_. ]+/g, '-');
  return nameFault(variant) === undefined ? `use "${variant}"` : undefined;
}

/** Lower-case Latin letters without accents, digits and single hyphens. */
export function slug(text: string): string {
  return text
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^[^a-z]+|-+$/g, '')
    .slice(0, 63)
    .replace(/-$/, '');
}

/** A key for a message: an age key, of which some have two thousand characters, by its two ends; any other whole. */
export function shortKey(key: string): string {
  return key.startsWith('age1') && key.length > 24 ? `${key.slice(0, 12)}…${key.slice(-6)}` : key;
}
