// Table C of the security catalogue at the level of the SOPS file, and the limits.
import { createCipheriv, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encryptToAgeRecipient } from '../src/age/age-encryption.ts';
import { decodeArmor, encodeArmor } from '../src/age/age-file.ts';
import {
  type DataKey,
  dataKeyBytes,
  decryptTree,
  editSopsFile,
  encryptTree,
  formatSopsFile,
  generateAgeIdentity,
  parseAgeIdentities,
  parsePlainTree,
  parseSopsFile,
  SopsError,
  type SopsFile,
  unwrapDataKey,
} from '../src/index.ts';
import { flatTree, flatValues } from './trees.ts';
import { keyringOf, manifest, vectorBytes } from './vectors.ts';

const canary = 'CANARY-5b1f';
const alice = generateAgeIdentity();
const keyring = { ageIdentities: async () => parseAgeIdentities(alice.identity) };
const recipients = [{ type: 'age' as const, recipient: alice.recipient }];
const sources = { now: Date.parse('2026-11-24T08:00:00Z'), randomBytes };

const file = await encryptTree(flatTree({ A: canary, B: 'two' }), { ...sources, format: 'yaml', recipients });
const key = await unwrapDataKey(file, keyring);
const other = await encryptTree(flatTree({ A: canary, B: 'two' }), {
  ...sources,
  format: 'yaml',
  recipients,
});
const text = Buffer.from(formatSopsFile(file)).toString('utf8');
const otherText = Buffer.from(formatSopsFile(other)).toString('utf8');
const stanzas = /( {4}age:\n(?: {8}.*\n)+)/.exec(text)?.[1] ?? '';
const mac = / {4}mac: .*\n/.exec(text)?.[0] ?? '';

function read(source: string | Uint8Array): SopsFile {
  return parseSopsFile(typeof source === 'string' ? Buffer.from(source) : source, 'yaml');
}

async function codeOf(source: string | Uint8Array, dataKey?: DataKey): Promise<string> {
  const started = performance.now();
  try {
    const parsed = read(source);
    decryptTree(parsed, dataKey ?? (await unwrapDataKey(parsed, keyring)));
    return 'accepted';
  } catch (error) {
    if (!(error instanceof SopsError)) throw error;
    expect(`${error.message}${String(error.cause)}`).not.toContain(canary);
    expect(error.message).not.toMatch(/undefined|\[object|AGE-SECRET/);
    return error.code;
  } finally {
    expect(performance.now() - started).toBeLessThan(10_000);
  }
}

/** `ENC[…]` of any shape under the file's key. */
function enc(plaintext: string, { aad = 'A:', iv = 32, tag = 16, type = 'str' } = {}): string {
  const nonce = randomBytes(iv);
  const cipher = createCipheriv('aes-256-gcm', dataKeyBytes(key), nonce, { authTagLength: 16 });
  cipher.setAAD(Buffer.from(aad));
  const data = Buffer.concat([cipher.update(plaintext), cipher.final()]).toString('base64');
  const shown = Buffer.concat([cipher.getAuthTag(), Buffer.alloc(1)])
    .subarray(0, tag)
    .toString('base64');
  return `ENC[AES256_GCM,data:${data},iv:${nonce.toString('base64')},tag:${shown},type:${type}]`;
}

function withA(value: string): string {
  return text.replace(/^A: .*$/m, () => `A: ${value}`);
}

const valueOfA = /^A: (.*)$/m.exec(text)?.[1] ?? '';

describe('the text', () => {
  it.each<[string, string | Uint8Array, string]>([
    ['C01: an empty file', '', 'no_metadata'],
    ['C01: white space only', ' \n\n', 'no_metadata'],
    ['C01: only "sops:"', 'sops:\n', 'no_metadata'],
    ['C01: plaintext', `PASSWORD: ${canary}\n`, 'no_metadata'],
    ['C01: a scalar', canary, 'parse_error'],
    [
      'C25: a Git LFS pointer',
      `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 1\n`,
      'parse_error',
    ],
    ['C25: a git-crypt file', Buffer.concat([Buffer.from('\0GITCRYPT\0'), randomBytes(100)]), 'parse_error'],
    ['C25: NUL bytes after a crash', Buffer.alloc(4096), 'parse_error'],
    ['C25: NUL bytes behind the text', Buffer.concat([Buffer.from(text), Buffer.alloc(512)]), 'parse_error'],
    [
      'C26: conflict markers',
      text.replace(/^B:/m, '<<<<<<< HEAD\nB: x\n=======\nB:').replace(/^sops:/m, '>>>>>>> theirs\nsops:'),
      'parse_error',
    ],
    ['invalid UTF-8', Buffer.concat([Buffer.from(text), Buffer.from([0xff])]), 'parse_error'],
    ['UTF-16', Buffer.from(text, 'utf16le'), 'parse_error'],
    ['a key twice', text.replace(/^B:/m, 'A:'), 'parse_error'],
    ['C04: the mac twice', text.replace(mac, mac + mac), 'parse_error'],
    ['a list as a key', `[a]: x\n${text}`, 'parse_error'],
    ['C15: a number as a key', `123: ${valueOfA}\n${text}`, 'unsupported'],
    ['C15: a null as a key', `~: ${valueOfA}\n${text}`, 'unsupported'],
    ['C15: a boolean as a key', `true: ${valueOfA}\n${text}`, 'unsupported'],
    ['C15: a key of 1 MB', `${'k'.repeat(1_000_000)}: x\n${text}`, 'parse_error'],
    ['C15: a quoted key of 1 MB', `? "${'k'.repeat(1_000_000)}"\n: x\n${text}`, 'limit'],
    ['10,000 levels of flow', `x: ${'['.repeat(10_000)}${']'.repeat(10_000)}\n${text}`, 'limit'],
    ['10,000 open brackets', `x: ${'{a: '.repeat(10_000)}\n${text}`, 'limit'],
    ['10,000 levels of lists', `x:\n  ${'- '.repeat(10_000)}a\n${text}`, 'limit'],
    [
      '1,000 levels of maps',
      `${Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')}\n`,
      'limit',
    ],
    ['an alias bomb', aliasBomb(text), 'limit'],
    ['an alias of itself', `x: &x [*x]\n${text}`, 'parse_error'],
    ['an alias without an anchor', `x: *nope\n${text}`, 'parse_error'],
    ['%YAML 1.2', `%YAML 1.2\n---\n${text}`, 'parse_error'],
  ])('%s is refused', async (_, source, code) => {
    expect(await codeOf(source)).toBe(code);
  });

  it('reports the place of what is wrong', () => {
    const position = (source: string): unknown => {
      try {
        return read(source);
      } catch (error) {
        return (error as SopsError).position;
      }
    };
    expect(position(`a: "1"\nb: "2"\na: "3"\n`)).toEqual({ line: 3, column: 1 });
    expect(position('a: 1\n  b: 2\n')).toMatchObject({ line: 1 });
    expect(position('a: x\n<<<<<<< HEAD\n')).toEqual({ line: 2, column: 1 });
    expect(position(text.replace('version: 3.12.2', 'version: 3'))).toMatchObject({
      line: text.split('\n').length - 1,
    });
  });

  it('finds duplicates among 50,000 keys in linear time', () => {
    const keys = Array.from({ length: 50_000 }, (_, index) => `k${index}: ""\n`).join('');
    const started = performance.now();
    expect(() => read(`${keys}k7: ""\n${text}`)).toThrowError(
      expect.objectContaining({ code: 'parse_error' }) as Error,
    );
    expect(performance.now() - started).toBeLessThan(25_000);
  });

  it('does not run away on text made for slow patterns', () => {
    const hostile = `ENC[AES256_GCM,data:${',iv:,tag:,type:'.repeat(20_000)}`;
    const started = performance.now();
    expect(() => decryptTree(read(withA(`"${hostile}"`)), key)).toThrowError(SopsError);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('refuses a file beyond the limit of bytes before looking at it', () => {
    expect(() => parseSopsFile(Buffer.from(text), 'yaml', { maxBytes: 100 })).toThrowError(
      expect.objectContaining({ code: 'limit' }) as Error,
    );
  });
});

function aliasBomb(rest: string): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 9; level += 1) {
    lines.push(`a${level}: &a${level} [${Array.from({ length: 9 }, () => `*a${level - 1}`).join(', ')}]`);
  }
  return `${lines.join('\n')}\n${rest}`;
}

describe('the metadata', () => {
  const replaced = (pattern: RegExp | string, by: string) => text.replace(pattern, () => by);
  it.each<[string, string, string]>([
    ['C04: an empty mac', replaced(mac, '    mac: ""\n'), 'mac_mismatch'],
    ['C04: no mac', replaced(mac, ''), 'mac_mismatch'],
    [
      'C04: the mac of another file',
      replaced(mac, / {4}mac: .*\n/.exec(otherText)?.[0] ?? ''),
      'mac_undecryptable',
    ],
    ['C05: no lastmodified', replaced(/ {4}lastmodified.*\n/, ''), 'bad_metadata'],
    [
      'C05: lastmodified is no date',
      replaced(/lastmodified: .*/, 'lastmodified: not-a-date'),
      'bad_metadata',
    ],
    [
      'C05: lastmodified is no real date',
      replaced(/lastmodified: .*/, 'lastmodified: "2026-02-30T00:00:00Z"'),
      'bad_metadata',
    ],
    [
      'C05: lastmodified without a zone',
      replaced(/lastmodified: .*/, 'lastmodified: "2026-11-24T08:00:00"'),
      'bad_metadata',
    ],
    [
      'C05: the year 10000',
      replaced(/lastmodified: .*/, 'lastmodified: "10000-01-01T00:00:00Z"'),
      'bad_metadata',
    ],
    ['C05: another lastmodified', replaced('2026-11-24T08', '2026-11-24T09'), 'mac_undecryptable'],
    ['C06: version 2.x', replaced('3.12.2', '2.x'), 'bad_metadata'],
    ['C06: version as a number', replaced('3.12.2', '99.0'), 'bad_metadata'],
    ['C06: an empty version', replaced('3.12.2', '""'), 'bad_metadata'],
    ['C07: no stanza', replaced(stanzas, ''), 'bad_metadata'],
    ['C07: an empty list', replaced(stanzas, '    age: []\n'), 'bad_metadata'],
    ['C07: only pgp', replaced(stanzas, '    pgp:\n        - fp: AA\n          enc: x\n'), 'no_matching_key'],
    [
      'C07: only kms, without a key service',
      replaced(stanzas, '    kms:\n        - arn: arn:aws:kms:eu-west-1:1:key/k\n          enc: AAAA\n'),
      'no_matching_key',
    ],
    [
      'C07: Shamir groups that are no shares, but twice the whole key',
      replaced(
        stanzas,
        `    key_groups:\n        - hc_vault: []\n${indented(stanzas)}        - hc_vault: []\n${indented(stanzas)}`,
      ),
      'no_matching_key',
    ],
    ['C08: enc is missing', replaced(/enc: \|\n(?: {12}.*\n)+/, 'x: y\n'), 'bad_metadata'],
    ['C08: enc is not armored', replaced(/enc: \|\n(?: {12}.*\n)+/, 'enc: AAAA\n'), 'no_matching_key'],
    ['C08: enc with another header', replaced('BEGIN AGE', 'BEGIN PGP'), 'no_matching_key'],
    [
      'C08: enc with text behind it',
      replaced(/(END AGE ENCRYPTED FILE-----)/, 'END AGE ENCRYPTED FILE-----\n            more'),
      'no_matching_key',
    ],
    [
      'C08: enc of 10 MB',
      replaced(/enc: \|\n(?: {12}.*\n)+/, `enc: ${'A'.repeat(10_000_000)}\n`),
      'no_matching_key',
    ],
    ['C17: two rules', replaced('    version', '    encrypted_suffix: x\n    version'), 'bad_metadata'],
    [
      'C17: another rule that encrypts less',
      replaced('unencrypted_suffix: _unencrypted', 'encrypted_suffix: _enc'),
      'mac_mismatch',
    ],
    [
      'C17: mac_only_encrypted',
      replaced('    version', '    mac_only_encrypted: true\n    version'),
      'mac_mismatch',
    ],
    ['a block that is a list', `A: x\nsops: []\n`, 'bad_metadata'],
    ['stanzas that are no list', replaced(stanzas, '    age: x\n'), 'bad_metadata'],
    ['a stanza that is no map', replaced(stanzas, '    age: [x]\n'), 'bad_metadata'],
  ])('%s is refused', async (_, source, code) => {
    expect(source).not.toBe(text);
    expect(await codeOf(source)).toBe(code);
  });

  it('C08: enc with CRLF is what SOPS accepts too', async () => {
    expect(await codeOf(text.replaceAll('\n', '\r\n'))).toBe('accepted');
  });

  it('C21: 5,000 stanzas are refused', async () => {
    const one = stanzas.replace('    age:\n', '');
    expect(await codeOf(text.replace(stanzas, `    age:\n${one.repeat(5000)}`).slice(0, 20_000_000))).toBe(
      'limit',
    );
  });

  it.each([0, 16, 31, 33])('C09: a data key of %i bytes is refused', async (size) => {
    const armored = await encryptToAgeRecipient(randomBytes(size), alice.recipient, randomBytes);
    const block = armored
      .trimEnd()
      .split('\n')
      .map((line) => `            ${line}\n`)
      .join('');
    const source = text.replace(/enc: \|\n(?: {12}.*\n)+/, () => `enc: |\n${block}`);
    expect(await codeOf(source)).toBe('value_auth_failed');
  });

  it('a stanza of an age file with a flipped bit is no key of ours', async () => {
    const armored = (/-----BEGIN[\s\S]*?END AGE ENCRYPTED FILE-----/.exec(text)?.[0] ?? '').replaceAll(
      /^ +/gm,
      '',
    );
    const bytes = decodeArmor(armored) ?? new Uint8Array();
    for (let at = 0; at < bytes.length; at += 7) {
      const damaged = Uint8Array.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      const block = encodeArmor(damaged)
        .trimEnd()
        .split('\n')
        .map((line) => `            ${line}\n`)
        .join('');
      const source = text.replace(/enc: \|\n(?: {12}.*\n)+/, () => `enc: |\n${block}`);
      expect(await codeOf(source)).toBe('no_matching_key');
    }
  });
});

function indented(lines: string): string {
  return lines.replaceAll(/^/gm, '      ').replace(/ +$/, '');
}

describe('a value', () => {
  it('is accepted as the test makes it', () => {
    expect(flatValues(decryptTree(read(withA(enc(canary))), key))).toMatchObject({ A: canary });
  });

  it.each<[string, string, string]>([
    ['C10: empty data with a valid tag', enc(''), 'value_bad_format'],
    ['C10: no tag', valueOfA.replace(/,tag:[^,]+/, ''), 'value_bad_format'],
    ['C10: parts in another order', valueOfA.replace(/(,iv:[^,]+)(,tag:[^,]+)/, '$2$1'), 'value_bad_format'],
    ['C10: spaces', valueOfA.replace(',iv', ', iv'), 'value_bad_format'],
    ['C10: lower-case enc', valueOfA.replace('ENC', 'enc'), 'value_not_encrypted'],
    ['C11: no padding', valueOfA.replace(/=+,/, ','), 'value_bad_format'],
    ['C11: URL-safe letters', valueOfA.replace(/iv:../, 'iv:-_'), 'value_bad_format'],
    ['C11: a line break inside', `"${valueOfA.replace(',iv:', ',iv:\\n')}"`, 'value_bad_format'],
    [
      'C11: bits left over',
      valueOfA.replace(/(.)==,type/, (_, last: string) => `${nextLetter(last)}==,type`),
      'value_bad_format',
    ],
    ...[1, 11, 12, 16, 31, 33, 1000].map((iv): [string, string, string] => [
      `C12: an IV of ${iv} bytes, exchanged`,
      valueOfA.replace(/iv:[^,]+/, `iv:${randomBytes(iv).toString('base64')}`),
      'value_auth_failed',
    ]),
    ['C12: an IV of 0 bytes', valueOfA.replace(/iv:[^,]+/, 'iv:'), 'value_bad_format'],
    ['C12: a tag of 0 bytes', enc(canary, { tag: 0 }), 'value_bad_format'],
    ...[4, 8, 12, 15, 17].map((tag): [string, string, string] => [
      `C12: a tag of ${tag} bytes is refused`,
      enc(canary, { tag }),
      'value_auth_failed',
    ]),
    ['C13: type:comment', enc(canary, { type: 'comment' }), 'value_wrong_type'],
    ['C13: type:time', enc(canary, { type: 'time' }), 'value_wrong_type'],
    ['C13: type:xx', enc(canary, { type: 'xx' }), 'value_unknown_type'],
    ['C13: no type', valueOfA.replace(',type:str', ''), 'value_bad_format'],
    ['C14: a number', '5', 'value_not_encrypted'],
    ['C14: a boolean', 'true', 'value_not_encrypted'],
    ['C14: a date', '2026-01-01', 'value_not_encrypted'],
    ['C14: a list', '[x]', 'value_not_encrypted'],
    ['C14: a map', '{x: y}', 'value_not_encrypted'],
    ['C14: a null', 'null', 'mac_mismatch'],
    ['C14: a block', '|\n  x\n  y', 'value_not_encrypted'],
    ['C14: a folded block', '>\n  x\n  y', 'value_not_encrypted'],
    ['an empty string', '""', 'mac_mismatch'],
    ['C18: the value of B', /^B: (.*)$/m.exec(text)?.[1] ?? '', 'value_auth_failed'],
    ['C19: the value of another file', /^A: (.*)$/m.exec(otherText)?.[1] ?? '', 'value_auth_failed'],
  ])('%s is refused', async (_, value, code) => {
    expect(value).not.toBe(valueOfA);
    expect(await codeOf(withA(value), key)).toBe(code);
  });

  it('names the key and the line, never the value', () => {
    const error = (() => {
      try {
        return decryptTree(read(`# one\n${withA(canary)}`), key);
      } catch (caught) {
        return caught as SopsError;
      }
    })() as SopsError;
    expect(error).toMatchObject({
      code: 'value_not_encrypted',
      path: ['A'],
      position: { line: 2, column: 4 },
    });
    expect(error.message).not.toContain(canary);
  });

  it('C22: NUL and bytes that are no text come back as they are', async () => {
    const bytes = Uint8Array.from([0, 0xff, 0xfe, 0x41]);
    const edited = editSopsFile(file, key, [{ op: 'set', path: ['A'], value: bytes }], sources);
    const [first] = decryptTree(edited, key).documents[0]?.items ?? [];
    expect(first?.kind === 'entry' && first.value.kind === 'leaf' ? [...first.value.bytes] : []).toEqual([
      ...bytes,
    ]);
  });
});

function nextLetter(letter: string): string {
  return String.fromCharCode(letter.charCodeAt(0) + 1);
}

describe('what a profile can see', () => {
  const kinds = (source: string) =>
    read(source).features.map((feature) => `${feature.kind} ${feature.at.line}:${feature.at.column}`);

  it('nothing in a plain file', () => {
    expect(kinds(text)).toEqual([]);
  });

  it.each<[string, string, string[]]>([
    ['a comment', `# hi\n${text}`, ['comment 1:1']],
    ['C16: an inline comment', text.replace(/^A: .*$/m, '$& # hi'), [`comment 1:${valueOfA.length + 5}`]],
    ['a byte order mark', `\ufeff${text}`, ['byte_order_mark 1:1']],
    ['an anchor and an alias', `x: &x ""\ny: *x\n${text}`, ['anchor 1:7', 'alias 2:4']],
    ['a tag', `x: !!str ""\n${text}`, ['tag 1:10']],
    ['a local tag', `x: !a ""\n${text}`, ['tag 1:7']],
    ['a merge key', `<<: {}\n${text}`, ['merge_key 1:1', 'mapping 1:1']],
    ['a nested map', `x:\n  y: ""\n${text}`, ['mapping 1:1']],
    ['a list', `x: []\n${text}`, ['sequence 1:1']],
    ['a flow list', `x: [""]\n${text}`, ['flow 1:4', 'sequence 1:1']],
    ['a marker', `---\n${text}`, ['marker 1:1']],
    ['a directive', `%YAML 1.1\n---\n${text}`, ['marker 2:1', 'directive 2:1']],
    [
      'a second document',
      `${text}---\n${text}`,
      [`document ${text.split('\n').length}:1`, `marker ${text.split('\n').length}:1`],
    ],
    ['an anchor in the block', text.replace('    age:', '    age: &x'), ['anchor 5:9']],
  ])('%s', (_, source, expected) => {
    expect(kinds(source)).toEqual(expected);
  });

  it('C24: a JSON file under a YAML name, as a flow map', async () => {
    const test = manifest.cases.find(({ id }) => id === 'json-nested');
    const parsed = read(vectorBytes(test?.file ?? ''));
    expect(parsed.features[0]).toMatchObject({ kind: 'flow', at: { line: 1 } });
    expect(decryptTree(parsed, await unwrapDataKey(parsed, keyringOf(['alice']))).documents).toHaveLength(1);
  });

  it('the style and place of every value and key', () => {
    const parsed = read(text.replace(/^B: (.*)$/m, '"B":   "$1"'));
    const [a, b] = parsed.tree.documents[0]?.items ?? [];
    expect(a).toMatchObject({
      key: 'A',
      at: { line: 1, column: 1 },
      value: { type: 'str', style: 'plain', at: { line: 1, column: 4 } },
    });
    expect(b).toMatchObject({
      key: 'B',
      at: { line: 2, column: 1 },
      value: { type: 'str', style: 'double', at: { line: 2, column: 8 } },
    });
  });
});

describe('a plaintext', () => {
  it.each<[string, string, string]>([
    ['nothing', '', 'empty_file'],
    ['only a comment', '# x\n', 'parse_error'],
    ['a file that is encrypted already', text, 'already_encrypted'],
    ['a key named sops', 'sops: x\n', 'already_encrypted'],
    ['a list at the top', '- a\n', 'parse_error'],
    ['an integer beyond 64 bits', 'a: 18446744073709551615\n', 'unsupported'],
  ])('%s is refused', (_, source, code) => {
    expect(() => parsePlainTree(Buffer.from(source), 'yaml')).toThrowError(
      expect.objectContaining({ code }) as Error,
    );
  });
});
