// Which format a file to import has: what its bytes show comes first, then its name. What is no list of secrets at all is
// refused by its own name.
import { posix } from 'node:path';
import { foreignContent } from '../../cells/foreign-content.ts';
import { ClefError } from '../../errors.ts';
import { looksLikeSops } from './sops.ts';

/** What can be imported, as flags name it. */
export const importFormats = ['dotenv', 'json', 'yaml', 'sops'] as const;
export type ImportFormat = (typeof importFormats)[number];

/**
 * The format of a text. `given` is what the person says, and is believed unless the file is encrypted.
 * @param name - Of the file; `undefined` for standard input.
 * @throws {ClefError} `bad_format` for what is encrypted in another way or is a private key, `usage` where nothing tells.
 */
export function detectFormat(
  text: string,
  name: string | undefined,
  given: ImportFormat | undefined,
): ImportFormat {
  refuseForeign(text, name);
  if (looksLikeSops(text)) {
    if (given === undefined || given === 'sops') return 'sops';
    throw bad(name, `it is encrypted with SOPS, and --format says ${given}`, 'leave --format out');
  }
  if (given === 'sops') throw bad(name, 'it is not encrypted with SOPS', 'leave --format out');
  const format = given ?? fromText(text, name === undefined ? undefined : formatOfName(name));
  if (format !== undefined) return format;
  throw new ClefError({
    code: 'usage',
    message: `Nothing tells the format of ${name === undefined ? 'standard input' : `"${name}"`}`,
    hint: 'pass --format dotenv, json or yaml',
  });
}

function fromText(text: string, byName: ImportFormat | undefined): ImportFormat | undefined {
  if (text.trimStart().startsWith('{')) return 'json';
  if (byName !== undefined && byName !== 'json') return byName;
  const first = /^(?!\s*(?:#|$)).*$/m.exec(text)?.[0] ?? '';
  if (/^\s*(?:export\s+)?[A-Za-z_][\w.-]*\s*=/.test(first)) return 'dotenv';
  if (/^(?:---|"?'?[\w.-]+'?"?\s*:(?:\s|$))/.test(first)) return 'yaml';
  return byName;
}

function formatOfName(path: string): ImportFormat | undefined {
  const name = posix.basename(path.replaceAll('\\', '/')).toLowerCase();
  if (/^\.env(?:\.|$)|\.env$/.test(name)) return 'dotenv';
  if (name.endsWith('.json')) return 'json';
  return /\.ya?ml$/.test(name) ? 'yaml' : undefined;
}

function refuseForeign(text: string, name: string | undefined): void {
  const foreign = foreignContent(Buffer.from(text.slice(0, 64 * 1024)));
  if (foreign !== undefined) throw bad(name, foreign.what, foreign.hint);
  const start = text.trimStart();
  if (/^(?:age-encryption\.org\/v1\n|-----BEGIN AGE ENCRYPTED FILE-----)/.test(start))
    throw bad(name, 'it is encrypted with age', 'decrypt it with age and pipe it in');
  if (/^(?:-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|(?:#.*\n)*AGE-(?:SECRET-KEY|PLUGIN)-)/.test(start))
    throw bad(
      name,
      'it is a private key, not a list of secrets',
      'store it under one name with "clef set CELL KEY --file"',
    );
}

function bad(name: string | undefined, why: string, hint: string): ClefError {
  const file = name ?? 'standard input';
  return new ClefError({
    code: 'bad_format',
    message: `Cannot import ${name === undefined ? file : `"${file}"`}: ${why}`,
    hint,
    location: { file },
  });
}
