// Cells as an attacker or an accident leaves them: each entry changes a good file in one way. The keys of the file are
// ALPHA, BETA and NUMBER; every value begins with CANARY, but for NUMBER, which is "42".
import type { ErrorCode } from '../src/errors.ts';

export type Tampering = {
  readonly title: string;
  readonly change: (text: string) => string | Uint8Array;
  /** What reading a value gives. */
  readonly code: ErrorCode;
  /** What listing the names gives, which needs no key: the same unless said. */
  readonly list?: ErrorCode | 'works';
  /** What writing gives where it is another refusal. */
  readonly set?: ErrorCode;
};

const firstLine = (line: string) => (text: string) => `${line}\n${text}`;
const inBlock = (lines: string) => (text: string) => text.replace(/^sops:$/m, `sops:\n${lines}`);
const replace = (from: RegExp | string, to: string) => (text: string) => {
  const changed = text.replace(from, to);
  if (changed === text) throw new Error(`Nothing to replace: ${from}`);
  return changed;
};
/** Replaces the value of ALPHA as a whole. */
const alpha = (value: string) => replace(/^ALPHA: .*$/m, `ALPHA: ${value}`);
/** Changes one part of the ciphertext of ALPHA. */
const part = (name: 'data' | 'iv' | 'tag', to: (base64: string) => string) => (text: string) =>
  text.replace(
    new RegExp(`^(ALPHA: ENC\\[.*?${name}:)([^,]*)`, 'm'),
    (_, before, base64) => `${before}${to(base64)}`,
  );
const ofBytes = (length: number) => () => Buffer.alloc(length, 7).toString('base64');
const swap = (text: string): string => {
  const [first = '', second = ''] = [/^ALPHA: (.*)$/m, /^BETA: (.*)$/m].map((key) => key.exec(text)?.[1]);
  return text.replace(/^ALPHA: .*$/m, `ALPHA: ${second}`).replace(/^BETA: .*$/m, `BETA: ${first}`);
};
const reorder = (text: string): string => {
  const [first = '', second = '', ...rest] = text.split('\n');
  return [second, first, ...rest].join('\n');
};
const intoGroups = (text: string): string =>
  text.replace(/^ {4}age:\n((?: {6,}.*\n)+)/m, (_, stanzas: string) => {
    const group = `        - age:\n${stanzas.replaceAll(/^/gm, '        ').trimEnd()}\n`;
    return `    shamir_threshold: 2\n    key_groups:\n${group}${group}`;
  });
const enc =
  'ENC[AES256_GCM,data:AAAA,iv:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]';

/** A KMS stanza, beside the one that opens the file, that would choose whose rights are used. */
const steered = (line: string) =>
  inBlock(`    kms:
        - arn: arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-4cde-8f01-23456789abcd
          ${line}
          created_at: "2026-01-01T00:00:00Z"
          enc: AAAA`);

/** Catalogue 1.3, in its numbers (rows C02 and C03), and table C. */
export const tamperings: readonly Tampering[] = [
  {
    title: 'C02, 1.3 #1, INV-02: a key with an empty value',
    change: firstLine('EMPTY: ""'),
    code: 'cell_plaintext',
  },
  {
    title: 'C02, 1.3 #1: a key that is a shell command',
    change: firstLine('"x;touch pwned;y": ""'),
    code: 'cell_plaintext',
  },
  {
    title: 'C02, 1.3 #2: LD_PRELOAD with an empty value',
    change: firstLine('LD_PRELOAD: ""'),
    code: 'cell_plaintext',
  },
  { title: 'C02, 1.3 #2: a null', change: firstLine('NODE_OPTIONS: null'), code: 'cell_plaintext' },
  { title: 'C02, 1.3 #2: a key without a value', change: firstLine('NODE_OPTIONS:'), code: 'cell_plaintext' },
  { title: 'C02, 1.3 #2: an empty map', change: firstLine('M: {}'), code: 'cell_plaintext' },
  { title: 'C02, 1.3 #2: an empty list', change: firstLine('L: []'), code: 'cell_plaintext' },
  {
    title: 'C02, 1.3 #3: an empty value under another name than yesterday',
    change: firstLine('RENAMED: ""'),
    code: 'cell_plaintext',
  },
  {
    title: 'C02, 1.3 #4, INV-04: str to int',
    change: replace(/^(NUMBER: .*)type:str/m, '$1type:int'),
    code: 'cell_type',
  },
  {
    title: 'C02, 1.3 #4: str to float',
    change: replace(/^(NUMBER: .*)type:str/m, '$1type:float'),
    code: 'cell_type',
  },
  {
    title: 'C02, 1.3 #5: str to bool',
    change: replace(/^(NUMBER: .*)type:str/m, '$1type:bool'),
    code: 'cell_type',
  },
  {
    title: 'C02, 1.3 #7, INV-05: text after ENC[…]',
    change: replace(/^(ALPHA: .*)$/m, '$1 x'),
    code: 'cell_tampered',
  },
  {
    title: 'C02, 1.3 #8, INV-06: another suffix for what stays in the clear',
    change: replace(/unencrypted_suffix: .*/, 'unencrypted_suffix: _TOKEN'),
    code: 'cell_tampered',
  },
  {
    title: 'C02, 1.3 #8, INV-06: encrypted_regex instead of the suffix',
    change: replace(/^( +)unencrypted_suffix: .*$/m, '$1encrypted_regex: ^(ALPHA|BETA|NUMBER)$'),
    code: 'cell_tampered',
  },
  {
    title: 'C03, 1.3 #10, C04: no MAC',
    change: replace(/^ +mac: .*\n/m, ''),
    code: 'cell_tampered',
    list: 'works',
  },
  {
    title: 'C03, 1.3 #11: another lastmodified',
    change: replace(/lastmodified: "(\d{4})/, 'lastmodified: "1999'),
    code: 'cell_tampered',
    list: 'works',
  },
  { title: 'C03, 1.3 #12: two keys in another order', change: reorder, code: 'cell_tampered', list: 'works' },
  {
    title: 'C03, 1.3 #13: a key deleted',
    change: replace(/^ALPHA: .*\n/m, ''),
    code: 'cell_tampered',
    list: 'works',
  },
  {
    title: 'C03, 1.3 #14: a key renamed',
    change: replace(/^ALPHA:/m, 'GAMMA:'),
    code: 'cell_tampered',
    list: 'works',
  },
  {
    title: 'C02, 1.3 #21, INV-13: a key with a colon',
    change: replace(/^ALPHA:/m, '"A:B":'),
    code: 'cell_profile',
  },
  {
    title: 'C02, 1.3 #21: the value one level down',
    change: replace(/^ALPHA: (.*)$/m, 'A:\n    ALPHA: $1'),
    code: 'cell_profile',
  },
  {
    title: 'INV-02: a plaintext one level down',
    change: firstLine('A:\n    B: CANARY'),
    code: 'cell_plaintext',
  },
  {
    title: 'C03, 1.3 #24: a key twice',
    change: (text) => `${text.split('\n')[0]}\n${text}`,
    code: 'bad_format',
  },
  {
    title: 'C02, 1.3 #25, INV-12: a second document with an empty key',
    change: (text) => `${text}---\nEMPTY: ""\n`,
    code: 'cell_plaintext',
  },
  {
    title: 'C02, 1.3 #25: a second document with a value of the first',
    change: (text) => `${text}---\n${text.split('\n')[0]}\n`,
    code: 'cell_tampered',
  },
  {
    title: 'C02, 1.3 #26: an anchor and its alias',
    change: (text) => `A: &a ""\nB: *a\n${text}`,
    code: 'cell_plaintext',
  },
  {
    title: 'C02, 1.3 #26: an anchor on a value',
    change: replace(/^ALPHA: /m, 'ALPHA: &a '),
    code: 'cell_tampered',
  },
  { title: 'INV-12: a tag', change: replace(/^ALPHA: /m, 'ALPHA: !!str '), code: 'cell_tampered' },
  { title: 'INV-12: a directive', change: (text) => `%YAML 1.2\n---\n${text}`, code: 'bad_format' },
  { title: 'INV-12: a merge key', change: firstLine('<<: {}'), code: 'cell_plaintext' },
  { title: 'INV-12: a complex key', change: firstLine('? [a]\n: b'), code: 'bad_format' },

  { title: 'C01: an empty file', change: () => '', code: 'bad_format' },
  { title: 'C01: plaintext YAML without a sops block', change: () => 'DB_URL: CANARY\n', code: 'bad_format' },
  { title: 'C01: a sops block that is empty', change: () => 'sops:\n', code: 'bad_format' },
  {
    title: 'C04: an empty MAC',
    change: replace(/^( +mac:) .*$/m, '$1 ""'),
    code: 'cell_tampered',
    list: 'works',
  },
  {
    title: 'C04: a MAC of nothing',
    change: replace(/^( +mac:) .*$/m, `$1 ${enc}`),
    code: 'cell_tampered',
    list: 'works',
  },
  { title: 'C04: two MACs', change: replace(/^( +mac:.*)$/m, '$1\n$1'), code: 'bad_format' },
  { title: 'C05: no lastmodified', change: replace(/^ +lastmodified: .*\n/m, ''), code: 'bad_format' },
  {
    title: 'C05: no date',
    change: replace(/lastmodified: .*/, 'lastmodified: not-a-date'),
    code: 'bad_format',
  },
  {
    title: 'C05: 30 February',
    change: replace(/lastmodified: .*/, 'lastmodified: "2026-02-30T00:00:00Z"'),
    code: 'bad_format',
  },
  {
    title: 'C05: no zone',
    change: replace(/lastmodified: .*/, 'lastmodified: "2026-01-31T00:00:00"'),
    code: 'bad_format',
  },
  {
    title: 'C05: year 10000',
    change: replace(/lastmodified: .*/, 'lastmodified: "10000-01-31T00:00:00Z"'),
    code: 'bad_format',
  },
  { title: 'C06: no version', change: replace(/^ +version: .*\n/m, ''), code: 'bad_format' },
  { title: 'C06: an empty version', change: replace(/^( +version:) .*$/m, '$1 ""'), code: 'bad_format' },
  { title: 'C06: a number as version', change: replace(/^( +version:) .*$/m, '$1 3'), code: 'bad_format' },
  { title: 'C07: no master key', change: replace(/^ {4}age:\n(?: {6,}.*\n)+/m, ''), code: 'bad_format' },
  {
    title: 'C07: an empty list of keys',
    change: replace(/^ {4}age:\n(?: {6,}.*\n)+/m, '    age: []\n'),
    code: 'bad_format',
  },
  {
    title: 'C07: only a PGP key',
    change: replace(
      /^ {4}age:\n(?: {6,}.*\n)+/m,
      '    pgp:\n        - created_at: "2026-01-31T00:00:00Z"\n          enc: x\n          fp: ABCD\n',
    ),
    code: 'cell_profile',
  },
  {
    title: 'INV-07: a key with a role',
    change: steered('role: arn:aws:iam::111122223333:role/admin'),
    code: 'cell_profile',
  },
  {
    title: 'INV-07: a key with a profile',
    change: steered('aws_profile: admin'),
    code: 'cell_profile',
  },
  {
    title: 'INV-07: a key with a context',
    change: steered('context: { a: b }'),
    code: 'cell_profile',
  },
  {
    title: 'C07: Shamir groups',
    change: intoGroups,
    code: 'cell_profile',
  },
  {
    title: 'C08: a stanza that is not armored',
    change: replace(/^( +)enc: \|\n(?: {8,}.*\n)+/m, '$1enc: CANARY\n'),
    code: 'bad_format',
    list: 'works',
  },
  {
    title: 'C08: another header',
    change: replace('BEGIN AGE', 'BEGIN EGA'),
    code: 'bad_format',
    list: 'works',
  },
  {
    title: 'C08: a stanza without its ciphertext',
    change: replace(/^( +)enc: \|\n(?: {8,}.*\n)+/m, ''),
    code: 'bad_format',
  },

  { title: 'C10: no ciphertext in ENC[…]', change: part('data', () => ''), code: 'cell_tampered' },
  { title: 'C10: no tag', change: replace(/^(ALPHA: .*),tag:[^,]*/m, '$1'), code: 'cell_tampered' },
  {
    title: 'C10: the parts in another order',
    change: replace(/^ALPHA: ENC\[AES256_GCM,(data:[^,]*),(iv:[^,]*)/m, 'ALPHA: ENC[AES256_GCM,$2,$1'),
    code: 'cell_tampered',
  },
  { title: 'C10: blanks', change: replace(/^(ALPHA: ENC\[AES256_GCM,)/m, '$1 '), code: 'cell_tampered' },
  { title: 'C10: lower case', change: replace(/^ALPHA: ENC/m, 'ALPHA: enc'), code: 'cell_tampered' },
  {
    title: 'C10: another algorithm',
    change: replace(/^ALPHA: ENC\[AES256_GCM/m, 'ALPHA: ENC[AES128_GCM'),
    code: 'cell_tampered',
  },
  {
    title: 'C11: base64 without its padding',
    change: part('tag', (text) => text.replace(/=+$/, '')),
    code: 'cell_tampered',
  },
  {
    title: 'C11: the alphabet of URLs',
    change: part('iv', (text) => `-_${text.slice(2)}`),
    code: 'cell_tampered',
  },
  {
    title: 'C11: trailing bits',
    change: part('tag', (text) => `${text.slice(0, -3)}${text.at(-3) === 'B' ? 'C' : 'B'}==`),
    code: 'cell_tampered',
  },
  {
    title: 'C11: a line break in the base64',
    change: replace(/^ALPHA: (ENC.{30})(.*)$/m, 'ALPHA: "$1\\n$2"'),
    code: 'cell_tampered',
  },
  ...[0, 11, 12, 16, 31, 33, 1000].map(
    (length): Tampering => ({
      title: `C12: an IV of ${length} bytes`,
      change: part('iv', ofBytes(length)),
      code: 'cell_tampered',
    }),
  ),
  ...[0, 4, 12, 15, 17].map(
    (length): Tampering => ({
      title: `C12: a tag of ${length} bytes`,
      change: part('tag', ofBytes(length)),
      code: 'cell_tampered',
    }),
  ),
  {
    title: 'C12: another tag of 16 bytes',
    change: part('tag', ofBytes(16)),
    code: 'cell_tampered',
    list: 'works',
  },
  {
    title: 'C12: another IV of 32 bytes',
    change: part('iv', ofBytes(32)),
    code: 'cell_tampered',
    list: 'works',
  },
  {
    title: 'C13: type:comment',
    change: replace(/^(ALPHA: .*)type:str/m, '$1type:comment'),
    code: 'cell_type',
  },
  { title: 'C13: type:bytes', change: replace(/^(ALPHA: .*)type:str/m, '$1type:bytes'), code: 'cell_type' },
  { title: 'C13: type:time', change: replace(/^(ALPHA: .*)type:str/m, '$1type:time'), code: 'cell_type' },
  { title: 'C13: type:xx', change: replace(/^(ALPHA: .*)type:str/m, '$1type:xx'), code: 'cell_tampered' },
  { title: 'C13: no type', change: replace(/^(ALPHA: .*),type:str/m, '$1'), code: 'cell_tampered' },
  ...['42', 'true', '2026-01-31', 'CANARY', '"CANARY"', '|\n    CANARY', '>\n    CANARY'].map(
    (value): Tampering => ({
      title: `C14: the plaintext ${JSON.stringify(value)}`,
      change: alpha(value),
      code: 'cell_plaintext',
    }),
  ),
  { title: 'C14: a list', change: alpha('[CANARY]'), code: 'cell_plaintext' },
  { title: 'C15: a number as key', change: replace(/^ALPHA:/m, '123:'), code: 'cell_profile' },
  { title: 'C15: an empty key', change: replace(/^ALPHA:/m, '"":'), code: 'cell_profile' },
  {
    title: 'C15: a key of 1 MB',
    change: replace(/^ALPHA:/m, `${'K'.repeat(1_000_000)}:`),
    code: 'bad_format',
  },
  {
    title: 'C17: a key with the suffix of the selector',
    change: firstLine('A_unencrypted: CANARY'),
    code: 'cell_plaintext',
  },
  {
    title: 'C17: encrypted_suffix',
    change: replace(/unencrypted_suffix: .*/, 'encrypted_suffix: A'),
    code: 'cell_tampered',
  },
  {
    title: 'C17: mac_only_encrypted',
    change: inBlock('    mac_only_encrypted: true'),
    code: 'cell_tampered',
  },
  { title: 'C17: two selectors', change: inBlock('    encrypted_suffix: _x'), code: 'bad_format' },
  { title: 'C18: two values swapped', change: swap, code: 'cell_tampered', list: 'works' },
  { title: 'C24: an INI file', change: () => '[section]\nA = CANARY\n', code: 'bad_format' },
  { title: 'C24: a dotenv file', change: () => 'A=CANARY\nsops_version=3.12.2\n', code: 'bad_format' },
  {
    title: 'C25: a pointer of Git LFS',
    change: () => `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12\n`,
    code: 'bad_format',
  },
  {
    title: 'C25: a file of git-crypt',
    change: () => new Uint8Array([0, ...Buffer.from('GITCRYPT'), 0, 1, 2, 3]),
    code: 'bad_format',
  },
  { title: 'C25: zeros after a crash', change: (text) => new Uint8Array(text.length), code: 'bad_format' },
  { title: 'C25: zeros at the end', change: (text) => `${text}\0\0\0`, code: 'bad_format' },
  {
    title: 'C26: a merge conflict',
    change: (text) =>
      `<<<<<<< ours\n${text.split('\n')[0]}\n=======\n${text.split('\n')[1]}\n>>>>>>> theirs\n${text}`,
    code: 'bad_format',
  },
  { title: 'C01: invalid UTF-8', change: () => new Uint8Array([0x41, 0x3a, 0x20, 0xff]), code: 'bad_format' },
  { title: 'C01: 20,000 brackets', change: () => `A: ${'['.repeat(20_000)}`, code: 'limit' },
  {
    title: 'C01: aliases of aliases',
    change: () =>
      `a: &a [x,x]\n${'bcdefghi'
        .split('')
        .map(
          (name, at) =>
            `${name}: &${name} [*${'abcdefgh'[at]},*${'abcdefgh'[at]},*${'abcdefgh'[at]},*${'abcdefgh'[at]},*${'abcdefgh'[at]},*${'abcdefgh'[at]},*${'abcdefgh'[at]},*${'abcdefgh'[at]},*${'abcdefgh'[at]}]`,
        )
        .join('\n')}\nsops: {}\n`,
    code: 'limit',
  },
  { title: 'C01: a scalar', change: () => 'CANARY\n', code: 'bad_format' },
  { title: 'C01: a list', change: () => '- CANARY\n', code: 'bad_format' },
];
