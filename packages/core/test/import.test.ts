// Importing: what each format gives exactly, what is refused with its place, and that all of it or nothing is stored.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  encryptTree,
  encryptWithPassphrase,
  type FormatName,
  formatSopsFile,
  parsePlainTree,
  type Recipients,
} from '@clef/sops';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { processorTime } from '../../../test/processor-time.ts';
import { openRepository } from '../src/repository.ts';
import { exportSecrets } from '../src/secrets/export-secrets.ts';
import { type ImportRequest, type ImportResult, importSecrets } from '../src/secrets/import-secrets.ts';
import { readInputFile } from '../src/secrets/input-file.ts';
import {
  fillCell,
  no,
  quietly,
  refusal,
  refused,
  repositoryWith,
  strangersKey,
  type TestRepository,
  temporaryFolder,
  withVariables,
  yes,
} from './repository-with.ts';

const cell = 'database/development';

type Changes = Partial<Omit<ImportRequest, 'bytes' | 'cell'>>;

function request(
  content: string | Uint8Array,
  name: string | undefined,
  changes: Changes = {},
): ImportRequest {
  return {
    cell,
    bytes: typeof content === 'string' ? Buffer.from(content) : content,
    name,
    overwrite: false,
    skipEmpty: false,
    lastWins: false,
    isDryRun: false,
    createNamespace: false,
    allowedEnvironmentNames: [],
    confirm: yes,
    ...changes,
  };
}

const importing =
  (repository: TestRepository, content: string | Uint8Array, name?: string, changes: Changes = {}) =>
  async (): Promise<ImportResult> =>
    importSecrets(await repository.open(), request(content, name, changes));

const repository = await repositoryWith();

/** What a file gives, by a dry run and then for real in a cell of its own, which must agree (J19). */
let count = 0;
async function imported(content: string | Uint8Array, name: string, changes: Changes = {}) {
  count += 1;
  const target = `n${count}/development`;
  const open = await repository.open();
  const made = { ...request(content, name, changes), cell: target, createNamespace: true };
  const dry = await importSecrets(open, { ...made, isDryRun: true });
  const real = await importSecrets(open, made);
  expect({ ...dry, isDryRun: false }).toEqual(real);
  return repository.values(target);
}

/** How a file is refused; the dry run refuses it in the same way, and neither writes (J19). */
async function refusedImport(content: string | Uint8Array, name: string | undefined, changes: Changes = {}) {
  const real = await refused(repository, importing(repository, content, name, changes));
  const dry = await refused(repository, importing(repository, content, name, { ...changes, isDryRun: true }));
  expect(dry).toEqual(real);
  return real;
}

const faultsOf = async (content: string | Uint8Array, name: string, changes: Changes = {}) => {
  const { faults } = await refusal(importing(repository, content, name, changes)());
  return faults.map(({ line, message }) => `${line ?? '-'}: ${message}`);
};

describe('dotenv: exact values', () => {
  it.each([
    ['J01: export and spaces around "="', 'export A=1\nA2 = 2\n lower=3\n', { A: '1', A2: '2', lower: '3' }],
    ['J01: the last of a duplicate with --last', 'A=1\nA=2\n', { A: '2' }, { lastWins: true }],
    [
      'J03: comments and quotes',
      'P="ab #12"\nQ=\'a#b\'\nR=a #c\nS=a#b\n# no\n\n',
      { P: 'ab #12', Q: 'a#b', R: 'a', S: 'a#b' },
    ],
    ['J03: a comment after a quote', 'A="x" # note\nB=\'y\'\t#z\n', { A: 'x', B: 'y' }],
    [
      'J04: escapes between double quotes alone',
      'A="a\\nb\\"c"\nB=\'a\\nb\'\nC=a\\nb\n',
      { A: 'a\nb"c', B: 'a\\nb', C: 'a\\nb' },
    ],
    [
      'J04: a value of several lines',
      'K="-----BEGIN X-----\nabc=\n-----END X-----\n"\nL=\'1\n2\'\nM=`it\'s\n"x"`\n',
      {
        K: '-----BEGIN X-----\nabc=\n-----END X-----\n',
        L: '1\n2',
        M: 'it\'s\n"x"',
      },
    ],
    ['J06: CRLF and a byte order mark', '\ufeffA=1\r\nB="x\r\ny"\r\n', { A: '1', B: 'x\ny' }],
    ['J06: U+2028 between quotes', "A='a\u2028b'\n", { A: 'a\u2028b' }],
    ['an equals sign in the value, and no newline at the end', 'A=b=c==', { A: 'b=c==' }],
    ['a backslash that is kept', 'A="a\\tb\\\\"\n', { A: 'a\\tb\\\\' }],
    ['A21: a prefix', 'A=1\n', { APP_A: '1' }, { prefix: 'APP_' }],
    [
      '__proto__ is a name like any other',
      '__proto__=1\nconstructor=2\n',
      JSON.parse('{"__proto__":"1","constructor":"2"}'),
    ],
  ] as const)('%s', async (_, text, values, changes: Changes = {}) => {
    expect(await imported(text, 'x.env', changes)).toEqual(values);
  });

  it.each([['$(id)'], ['\x24{HOME}'], ['$X'], ['a`id`b'], ['$(cat /etc/passwd)x']])(
    'J05, INV-98: %s is literal and warned of; nothing is run or read',
    async (value) => {
      repository.notices.length = 0;
      expect(await imported(`A=${value}\nB="${value}"\nC='${value}'\n`, 'x.env')).toEqual({
        A: value,
        B: value,
        C: value,
      });
      expect(
        repository.notices.filter(({ level }) => level === 'warning').map(({ message }) => message),
      ).toContain('"$" and backticks are taken as they are, nothing is run or filled in (lines 1, 2)');
    },
  );
});

describe('dotenv: refused with the line', () => {
  it.each([
    ['J01: no "="', 'A=1\nCANARY\nB=2\n', ['2: There is no "=" in this line']],
    ['J01: no name', '=CANARY\n', ['1: There is no name before "="']],
    ['J01: a duplicate', 'A=CANARY\nB=1\nA=CANARY\n', ['3: "A" is there twice']],
    ['J02: an unclosed quote', 'A=1\nB="CANARY\nC=2\n', ['2: The quote that opens here is not closed']],
    ['J02: mismatched quotes', 'A="CANARY\'\n', ['1: The quote that opens here is not closed']],
    ['J02: a quote in the middle', 'A=CAN"ARY"\n', ['1: There is a quote in the middle of this value']],
    ['J02: text after a quote', 'A="CANARY"x\n', ['1: There is text after the quote that closes in line 1']],
    [
      'J02: a quote that closes lines later',
      'A="CANARY\nB="2"\n',
      ['1: There is text after the quote that closes in line 2'],
    ],
    [
      'J06: a lone carriage return',
      'A=1\rB=CANARY\n',
      ['1: There is a carriage return without a newline here'],
    ],
    ['J06: U+2028', 'A=CAN\u2028ARY\n', ['1: There is an invisible line break in this value']],
    ['J06: NUL', 'A=1\nB=CANARY\0\n', ['2: There is a NUL character here']],
    [
      'a value that begins with #',
      'A=#CANARY\n',
      ['1: This value begins with "#", which some programs take for a comment'],
    ],
    [
      'A09: illegal names, all at once',
      'A-B=CANARY\n1A=CANARY\né=CANARY\n',
      [
        '1: The key name "A-B" wants letters, digits and underscores, and no digit first',
        '2: The key name (not shown: it may be part of a value) wants letters, digits and underscores, and no digit first',
        '3: The key name (not shown: it may be part of a value) wants letters, digits and underscores, and no digit first',
      ],
    ],
    [
      'a name in _unencrypted',
      'A_unencrypted=CANARY\n',
      ['1: The key name "A_unencrypted" ends in "_unencrypted", which SOPS stores in the clear'],
    ],
    [
      'an empty value',
      'A=\nB=""\nC= # CANARY\n',
      ['1: The value of "A" is empty', '2: The value of "B" is empty', '3: The value of "C" is empty'],
    ],
    [
      'a PEM that lost its quotes shows nothing of itself',
      'K=-----BEGIN X-----\nMIICANARY/x==\nCANARY/+\n',
      [
        '2: The key name (not shown: it may be part of a value) wants letters, digits and underscores, and no digit first',
        '3: There is no "=" in this line',
      ],
    ],
  ] as const)('%s', async (_, text, faults) => {
    expect(await refusedImport(text, 'x.env')).toMatchObject({ changed: [], leaks: false });
    expect(await faultsOf(text, 'x.env')).toEqual(faults);
  });

  it.each([
    ['J06: not UTF-8', new Uint8Array([0x41, 0x3d, 0xff]), 'bad_format'],
    ['J06: UTF-16', new Uint8Array([0xff, 0xfe, 0x41, 0]), 'bad_format'],
    ['J12: an empty file', '', 'bad_format'],
    ['J12: comments alone', '# nothing\n', 'bad_format'],
    ['A13: a value above the limit', `A=${'C'.repeat(256 * 1024 + 1)}`, 'bad_format'],
  ] as const)('%s', async (_, content, code) => {
    expect(await refusedImport(content, 'x.env', { format: 'dotenv' })).toEqual(quietly(code));
  });
});

describe('J07: too much is refused within a second', () => {
  const rows = [
    ['50 MB', () => Buffer.alloc(50 * 1024 * 1024, 'A=1\n'), 'limit'],
    ['one line of 20 MB', () => Buffer.from(`A=${'x'.repeat(20_000_000)}`), 'limit'],
    ['a million lines', () => Buffer.from('A=1\n'.repeat(1_000_000)), 'limit'],
    ['a million lines of comment', () => Buffer.from('#\n'.repeat(1_000_000)), 'limit'],
    [
      '10,001 values',
      () => Buffer.from(Array.from({ length: 10_001 }, (_, n) => `A${n}=1\n`).join('')),
      'limit',
    ],
    ['150,000 quotes that never close', () => Buffer.from('A="\\"\n'.repeat(150_000)), 'bad_format'],
    ['150,000 broken lines', () => Buffer.from('x\n'.repeat(150_000)), 'bad_format'],
  ] as const;
  const formats = ['dotenv', 'json', 'yaml'] as const;
  it.each(rows)('%s', async (_, make, code) => {
    const content = make();
    for (const format of code === 'limit' && content.length > 8 * 1024 * 1024
      ? formats
      : (['dotenv'] as const)) {
      const start = processorTime();
      const error = await refusal(importing(repository, content, 'x', { format })());
      expect([format, error.code]).toEqual([format, code]);
      expect(error.faults.length).toBeLessThanOrEqual(100);
      expect(processorTime() - start).toBeLessThan(1000);
    }
  });
});

describe('JSON', () => {
  it('strings are exact, escapes and odd names too', async () => {
    const text = '{"A": "a\\u2028\\n\\"b\\\\", "__proto__": "1", "B": "\x24{X} 0777"}';
    expect(await imported(text, 'x.json')).toEqual(JSON.parse(text));
  });

  it('J08: everything that is no text is listed at once', async () => {
    const text = '{"N":1,"B":true,"Z":null,"L":["CANARY"],"M":{"x":"CANARY"},"E":"","OK":"CANARY"}';
    expect(await refusedImport(text, 'x.json')).toEqual(quietly('bad_format'));
    expect(await faultsOf(text, 'x.json')).toEqual([
      '-: "N" is a number, and a value is text',
      '-: "B" is a boolean, and a value is text',
      '-: "Z" is null, and a value is text',
      '-: "L" holds other names or a list',
      '-: "M" holds other names or a list',
      '-: The value of "E" is empty',
    ]);
  });

  it.each([
    ['J08: a duplicate key', '{"A":"CANARY","A":"2"}', 'bad_format'],
    ['J08: 1e400', '{"A":1e400}', 'bad_format'],
    ['J08: half of a surrogate pair', '{"A":"\\ud800CANARY"}', 'bad_format'],
    ['a list', '["CANARY"]', 'bad_format'],
    ['broken in a value', '{"A": "x" CANARY}', 'bad_format'],
    ['17 levels', `${'{"a":'.repeat(17)}"CANARY"${'}'.repeat(17)}`, 'limit'],
  ] as const)('%s', async (_, text, code) => {
    expect(await refusedImport(text, 'x.json', { format: 'json', flatten: '_' })).toEqual(quietly(code));
  });

  it('--flatten joins names and positions, and refuses names that meet', async () => {
    const text = '{"db":{"url":"1","ports":["5","6"]},"x":"y"}';
    expect(await imported(text, 'x.json', { flatten: '_' })).toEqual({
      db_url: '1',
      db_ports_0: '5',
      db_ports_1: '6',
      x: 'y',
    });
    expect(await imported(text, 'x.json', { flatten: '__', prefix: 'P_' })).toHaveProperty('P_db__url', '1');
    expect(await faultsOf('{"a":{"b":"CANARY"},"a_b":"2"}', 'x.json', { flatten: '_' })).toEqual([
      '-: "a_b" is there twice',
    ]);
  });
});

describe('YAML', () => {
  it('J09: plain words that are not text to every reader are refused, all at once', async () => {
    const words = [
      ...[
        'NO',
        'yes',
        'off',
        'True',
        'n',
        'null',
        '~',
        '',
        '0777',
        '0o17',
        '0x1F',
        '0b101',
        '1e3',
        '1_000',
        '-5',
        '5432',
        '.5',
      ],
      ...[
        '.inf',
        '.nan',
        '2001-01-01',
        '2001-12-14 21:59:43.10 -5',
        '12345678901234567890',
        '190:20:30',
        '=',
      ],
    ];
    const text = words.map((word, index) => `K${index}: ${word}\n`).join('');
    expect(await faultsOf(text, 'x.yaml')).toEqual(
      words.map(
        (_, index) =>
          `${index + 1}: "K${index}" is not text to every reader of YAML: a number, a date, a boolean or null`,
      ),
    );
    const quoted = words.flatMap((word, index) => (word === '' ? [] : [`K${index}: "${word}"\n`])).join('');
    expect(Object.values(await imported(quoted, 'x.yaml'))).toEqual(words.filter((word) => word !== ''));
  });

  it('text is exact in every style', async () => {
    const text = [
      'PLAIN: postgres://u:p@h:5432/d?x=1#y',
      "SINGLE: 'it''s: # not a comment'",
      'DOUBLE: "a\\tb\\u2028"',
      'BLOCK: |',
      '  line 1',
      '    line 2 ',
      'KEEP: |+',
      '  x',
      '',
      'STRIP: >-',
      '  folded',
      '  text',
      '',
    ].join('\n');
    expect(await imported(text, 'x.yml')).toEqual({
      PLAIN: 'postgres://u:p@h:5432/d?x=1#y',
      SINGLE: "it's: # not a comment",
      DOUBLE: 'a\tb\u2028',
      BLOCK: 'line 1\n  line 2 \n',
      KEEP: 'x\n\n',
      STRIP: 'folded text',
    });
  });

  it.each([
    ['J09: an anchor', 'A: &x CANARY\nB: *x\n', 'bad_format'],
    ['J09: a tag', 'A: !!str CANARY\n', 'bad_format'],
    ['a merge key', 'A: CANARY\n<<: { B: "1" }\n', 'bad_format'],
    ['a duplicate', 'A: CANARY\nA: x\n', 'bad_format'],
    ['two documents', 'A: CANARY\n---\nB: x\n', 'bad_format'],
    ['a list', '- CANARY\n', 'bad_format'],
    ['nested', 'a:\n  b: CANARY\n', 'bad_format'],
    ['an escape that is half a pair', 'A: "CANARY\\ud800"\n', 'bad_format'],
  ] as const)('%s', async (_, text, code) => {
    expect(await refusedImport(text, 'x.yaml')).toEqual(quietly(code));
  });
});

describe('which format it is', () => {
  it.each([
    ['.env', 'A=1\n', 'dotenv'],
    ['.env.local', 'A=1\n', 'dotenv'],
    ['prod.env', 'A=1\n', 'dotenv'],
    ['C24: JSON in x.yaml', '{"A":"1"}', 'json', 'x.yaml'],
    ['C24: YAML in x.json', 'A: x\n', 'yaml', 'x.json'],
    ['standard input of JSON', ' {"A":"1"}', 'json', undefined],
    ['standard input of YAML', '# c\nA: x\n', 'yaml', undefined],
    ['standard input of dotenv', '# c\n\nexport A=1\n', 'dotenv', undefined],
    ['a name that says nothing', 'A=1\n', 'dotenv', 'secrets.txt'],
  ] as const)('%s', async (...[title, text, format, name = 'title']) => {
    const found = await importing(
      repository,
      text,
      name === 'title' ? (title.startsWith('standard') ? undefined : title) : name,
      { isDryRun: true },
    )();
    expect(found.format).toBe(format);
  });

  it.each([
    ['nothing tells', 'hello\n', undefined, {}, 'usage'],
    ['J10: an age file', 'age-encryption.org/v1\n-> X25519 CANARY\n', 'x.env', {}, 'bad_format'],
    ['J10: an armoured age file', '-----BEGIN AGE ENCRYPTED FILE-----\nCANARY\n', 'x.env', {}, 'bad_format'],
    ['J10: a private key', '-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY\n', 'x.env', {}, 'bad_format'],
    [
      'J10: an age key file',
      '# created: 2026\n# public key: age1x\nAGE-SECRET-KEY-1CANARY\n',
      'x.env',
      {},
      'bad_format',
    ],
    [
      'a pointer of Git LFS',
      'version https://git-lfs.github.com/spec/v1\noid CANARY\n',
      'x.env',
      {},
      'bad_format',
    ],
    [
      'J10: SOPS where dotenv was said',
      'A=ENC[AES256_GCM,data:CANARY]\nsops_version=3.9.0\n',
      'x.env',
      { format: 'dotenv' },
      'bad_format',
    ],
    ['what is no SOPS file', 'A=CANARY\n', 'x.env', { format: 'sops' }, 'bad_format'],
  ] as const)('%s', async (_, text, name, changes, code) => {
    expect(await refusedImport(text, name, changes)).toEqual(quietly(code));
  });
});

describe('SOPS files', () => {
  const yamlText =
    'db:\n    url: postgres://x\n    port: 5432\n    on: true\n    rate: 1.5\nlist:\n    - a\n    - b\nnote: text\n';

  async function sopsFile(
    text: string,
    format: FormatName,
    recipient: string | Recipients = repository.recipient,
  ): Promise<Uint8Array> {
    const file = await encryptTree(parsePlainTree(Buffer.from(text), format), {
      format,
      recipients: typeof recipient === 'string' ? [{ type: 'age', recipient }] : recipient,
      now: repository.world.now(),
      randomBytes: repository.world.randomBytes,
    });
    return formatSopsFile(file);
  }

  it.each([
    ['yaml', 'A: x\n', 'x.yaml'],
    ['json', '{"A":"x"}', 'x.json'],
    ['dotenv', 'A=x\n', 'x.env'],
    ['ini', '[s]\nA = x\n', 'x.ini'],
    ['C24: json', '{"A":"x"}', 'x.yaml'],
    ['C24: yaml', 'A: x\n', 'x.json'],
    ['C24: dotenv', 'A=x\n', 'x.txt'],
    ['C24: ini', '[s]\nA = x\n', 'x.yaml'],
  ] as const)('J10: %s as %s in %s', async (format, text, name) => {
    const bytes = await sopsFile(text, format.replace('C24: ', '') as FormatName);
    const values = await imported(bytes, name, { flatten: '_' });
    expect(Object.values(values)).toEqual(['x']);
  });

  it('J10: nested and typed: refused whole by default, taken by --flatten and --stringify', async () => {
    const bytes = await sopsFile(yamlText, 'yaml');
    expect(await refusedImport(bytes, 'x.yaml')).toEqual(quietly('bad_format'));
    expect(await faultsOf(bytes, 'x.yaml')).toEqual([
      '-: "db" holds other names or a list',
      '-: "list" holds other names or a list',
    ]);
    expect(await faultsOf(bytes, 'x.yaml', { flatten: '_' })).toEqual([
      '-: "db_port" is of type int, not text',
      '-: "db_on" is of type bool, not text',
      '-: "db_rate" is of type float, not text',
    ]);
    expect(await imported(bytes, 'x.yaml', { flatten: '_', stringify: true })).toEqual({
      db_url: 'postgres://x',
      db_port: '5432',
      db_on: 'true',
      db_rate: '1.5',
      list_0: 'a',
      list_1: 'b',
      note: 'text',
    });
  });

  /** Imports where the person has these variables besides. */
  async function importedWith(environment: Record<string, string>, bytes: Uint8Array) {
    const own = await repositoryWith();
    const open = await openRepository(withVariables(own.world, environment), own.root);
    await importSecrets(open, { ...request(bytes, 'x.yaml'), createNamespace: true });
    return own.values(cell);
  }

  it('J10: for an SSH key, in a file that is named or in its usual place', async () => {
    const folder = fileURLToPath(new URL('../../sops/test/ssh-keys/', import.meta.url));
    const [key, line] = ['ed25519-open', 'ed25519-open.pub'].map((name) => join(folder, name)) as [
      string,
      string,
    ];
    const bytes = await sopsFile('A: x\n', 'yaml', readFileSync(line, 'utf8').trim());
    expect(await importedWith({ SOPS_AGE_SSH_PRIVATE_KEY_FILE: key }, bytes)).toEqual({ A: 'x' });
    const own = await repositoryWith();
    mkdirSync(join(own.world.homeDirectory, '.ssh'));
    copyFileSync(key, join(own.world.homeDirectory, '.ssh/id_ed25519'));
    await importing(own, bytes, 'x.yaml', { createNamespace: true })();
    expect(await own.values(cell)).toEqual({ A: 'x' });
  });

  it('J10: key groups open with keys of as many groups as the threshold says, and with no fewer', async () => {
    const [bob, carol, dave] = [strangersKey(), strangersKey(), strangersKey()];
    const groups = [bob, carol, dave].map(({ recipient }) => [{ type: 'age' as const, recipient }]);
    const bytes = await sopsFile('A: CANARY\n', 'yaml', { groups, threshold: 2 });
    const keys = (...people: { identity: string }[]) => ({
      SOPS_AGE_KEY: people.map(({ identity }) => identity).join('\n'),
    });
    expect(await importedWith(keys(bob, dave), bytes)).toEqual({ A: 'CANARY' });
    const { code, message } = await refusal(importedWith(keys(carol), bytes));
    expect(code).toBe('cannot_decrypt');
    expect(message).toMatch(/keys of 2 of its 3 key groups are needed, and 1 opened$/);
  });

  it('a key that asks for a passphrase is asked for only where no other opens the file', async () => {
    const wrapped = await encryptWithPassphrase(`${strangersKey().identity}\n`, 'x', { workFactor: 10 });
    const own = await repositoryWith();
    const asked: string[] = [];
    const world = {
      ...withVariables(own.world, { SOPS_AGE_KEY: wrapped }),
      askPassphrase: async (what: string) => {
        asked.push(what);
        return 'x';
      },
    };
    const bytes = await sopsFile('A: x\n', 'yaml', own.recipient);
    await importSecrets(await openRepository(world, own.root), {
      ...request(bytes, 'x.yaml'),
      createNamespace: true,
    });
    expect([await own.values(cell), asked]).toEqual([{ A: 'x' }, []]);
  });

  it('J10: several documents are one map, in which no name may be twice', async () => {
    const bytes = await sopsFile('A: x\n---\nB: y\n', 'yaml');
    expect(await imported(bytes, 'x.yaml')).toEqual({ A: 'x', B: 'y' });
    const twice = await sopsFile('A: CANARY\n---\nA: CANARY2\n', 'yaml');
    expect(await faultsOf(twice, 'x.yaml')).toEqual(['-: "A" is there twice']);
  });

  it('J10: a file of the binary format is one value', async () => {
    const bytes = await sopsFile('line 1\nline 2\r\n', 'binary');
    expect(await imported(bytes, 'cert.pem')).toEqual({ data: 'line 1\nline 2\r\n' });
    expect(await imported(bytes, 'cert.json', { prefix: 'TLS_' })).toEqual({
      TLS_data: 'line 1\nline 2\r\n',
    });
  });

  it('a file for other keys, and one that was changed, give no value', async () => {
    const bytes = await sopsFile(
      'A: CANARY\n',
      'yaml',
      'age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg',
    );
    expect(await refusedImport(bytes, 'x.yaml')).toEqual(quietly('cannot_decrypt'));
    const good = Buffer.from(await sopsFile('A: CANARY\nB: CANARY\n', 'yaml')).toString();
    const [a = '', b = ''] = good.split('\n');
    const swapped = good.replace(a, `A${b.slice(1)}`).replace(`\n${b}`, `\nB${a.slice(1)}`);
    expect(await refusedImport(Buffer.from(swapped), 'x.yaml')).toEqual(quietly('cell_tampered'));
  });
});

describe('what is there already', () => {
  it('J13: without --overwrite existing values stay, and are counted', async () => {
    const own = await repositoryWith({ [cell]: { A: '1', B: '2' } });
    const text = 'A=1\nB=CANARY\nC=3\n';
    const before = own.snapshot();
    const dry = await importing(own, text, 'x.env', { isDryRun: true })();
    expect(own.snapshot()).toEqual(before);
    expect(dry).toMatchObject({ change: 'updated', added: ['C'], changed: [], equal: ['A'], kept: ['B'] });
    expect(await importing(own, text, 'x.env')()).toEqual({ ...dry, isDryRun: false });
    expect(await own.values(cell)).toEqual({ A: '1', B: '2', C: '3' });
    expect(await importing(own, 'A=1\nB=4\n', 'x.env')()).toMatchObject({ change: 'unchanged', kept: ['B'] });
    expect(await importing(own, 'A=1\nB=4\n', 'x.env', { overwrite: true })()).toMatchObject({
      change: 'updated',
      changed: ['B'],
      equal: ['A'],
    });
    expect(await own.values(cell)).toEqual({ A: '1', B: '4', C: '3' });
  });

  it('an equal value keeps its ciphertext and its date', async () => {
    const own = await repositoryWith({ [cell]: { A: '1', B: '2' } });
    const line = (key: string, path: string) =>
      own
        .read(path)
        .split('\n')
        .find((text) => text.trim().startsWith(`${key}:`));
    const [cellPath, sidecar] = [
      'secrets/database/development.enc.yaml',
      'secrets/database/development.meta.yaml',
    ];
    const before = [line('A', cellPath), line('A', sidecar)];
    own.clock.milliseconds += 86_400_000;
    await importing(own, 'A=1\nB=3\n', 'x.env', { overwrite: true })();
    expect([line('A', cellPath), line('A', sidecar)]).toEqual(before);
    expect(line('B', sidecar)).toContain('2026-02-01');
  });

  it('J13: half of the names are illegal: nothing is written', async () => {
    const text = Array.from({ length: 20 }, (_, n) => (n % 2 ? `A${n}=CANARY` : `${n}A=CANARY`)).join('\n');
    expect(await refusedImport(text, 'x.env')).toEqual(quietly('bad_name'));
    expect(await faultsOf(text, 'x.env')).toHaveLength(10);
  });

  it('J11, INV-93: dangerous names are refused unless each is allowed', async () => {
    const text = 'A=1\nNODE_OPTIONS=CANARY\n';
    expect(await refusedImport(text, 'x.env')).toEqual(quietly('dangerous_name'));
    expect(await refusedImport(text, 'x.env', { allowedEnvironmentNames: ['PATH'] })).toEqual(
      quietly('dangerous_name'),
    );
    expect(await imported(text, 'x.env', { allowedEnvironmentNames: ['NODE_OPTIONS'] })).toHaveProperty(
      'NODE_OPTIONS',
    );
  });

  it.each([
    ['A21: "A="', 'A=', 'bad_name'],
    ['A21: 1', '1', 'bad_name'],
    ['A21: empty', '', 'bad_name'],
    ['A21: LD_ before PRELOAD', 'LD_', 'dangerous_name'],
    ['A11: a prefix that makes a name too long', 'A'.repeat(122), 'bad_name'],
  ] as const)('%s', async (_, prefix, code) => {
    expect(await refusedImport('PRELOAD=CANARY\n', 'x.env', { prefix })).toEqual(quietly(code));
  });

  it('--skip-empty leaves empty values out and says which', async () => {
    const result = await importing(repository, 'A=1\nB=\nC=""\n', 'x.env', {
      skipEmpty: true,
      isDryRun: true,
    })();
    expect(result).toMatchObject({ added: ['A'], skipped: ['B', 'C'] });
    const last = await importing(repository, 'A=1\nB=2\nA=\n', 'x.env', {
      skipEmpty: true,
      lastWins: true,
      isDryRun: true,
    })();
    expect(last).toMatchObject({ added: ['B'], skipped: ['A'] });
  });

  it('A26: a protected cell needs a yes, and a dry run asks nobody', async () => {
    const production = {
      ...request('A=CANARY\n', 'x.env'),
      cell: 'database/production',
      createNamespace: true,
    };
    expect(
      await refused(repository, async () =>
        importSecrets(await repository.open(), { ...production, confirm: no }),
      ),
    ).toEqual(quietly('protected'));
    const confirm = () => Promise.reject(new Error('Asked'));
    await importSecrets(await repository.open(), { ...production, confirm, isDryRun: true });
  });

  it('a key that was pending has its value now', async () => {
    const own = await repositoryWith({ [cell]: { A: '1' } });
    own.write('secrets/database/development.meta.yaml', 'version: 1\nkeys: {}\npending: [A, B, C]\n');
    await importing(own, 'A=1\nB=2\n', 'x.env')();
    expect(own.read('secrets/database/development.meta.yaml')).toContain('pending: [C]');
  });
});

describe('J12: a file that is no file', () => {
  it.each([
    ['a folder', '.', 'bad_path'],
    ['/dev/zero', '/dev/zero', 'bad_path'],
    ['nothing', 'nothing.env', 'bad_path'],
    ['a path through a file', '/dev/null/x', 'bad_path'],
  ] as const)('%s', async (_, path, code) => {
    expect((await refusal(readInputFile({ cwd: temporaryFolder() }, path, 10))).code).toBe(code);
  });

  it('one that is too large', async () => {
    const folder = temporaryFolder();
    writeFileSync(`${folder}/x`, 'CANARY');
    expect((await refusal(readInputFile({ cwd: folder }, 'x', 5))).code).toBe('limit');
    expect(await readInputFile({ cwd: folder }, 'x', 6)).toEqual(new Uint8Array(Buffer.from('CANARY')));
  });
});

it('the import of an export is the same values: dotenv where it can hold them, JSON and YAML always', async () => {
  const own = await repositoryWith({ [cell]: { A: '1' } });
  const pieces = fc.constantFrom(
    'a',
    ' ',
    '#',
    "'",
    '"',
    '`',
    '\\',
    '\n',
    '\r',
    '\t',
    '$X',
    '=',
    ':',
    '- ',
    '\u2028',
    '\ufeff',
    'é😀',
    '\u0085',
    '0',
    'n',
  );
  const value = fc.array(pieces, { minLength: 1, maxLength: 8 }).map((parts) => parts.join(''));
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(value, { minLength: 120, maxLength: 120 }), async (values) => {
      round += 1;
      const from = `f${round}/development`;
      await fillCell(own, from, Object.fromEntries(values.map((each, index) => [`K${index}`, each])));
      const open = await own.open();
      const given = await own.values(from);
      for (const format of ['json', 'yaml'] as const) {
        const text = await exportSecrets(open, { cell: from, format });
        const to = `${format}${round}/development`;
        await importSecrets(open, {
          ...request(text, undefined, { format, createNamespace: true }),
          cell: to,
        });
        expect(await own.values(to)).toEqual(given);
      }
      const able = Object.fromEntries(
        (
          await Promise.all(
            Object.keys(given).map(async (key) =>
              exportSecrets(open, { cell: from, format: 'dotenv', only: [key] }).then(
                (text) => [[key, text] as const],
                () => [],
              ),
            ),
          )
        ).flat(),
      );
      expect(Object.keys(able).length).toBeGreaterThan(30);
      const to = `d${round}/development`;
      const whole = Object.values(able).join('');
      await importSecrets(open, { ...request(whole, 'x.env', { createNamespace: true }), cell: to });
      expect(await own.values(to)).toEqual(
        Object.fromEntries(Object.keys(able).map((key) => [key, given[key]])),
      );
    }),
    { numRuns: 3, seed: 20260131 },
  );
}, 60_000);
