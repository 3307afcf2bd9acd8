// What the options of `clef sops …` say, for the operations of core; each body reads only those of its own row.
import { notCovered, type SopsKeyOptions, type SopsNewFileOptions, type SopsSourceRequest } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { printValues } from '../print.ts';

/** Options that name keys, with the field that each is for. */
const keyFlags = {
  age: 'age',
  pgp: 'pgp',
  kms: 'kms',
  gcp_kms: 'gcp-kms',
  hckms: 'hckms',
  azure_keyvault: 'azure-kv',
  hc_vault_transit_uri: 'hc-vault-transit',
} as const satisfies Record<keyof Required<SopsKeyOptions['keys']>, string>;

const ruleFlags = {
  unencrypted_suffix: '--unencrypted-suffix',
  encrypted_suffix: '--encrypted-suffix',
  unencrypted_regex: '--unencrypted-regex',
  encrypted_regex: '--encrypted-regex',
  unencrypted_comment_regex: '--unencrypted-comment-regex',
  encrypted_comment_regex: '--encrypted-comment-regex',
} as const satisfies Record<keyof Required<SopsNewFileOptions['rules']>, string>;

/** The file, its formats, and the choices that most operations share. */
export function sourceOf(
  { terminal }: CommandContext,
  input: CommandInput,
): SopsSourceRequest & {
  ignoreMac: boolean;
  decryptionOrder: string | undefined;
  config: string | undefined;
} {
  refuseUncovered(input);
  return {
    file: input.argument('file'),
    filenameOverride: input.text('--filename-override'),
    inputType: input.text('--input-type'),
    outputType: input.text('--output-type'),
    readInput: (maxBytes) => terminal.readInput(maxBytes),
    ignoreMac: input.has('--ignore-mac'),
    decryptionOrder: input.text('--decryption-order'),
    config: input.text('--config'),
  };
}

/** Where the result goes. */
export function destinationOf(input: CommandInput): { inPlace: boolean; output: string | undefined } {
  return { inPlace: input.has('-i, --in-place'), output: input.text('--output') };
}

/** The keys that options name: `--age`, or with a prefix `--add-age`. */
export function keysOf(input: CommandInput, prefix: '' | 'add-' | 'rm-' = ''): SopsKeyOptions {
  const short: Readonly<Record<string, string>> = { age: '-a, ', pgp: '-p, ', kms: '-k, ' };
  const text = (flag: string) => input.text(`${prefix === '' ? (short[flag] ?? '') : ''}--${prefix}${flag}`);
  const given = Object.entries(keyFlags).map(([field, flag]) => [field, text(flag)] as const);
  return {
    keys: Object.fromEntries(given.filter((entry) => entry[1] !== undefined)),
    encryptionContext: input.text('--encryption-context'),
    awsProfile: input.text('--aws-profile'),
  };
}

/** The rule that options name. */
export function rulesOf(input: CommandInput): SopsNewFileOptions['rules'] {
  const given = Object.entries(ruleFlags).map(([kind, flag]) => [kind, input.text(flag)] as const);
  return Object.fromEntries(given.filter((entry) => entry[1] !== undefined));
}

/** Prints what an operation returned for standard output. */
export async function print({ terminal }: CommandContext, bytes: Uint8Array | undefined): Promise<number> {
  if (bytes !== undefined) await printValues(terminal, bytes);
  return 0;
}

function refuseUncovered(input: CommandInput): void {
  if (input.list('--keyservice').length > 0) {
    throw notCovered(
      '"--keyservice"',
      'a key service speaks without encryption',
      'use keys that this machine reaches itself',
    );
  }
}
