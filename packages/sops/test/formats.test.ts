// JSON, dotenv, INI and binary: what reads back, what is refused, what stays where it stood.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { flattenMetadata } from '../src/formats/flat-metadata.ts';
import {
  addRecipients,
  type DataKey,
  decryptTree,
  editSopsFile,
  encryptTree,
  type FormatName,
  formatForPath,
  formatPlainTree,
  formatSopsFile,
  generateAgeIdentity,
  mappingOf,
  parseAgeIdentities,
  parsePlainTree,
  parseSopsFile,
  rotateDataKey,
  SopsError,
  type SopsFile,
  stringLeaf,
  type Tree,
  unwrapDataKey,
} from '../src/index.ts';
import { typedLeaf } from '../src/leaf-values.ts';
import { isSameTree, mapTree } from '../src/tree.ts';
import { anyTreeOf } from './format-trees.ts';
import { flatTree } from './trees.ts';

const alice = generateAgeIdentity();
const bob = generateAgeIdentity();
const keyring = { ageIdentities: async () => parseAgeIdentities(alice.identity) };
const recipients = [{ type: 'age' as const, recipient: alice.recipient }];
const sources = { now: Date.parse('2026-11-24T08:00:00Z'), randomBytes };
const later = { now: sources.now + 60_000, randomBytes };
const formats = ['json', 'dotenv', 'ini', 'binary'] as const;

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const fileText = (file: SopsFile): string => textOf(formatSopsFile(file));

async function fileOf(tree: Tree, format: FormatName): Promise<{ file: SopsFile; key: DataKey }> {
  const file = await encryptTree(tree, { ...sources, format, recipients });
  return { file, key: await unwrapDataKey(file, keyring) };
}

async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
    return 'accepted';
  } catch (error) {
    if (error instanceof SopsError) return error.code;
    throw error;
  }
}

/** Each value as `path type text`, in order. */
function valuesOf(tree: Tree): string[] {
  const found: string[] = [];
  mapTree(tree, {
    leaf(leaf, { keys }) {
      found.push(`${keys.join('/')} ${leaf.type} ${textOf(leaf.bytes)}`);
      return leaf;
    },
    comment(comment, { keys }) {
      found.push(`${keys.join('/')} # ${comment.text}`);
      return comment;
    },
  });
  return found;
}

const read = (format: FormatName, text: string): string[] => valuesOf(parsePlainTree(bytesOf(text), format));

describe.each(formats)('any %s document', (format) => {
  it('reads back after writing as the same tree', () => {
    fc.assert(
      fc.property(anyTreeOf[format], (tree) => {
        const again = parsePlainTree(formatPlainTree(tree, format), format);
        expect(isSameTree(again, tree) || valuesOf(again).join('\n')).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('decrypts to the same tree, and keeps its ciphertexts when nothing changes', async () => {
    await fc.assert(
      fc.asyncProperty(anyTreeOf[format], async (tree) => {
        const { file, key } = await fileOf(tree, format);
        const opened = decryptTree(parseSopsFile(formatSopsFile(file), format), key);
        expect(isSameTree(opened, tree) || valuesOf(opened).join('\n')).toBe(true);
        // Equal values of one list share a ciphertext from the first edit on, as with the real tool.
        const first = editSopsFile(file, key, [], sources);
        const again = editSopsFile(first, key, [], later);
        const before = fileText(first).split('\n');
        const changed = fileText(again)
          .split('\n')
          .filter((line) => !before.includes(line));
        expect(changed).toHaveLength(2);
      }),
      { numRuns: 60 },
    );
  });
});

describe('an edit', () => {
  const trees: Record<string, { tree: Tree; path: string[] }> = {
    json: { tree: flatTree(manyValues()), path: ['KEY_50'] },
    dotenv: { tree: flatTree(manyValues()), path: ['KEY_50'] },
    ini: {
      tree: { documents: [mappingOf([['s', flatTree(manyValues()).documents[0] ?? mappingOf([])]])] },
      path: ['s', 'KEY_50'],
    },
  };

  function manyValues(): Record<string, string> {
    return Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`KEY_${index}`, `value ${index}`]));
  }

  it.each(Object.keys(trees))(
    'of 1 value among 100 in %s changes that line, the time and the MAC',
    async (format) => {
      const { tree, path } = trees[format] as { tree: Tree; path: string[] };
      const { file, key } = await fileOf(tree, format as FormatName);
      const edited = editSopsFile(file, key, [{ op: 'set', path, value: 'new' }], later);
      const old = fileText(file).split('\n');
      expect(
        fileText(edited)
          .split('\n')
          .filter((line) => !old.includes(line)),
      ).toHaveLength(3);
      expect(fileText(edited).split('\n')).toHaveLength(old.length);
      expect(valuesOf(decryptTree(edited, key))).toContain(`${path.join('/')} str new`);
    },
  );

  it.each(formats)('of recipients and of the data key, in %s', async (format) => {
    const tree = format === 'ini' ? (trees['ini']?.tree as Tree) : flatTree({ data: 'secret' });
    const { file, key } = await fileOf(tree, format);
    const shared = await addRecipients(file, key, [{ type: 'age', recipient: bob.recipient }], later);
    const asBob = { ageIdentities: async () => parseAgeIdentities(bob.identity) };
    expect(valuesOf(decryptTree(shared, await unwrapDataKey(shared, asBob)))).toEqual(
      valuesOf(decryptTree(file, key)),
    );
    const rotated = await rotateDataKey(shared, key, recipients, later);
    expect(valuesOf(decryptTree(rotated, await unwrapDataKey(rotated, keyring)))).toEqual(
      valuesOf(decryptTree(file, key)),
    );
  });

  it('keeps the layout of a JSON file that somebody else laid out', async () => {
    const { file, key } = await fileOf(flatTree({ A: '1', B: '2' }), 'json');
    const odd = fileText(file).replaceAll('\n', '\r\n').replaceAll('\t', '   ').replace('"A": ', '"A"  :  ');
    const edited = editSopsFile(
      parseSopsFile(bytesOf(odd), 'json'),
      key,
      [{ op: 'set', path: ['B'], value: '3' }],
      later,
    );
    const [before, after] = [odd, fileText(edited)].map((text) => text.split('\r\n'));
    expect(after?.filter((line) => !before?.includes(line))).toHaveLength(3);
    const grown = editSopsFile(edited, key, [{ op: 'set', path: ['C'], value: '4' }], later);
    expect(fileText(grown)).toMatch(/\r\n {3}"C": "ENC\[/);
  });

  it('leaves the sops block of a JSON file where it stood', async () => {
    const { file, key } = await fileOf(flatTree({ A: '1' }), 'json');
    const { sops, ...rest } = JSON.parse(fileText(file)) as Record<string, unknown>;
    const first = bytesOf(JSON.stringify({ sops, ...rest }));
    const edited = editSopsFile(
      parseSopsFile(first, 'json'),
      key,
      [{ op: 'set', path: ['A'], value: '2' }],
      later,
    );
    expect(Object.keys(JSON.parse(fileText(edited)) as object)).toEqual(['sops', 'A']);
  });
});

describe('the format of a path', () => {
  it.each([
    ['a.yaml', 'yaml'],
    ['a.yml', 'yaml'],
    ['a/b.json', 'json'],
    ['.env', 'dotenv'],
    ['prod.env', 'dotenv'],
    ['x.ini', 'ini'],
    ['.env.production', 'binary'],
    ['A.YAML', 'binary'],
    ['a.Json', 'binary'],
    ['key.pem', 'binary'],
    ['yaml', 'binary'],
  ])('%s is %s', (path, format) => expect(formatForPath(path)).toBe(format));
});

describe('JSON', () => {
  it.each([
    ['keys that look like numbers stay where they are', '{"10":"a","9":"b"}', ['10 str a', '9 str b']],
    ['a key may stand there twice', '{"a":"1","a":"2"}', ['a str 1', 'a str 2']],
    ['__proto__ is a key', '{"__proto__":"x"}', ['__proto__ str x']],
    ['an integer of 64 bits keeps its digits', '{"a":9007199254740993}', ['a int 9007199254740993']],
    ['the least integer', '{"a":-9223372036854775808}', ['a int -9223372036854775808']],
    ['beyond it is a float', '{"a":9223372036854775808}', ['a float 9223372036854776000']],
    ['a fraction', '{"a":1.50}', ['a float 1.5']],
    ['a whole fraction', '{"a":1.0}', ['a float 1']],
    ['an exponent', '{"a":1e21}', ['a float 1000000000000000000000']],
    ['a small number', '{"a":1e-7}', ['a float 0.0000001']],
    ['minus zero', '{"a":-0}', ['a float -0']],
    ['half a surrogate pair', '{"a":"\\ud800x"}', ['a str \ufffdx']],
    ['a whole pair', '{"a":"\\ud83d\\ude00"}', ['a str 😀']],
    ['CRLF', '{\r\n"a":\r\n"b"\r\n}\r\n', ['a str b']],
    ['a deeper sops key', '{"a":{"sops":"x"}}', ['a/sops str x']],
  ])('%s', (_rule, text, values) => expect(read('json', text)).toEqual(values));

  it.each([
    ['nothing', '', 'parse_error'],
    ['a list', '[1]', 'parse_error'],
    ['a string', '"a"', 'parse_error'],
    ['a cut object', '{"a":', 'parse_error'],
    ['a cut string', '{"a":"b', 'parse_error'],
    ['a comma too many', '{"a":1,}', 'parse_error'],
    ['text behind', '{"a":1}x', 'parse_error'],
    ['a byte order mark', '\ufeff{"a":1}', 'parse_error'],
    ['a leading zero', '{"a":01}', 'parse_error'],
    ['a plus sign', '{"a":+1}', 'parse_error'],
    ['a hexadecimal number', '{"a":0x10}', 'parse_error'],
    ['NaN', '{"a":NaN}', 'parse_error'],
    ['a number beyond doubles', '{"a":1e400}', 'parse_error'],
    ['a raw line break in a string', '{"a":"b\nc"}', 'parse_error'],
    ['an unknown escape', '{"a":"\\x41"}', 'parse_error'],
    ['a comment', '{/* no */"a":1}', 'parse_error'],
    ['single quotes', "{'a':1}", 'parse_error'],
    ['101 levels', `${'{"a":'.repeat(101)}1${'}'.repeat(101)}`, 'limit'],
    ['100,000 levels', '{"a":'.repeat(100_000), 'limit'],
    ['a top-level sops key', '{"sops":{}}', 'already_encrypted'],
  ])('%s is refused', async (_rule, text, code) => {
    expect(await codeOf(() => parsePlainTree(bytesOf(text), 'json'))).toBe(code);
  });

  it('says where it went wrong', () => {
    const action = () => parsePlainTree(bytesOf('{\n\t"a": 1,\n\t"b" 2\n}'), 'json');
    expect(action).toThrow(expect.objectContaining({ position: { line: 3, column: 6 } }));
  });

  it('is indented by a tab, by blanks or not at all', () => {
    const tree = parsePlainTree(bytesOf('{"a":{"b":[1]},"c":{},"d":[]}'), 'json');
    const printed = (indent?: number) =>
      textOf(formatPlainTree(tree, 'json', indent === undefined ? {} : { indent }));
    expect(printed()).toBe('{\n\t"a": {\n\t\t"b": [\n\t\t\t1\n\t\t]\n\t},\n\t"c": {},\n\t"d": []\n}\n');
    expect(printed(-1)).toBe(printed());
    expect(printed(2)).toBe('{\n  "a": {\n    "b": [\n      1\n    ]\n  },\n  "c": {},\n  "d": []\n}\n');
    expect(printed(0)).toBe('{\n"a": {\n"b": [\n1\n]\n},\n"c": {},\n"d": []\n}\n');
  });

  it.each([
    ['a sops key twice', (text: string) => text.replace('"sops"', '"sops": null, "sops"')],
    [
      'a field of the block twice',
      (text: string) => text.replace('"version"', '"version": "9.9.9", "version"'),
    ],
  ])('%s is refused in an encrypted file', async (_rule, change) => {
    const { file } = await fileOf(flatTree({ A: '1' }), 'json');
    expect(await codeOf(() => parseSopsFile(bytesOf(change(fileText(file))), 'json'))).toBe('parse_error');
  });

  it('an integer in clear beyond 2^53, which versions hash in two ways, is not written', async () => {
    const tree = { documents: [mappingOf([['n_unencrypted', typedLeaf('int', '9007199254740993')]])] };
    await expect(fileOf(tree, 'json')).rejects.toMatchObject({
      code: 'unsupported',
      path: ['n_unencrypted'],
    });
    const safe = { documents: [mappingOf([['n_unencrypted', typedLeaf('int', '9007199254740991')]])] };
    expect(valuesOf((await fileOf(safe, 'json')).file.tree)).toEqual(['n_unencrypted int 9007199254740991']);
  });
});

describe('dotenv', () => {
  it.each([
    ['quotes, blanks and export are part of it', 'export A= "b" # c', ['export A str  "b" # c']],
    ['the first = divides', 'A=b=c', ['A str b=c']],
    ['an empty key and an empty value', '=', [' str ']],
    ['the two characters \\n are a line break', 'A=b\\nc', ['A str b\nc']],
    ['other escapes are none', 'A=b\\tc\\\\', ['A str b\\tc\\\\']],
    ['a carriage return belongs to the value', 'A=b\r\n', ['A str b\r']],
    ['a byte order mark belongs to the key', '\ufeffA=b', ['\ufeffA str b']],
    ['comments', '#a\n# b\nA=1', [' # a', ' #  b', 'A str 1']],
    ['a # not in column one is no comment', ' #a=b', [' #a str b']],
    ['blank lines are skipped', '\n\nA=1\n\n', ['A str 1']],
    ['a key twice', 'A=1\nA=2', ['A str 1', 'A str 2']],
    ['nothing at all', '', []],
    ['upper case SOPS_ is a key', 'SOPS_AGE=1', ['SOPS_AGE str 1']],
  ])('%s', (_rule, text, values) => expect(read('dotenv', text)).toEqual(values));

  it('keeps bytes that are not UTF-8 in values and refuses them in keys and comments', async () => {
    const bytes = Buffer.from('A=\xff\xfe\x80é', 'latin1');
    const tree = parsePlainTree(bytes, 'dotenv');
    const { file, key } = await fileOf(tree, 'dotenv');
    expect(Buffer.from(formatPlainTree(decryptTree(file, key), 'dotenv'))).toEqual(
      Buffer.concat([bytes, Buffer.from('\n')]),
    );
    for (const text of ['\xff=1', '#\xff']) {
      expect(await codeOf(() => parsePlainTree(Buffer.from(text, 'latin1'), 'dotenv'))).toBe('parse_error');
    }
  });

  it.each([
    ['a line without =', 'A', 'parse_error'],
    ['a line of blanks', '  ', 'parse_error'],
    ['a key that begins with sops_', 'sops_x=1', 'already_encrypted'],
  ])('%s is refused', async (_rule, text, code) => {
    expect(await codeOf(() => parsePlainTree(bytesOf(text), 'dotenv'))).toBe(code);
  });

  it.each([
    ['a field twice', (text: string) => `${text}sops_version=3.12.2\n`],
    ['a field that is also a mapping', (text: string) => `${text}sops_version__map_a=1\n`],
    ['a list with gaps', (text: string) => text.replaceAll('age__list_0', 'age__list_1')],
    ['a place that is no number', (text: string) => text.replaceAll('age__list_0', 'age__list_x')],
    ['a huge place', (text: string) => text.replaceAll('age__list_0', 'age__list_999999')],
    ['a field nested without end', (text: string) => `${text}sops_x${'__map_a'.repeat(5000)}=1\n`],
    ['CRLF', (text: string) => text.replaceAll('\n', '\r\n')],
  ])('%s in the metadata is refused', async (_rule, change) => {
    const { file } = await fileOf(flatTree({ A: '1' }), 'dotenv');
    expect(await codeOf(() => parseSopsFile(bytesOf(change(fileText(file))), 'dotenv'))).toBe('bad_metadata');
  });

  it('metadata may stand anywhere and in any order', async () => {
    const { file, key } = await fileOf(flatTree({ A: '1', B: '2' }), 'dotenv');
    const mixed = fileText(file).trim().split('\n').reverse().join('\n');
    const parsed = parseSopsFile(bytesOf(mixed), 'dotenv');
    expect(parsed.metadata.keyGroups).toEqual(expect.anything());
    expect(valuesOf(parsed.tree)).toEqual(valuesOf(file.tree).reverse());
    expect(await codeOf(() => decryptTree(parsed, key))).toBe('mac_mismatch');
  });
});

describe('INI', () => {
  const section = (text: string): string[] => read('ini', `[s]\n${text}`);

  it.each([
    ['blanks around', '  k  =  v  ', ['s/k str v']],
    ['a colon divides too', 'k: a=b', ['s/k str a=b']],
    ['double quotes go', 'k = "v w"', ['s/k str v w']],
    ['single quotes go', "k = ' v '", ['s/k str  v ']],
    ['unless the same quote stands inside', 'k = "a" "b"', ['s/k str "a" "b"']],
    ['a backquote takes all literally', 'k = `a#b;"c"`', ['s/k str a#b;"c"']],
    ['three quotes span lines', 'k = """a\n b\n"""', ['s/k str a\n b\n']],
    ['what stands behind closing quotes of one line is dropped', 'k = `v` ; c', ['s/k str v']],
    ['an inline comment goes behind its key', 'k = v ; c', ['s/k str v', 's # c']],
    ['without a blank before it too', 'k = v#c', ['s/k str v', 's # c']],
    ['a backslash joins lines', 'k = a\\\n  b\\\n  c', ['s/k str abc']],
    ['a joined blank line ends it', 'k = a\\\n\nl = b', ['s/k str a', 's/l str b']],
    ['which is not joined to a comment', 'k = a # c\\\nb = 1', ['s/k str a # cb = 1']],
    ['the last closing quotes of a line end it', 'k = """a\n"""b""" ; c', ['s/k str a\n"""b', 's # c']],
    ['but not where the line ends in a backslash', 'k = `a\nb`\\\nc`', ['s/k str a\nb`\\\nc']],
    ['a key that comes again takes its comment away', '; a\nk = 1\nk = 2', ['s/k str 2']],
    [
      'a comment sheds the marks of its first line',
      '# # a\n;; b\nk = v # c',
      ['s/k str v', 's # a\n;; b\n# c'],
    ],
    ['and no mark of the other kind', ';#a\nk = v', ['s/k str v', 's # #a']],
    ['a key twice overwrites, at the first place', 'k = 1\nl = 2\nk = 3', ['s/k str 3', 's/l str 2']],
    ['quoted keys', '`a=b` = 1\n"c:d" = 2\n"""e"f""" = 3', ['s/a=b str 1', 's/c:d str 2', 's/e"f str 3']],
    ['comment lines are one comment', '; a\n; b\nk = v', ['s/k str v', 's # a\n; b']],
    ['the last comment is lost', 'k = v\n; end', ['s/k str v']],
    ['an empty value', 'k =', ['s/k str ']],
    ['%(name)s is text', 'k = %(n)s', ['s/k str %(n)s']],
    ['white space is that of Go', 'k =\u00a0\u2003v\u0085', ['s/k str v']],
  ])('%s', (_rule, text, values) => expect(section(text)).toEqual(values));

  it.each([
    ['keys before the first section', 'k = 1', ['DEFAULT/k str 1']],
    ['a section DEFAULT is a second one', 'k = 1\n[DEFAULT]\nk = 2', ['DEFAULT/k str 1', 'DEFAULT/k str 2']],
    ['a section twice stays two', '[s]\na = 1\n[s]\na = 2', ['s/a str 1', 's/a str 2']],
    ['a section goes to the last bracket', '[a]b] ; c', ['a]b # c']],
    ['a comment of a section', '# c\n[s]', ['s # c']],
    ['CRLF and a byte order mark', '\ufeff[s]\r\na = 1\r\n', ['s/a str 1']],
  ])('%s', (_rule, text, values) => expect(read('ini', text)).toEqual(values));

  it.each([
    ['a line without a delimiter', 'k', 'parse_error'],
    ['an empty key', '= v', 'parse_error'],
    ['an empty quoted key', '"" = v', 'parse_error'],
    ['a key without its closing quote', '"k = v', 'parse_error'],
    ['a value without its closing quote', 'k = `v', 'parse_error'],
    ['a section without its bracket', '[s', 'parse_error'],
    ['a section without a name', '[]', 'parse_error'],
    ['the key -', '- = v', 'unsupported'],
    ['a section sops', '[sops]', 'already_encrypted'],
  ])('%s is refused', async (_rule, text, code) => {
    expect(await codeOf(() => parsePlainTree(bytesOf(text), 'ini'))).toBe(code);
  });

  it.each([
    ['UTF-16', Buffer.from('\ufeff[s]', 'utf16le')],
    ['a key that is not UTF-8', Buffer.from('\xff = v', 'latin1')],
    ['a comment that is not UTF-8', Buffer.from('; \xff\nk = v', 'latin1')],
  ])('%s is refused', async (_rule, bytes) => {
    expect(await codeOf(() => parsePlainTree(bytes, 'ini'))).toBe('parse_error');
  });

  it.each([
    ['"', '"'],
    ['"quoted"', '`"quoted"`'],
    ["'", "'"],
    ['ends in \\', '`ends in \\`'],
    ['a`b', '"""a`b"""'],
    ['a#b', '`a#b`'],
    [' padded ', '" padded "'],
    ['two\nlines', '"""two\nlines"""'],
    ['"""', '`"""`'],
  ])('the value %j is written as %s', (value, written) => {
    const tree = { documents: [mappingOf([['s', mappingOf([['k', stringLeaf(value)]])]])] };
    expect(textOf(formatPlainTree(tree, 'ini'))).toBe(`[s]\nk = ${written}\n`);
  });

  it.each([
    ['a value that no quotes hold', 'k', '`\n"""\nx'],
    ['a key with a line break', 'a\nb', 'v'],
    ['a key with blanks around', ' a', 'v'],
    ['a key that looks like a comment', '#a', 'v'],
    ['a key that looks like a section', '[a', 'v'],
    ['the key -', '-', 'v'],
    ['an empty key', '', 'v'],
  ])('%s is not printed', async (_rule, key, value) => {
    const tree = { documents: [mappingOf([['s', mappingOf([[key, stringLeaf(value)]])]])] };
    expect(await codeOf(() => formatPlainTree(tree, 'ini'))).toBe('unsupported');
  });

  it.each(['a\n[b]', 'sops', ''])('a section named %j is not printed', async (name) => {
    const tree = { documents: [mappingOf([[name, mappingOf([['k', stringLeaf('v')]])]])] };
    expect(await codeOf(() => formatPlainTree(tree, 'ini'))).toBe('unsupported');
  });

  it('metadata are read with line breaks of both kinds and in any order, and keep theirs', async () => {
    const tree = { documents: [mappingOf([['s', mappingOf([['k', stringLeaf('v')]])]])] };
    const { file, key } = await fileOf(tree, 'ini');
    const [values = '', block = ''] = fileText(file).split('[sops]\n');
    const reversed = block.trimEnd().split('\n').reverse().join('\n');
    const broken = reversed.replace(
      /= (-----BEGIN.*)/,
      (_, enc: string) => `= """${enc.replaceAll('\\n', '\n')}"""`,
    );
    for (const text of [reversed, broken]) {
      const parsed = parseSopsFile(bytesOf(`${values}[sops]\n${text}\n`), 'ini');
      expect(parsed.metadata.keyGroups.flat()[0]?.enc).toBe(file.metadata.keyGroups.flat()[0]?.enc);
      const edited = editSopsFile(parsed, key, [{ op: 'set', path: ['s', 'k'], value: 'w' }], later);
      const names = fileText(edited)
        .split('[sops]\n')[1]
        ?.match(/^\w+(?= *=)/gm);
      expect(names).toEqual(reversed.match(/^\w+(?= *=)/gm));
    }
  });

  it('CRLF stays', async () => {
    const tree = { documents: [mappingOf([['s', mappingOf([['k', stringLeaf('v')]])]])] };
    const { file, key } = await fileOf(tree, 'ini');
    const crlf = parseSopsFile(bytesOf(fileText(file).replaceAll('\n', '\r\n')), 'ini');
    const edited = editSopsFile(crlf, key, [{ op: 'set', path: ['s', 'k'], value: 'w' }], later);
    expect(fileText(edited)).not.toMatch(/[^\r]\n/);
    expect(valuesOf(decryptTree(edited, key))).toEqual(['s/k str w']);
  });

  it('a section sops twice is refused', async () => {
    const { file } = await fileOf({ documents: [mappingOf([])] }, 'ini');
    expect(await codeOf(() => parseSopsFile(bytesOf(`${fileText(file)}[sops]\n`), 'ini'))).toBe(
      'parse_error',
    );
  });
});

describe('YAML', () => {
  it('of more than 1,000 documents is refused', async () => {
    const documents = (count: number) => bytesOf('a: b\n---\n'.repeat(count - 1).concat('a: b\n'));
    expect(await codeOf(() => parsePlainTree(documents(1000), 'yaml'))).toBe('accepted');
    expect(await codeOf(() => parsePlainTree(documents(1001), 'yaml'))).toBe('limit');
  });

  it('is indented as asked for', () => {
    const tree = parsePlainTree(bytesOf('a:\n  b:\n    - c\n'), 'yaml');
    const printed = (indent: number) => textOf(formatPlainTree(tree, 'yaml', { indent }));
    expect(printed(2)).toBe('a:\n  b:\n    - c\n');
    expect(printed(0)).toBe('a:\n    b:\n        - c\n');
    expect(printed(12)).toBe(printed(2));
  });
});

describe('binary', () => {
  it('keeps every byte, and writes neither a rule nor mac_only_encrypted', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    const rule = { kind: 'encrypted_suffix', text: '_x' } as const;
    const options = { ...sources, format: 'binary' as const, recipients, rule, macOnlyEncrypted: true };
    const file = await encryptTree(parsePlainTree(bytes, 'binary'), options);
    const key = await unwrapDataKey(file, keyring);
    expect(formatPlainTree(decryptTree(file, key), 'binary')).toEqual(bytes);
    expect(fileText(file)).not.toMatch(/suffix|mac_only/);
  });

  it('never says that a file is encrypted already', () => {
    expect(valuesOf(parsePlainTree(bytesOf('{"sops":{}}'), 'binary'))).toEqual(['data str {"sops":{}}']);
  });
});

describe('a tree of one format printed as another', () => {
  const types = parsePlainTree(
    bytesOf('s: a"b\ni: 7\nf: 2.0\ng: 1e21\nb: true\nt: 2024-01-02T03:04:05.5Z\nm: "x\\ny"\n'),
    'yaml',
  );

  it('keeps types in JSON', () => {
    expect(textOf(formatPlainTree(types, 'json'))).toBe(
      '{\n\t"s": "a\\"b",\n\t"i": 7,\n\t"f": 2,\n\t"g": 1e+21,\n\t"b": true,\n\t"t": "2024-01-02T03:04:05.5Z",\n\t"m": "x\\ny"\n}\n',
    );
  });

  it('is text in dotenv', () => {
    expect(textOf(formatPlainTree(types, 'dotenv'))).toBe(
      's=a"b\ni=7\nf=2.0\ng=1E+21\nb=true\nt=2024-01-02T03:04:05Z\nm=x\\ny\n',
    );
  });

  it('is text in INI', () => {
    const nested = { documents: [mappingOf([['s', types.documents[0] ?? mappingOf([])]])] };
    expect(textOf(formatPlainTree(nested, 'ini'))).toBe(
      '[s]\ns = a"b\ni = 7\nf = 2.0\ng = 1E+21\nb = true\nt = 2024-01-02T03:04:05Z\nm = """x\ny"""\n',
    );
  });

  it('loses its comments in JSON', () => {
    const tree = parsePlainTree(bytesOf('# c\na: 1\nl:\n  # d\n  - x\n'), 'yaml');
    expect(textOf(formatPlainTree(tree, 'json'))).toBe('{\n\t"a": 1,\n\t"l": [\n\t\t"x"\n\t]\n}\n');
  });

  it('prints a joined INI comment as as many lines', () => {
    const tree = parsePlainTree(bytesOf('[s]\n; a\n; b\nk = v\n'), 'ini');
    expect(textOf(formatPlainTree(tree, 'yaml'))).toBe('DEFAULT: {}\ns:\n    k: v\n    #a\n    #; b\n');
  });

  const yaml = (text: string): Tree => parsePlainTree(bytesOf(text), 'yaml');
  it.each([
    ['two documents', yaml('a: 1\n---\nb: 2\n'), ['json', 'dotenv', 'ini', 'binary']],
    ['infinity', yaml('a: .inf\n'), ['json', 'ini', 'binary']],
    ['a mapping', yaml('a:\n  b: 1\n'), ['dotenv', 'binary']],
    ['a list', yaml('a: [1]\n'), ['dotenv', 'ini', 'binary']],
    ['null', yaml('a: ~\n'), ['dotenv', 'ini', 'binary']],
    ['a string at top level', yaml('a: b\n'), ['ini', 'binary']],
    ['a mapping of mappings of mappings', yaml('a:\n  b:\n    c: 1\n'), ['dotenv', 'ini', 'binary']],
    ['a key with =', yaml('a=b: c\n'), ['dotenv', 'ini', 'binary']],
    ['a key with a line break', yaml('"a\\nB": c\n'), ['dotenv', 'ini', 'binary']],
    ['a key that would be metadata', yaml('sops_x: c\n'), ['dotenv', 'ini', 'binary']],
    ['data that is a number', yaml('data: 1\n'), ['ini', 'binary']],
  ])('%s is unsupported where there is no place for it', async (_rule, tree, refusing) => {
    const codes = await Promise.all(formats.map((format) => codeOf(() => formatPlainTree(tree, format))));
    expect(formats.filter((_, index) => codes[index] === 'unsupported')).toEqual(refusing);
  });

  it.each([
    ['a bool', yaml('a_unencrypted: true\n'), 'dotenv'],
    ['a whole float', yaml('a_unencrypted: 2.0\n'), 'dotenv'],
    ['a time with a fraction', yaml('a_unencrypted: 2024-01-02T03:04:05.5Z\n'), 'dotenv'],
    ['a backslash before an n', yaml("a_unencrypted: 'C:\\new'\n"), 'dotenv'],
    ['a bool', yaml('s:\n  a_unencrypted: true\n'), 'ini'],
    ['bytes that are no text', yaml('a_unencrypted: !!binary /w==\n'), 'json'],
  ] as const)('%s in clear, which would break the MAC, is not written as %s', async (_rule, tree, format) => {
    await expect(fileOf(tree, format)).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('is encrypted with its types in a format that has none', async () => {
    const { file, key } = await fileOf(types, 'dotenv');
    expect(valuesOf(decryptTree(file, key))).toEqual(valuesOf(types));
  });
});

describe('the metadata of several key groups', () => {
  const groups = {
    groups: [recipients, [{ type: 'age' as const, recipient: bob.recipient }]],
    threshold: 2,
  };
  const all = { ageIdentities: async () => parseAgeIdentities(`${alice.identity}\n${bob.identity}`) };

  it.each([...formats, 'yaml'] as const)('are laid out as the real tool does in %s', async (format) => {
    const inner = mappingOf([['data', stringLeaf('v')]]);
    const tree = { documents: [format === 'ini' ? mappingOf([['s', inner]]) : inner] };
    const file = await encryptTree(tree, { ...sources, format, recipients: groups });
    const text = fileText(file);
    const empty = {
      yaml: 'hc_vault: []',
      json: '"hc_vault": null',
      binary: '"hc_vault": null',
      dotenv: '',
      ini: '',
    };
    expect(text.split(empty[format] === '' ? 'hc_vault' : empty[format])).toHaveLength(
      empty[format] === '' ? 1 : 3,
    );
    const again = parseSopsFile(formatSopsFile(file), format);
    expect(valuesOf(decryptTree(again, await unwrapDataKey(again, all)))).toEqual(valuesOf(tree));
    const edited = editSopsFile(again, await unwrapDataKey(again, all), [], later);
    expect(fileText(edited).split('\n')).toHaveLength(text.split('\n').length);
  });

  it('are flattened under names that spell their path', async () => {
    const file = await encryptTree(flatTree({ A: '1' }), {
      ...sources,
      format: 'dotenv',
      recipients: groups,
    });
    expect(flattenMetadata(file.metadata.block).map(({ name }) => name)).toEqual([
      'key_groups__list_0__map_age__list_0__map_enc',
      'key_groups__list_0__map_age__list_0__map_recipient',
      'key_groups__list_1__map_age__list_0__map_enc',
      'key_groups__list_1__map_age__list_0__map_recipient',
      'lastmodified',
      'mac',
      'shamir_threshold',
      'unencrypted_suffix',
      'version',
    ]);
  });
});

describe('time', () => {
  const count = 10_000;
  const pairs = Array.from(
    { length: count },
    (_, index) => [`KEY_${index}`, `value ${index} of a usual length`] as const,
  );
  const sealed = (text: string) =>
    `ENC[AES256_GCM,data:${'A'.repeat(44)},iv:${'B'.repeat(43)}=,tag:${text},type:str]`;
  const value = sealed(`${'C'.repeat(22)}==`);
  const texts: Record<string, string> = {
    json: JSON.stringify(
      { ...Object.fromEntries(pairs.map(([key]) => [key, value])), sops: { mac: 'x' } },
      null,
      '\t',
    ),
    dotenv: `${pairs.map(([key]) => `${key}=${value}`).join('\n')}\nsops_mac=x\n`,
    ini: `[s]\n${pairs.map(([key]) => `${key} = ${value}`).join('\n')}\n[sops]\nmac = x\n`,
  };

  it.each(Object.keys(texts))('to read 10,000 values of %s stays far under 100 ms', async (name) => {
    const { formatNamed } = await import('../src/formats/all.ts');
    const bytes = bytesOf(texts[name] ?? '');
    const limits = { maxBytes: 64 << 20, maxDepth: 100, maxAliasedNodes: 0 };
    const times = Array.from({ length: 5 }, () => {
      const start = performance.now();
      formatNamed(name as FormatName).parse(bytes, limits);
      return performance.now() - start;
    });
    console.log(
      `${name}: 10,000 values (${(bytes.length / 1e6).toFixed(1)} MB) parsed in ${Math.min(...times).toFixed(1)} ms`,
    );
    expect(Math.min(...times)).toBeLessThan(100);
  });

  it('to seal and open 10 MB as binary', async () => {
    const bytes = randomBytes(10_000_000);
    const start = performance.now();
    const { file, key } = await fileOf(parsePlainTree(bytes, 'binary'), 'binary');
    const middle = performance.now();
    const opened = formatPlainTree(decryptTree(parseSopsFile(formatSopsFile(file), 'binary'), key), 'binary');
    const end = performance.now();
    console.log(
      `binary: 10 MB sealed in ${(middle - start).toFixed(0)} ms, opened in ${(end - middle).toFixed(0)} ms`,
    );
    expect(bytes.equals(opened)).toBe(true);
    expect(end - start).toBeLessThan(5000);
  });
});
