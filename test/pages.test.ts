// What pages and hints say against what is there: every command line names a command and options that exist, every link and
// every file of the map of the house is there. What a command line does is shown by test/sessions.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { helpText } from '../packages/agent/src/command-line.ts';
import { commands, groups } from '../packages/cli/src/commands.ts';
import { globalOptions } from '../packages/cli/src/global-options.ts';

const root = join(import.meta.dirname, '..');
const skipped = /(^|\/)(node_modules|dist|test)(\/|$)/;

function filesIn(folder: string, extension: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => name.endsWith(extension) && !skipped.test(name));
}

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...['docs', 'deploy', 'examples', 'packages', 'bench'].flatMap((folder) => filesIn(folder, '.md')),
];
const sources = filesIn('packages', '.ts').filter((name) => name.includes('/src/'));

/** Inline code, and the lines of code blocks. */
function codeOf(page: string): readonly string[] {
  const blocks = [...page.matchAll(/^ *```[^\n]*\n(.*?)^ *```/gms)].flatMap(([, body]) =>
    (body ?? '').split('\n'),
  );
  const spans = [...page.replaceAll(/^ *```.*?^ *```/gms, '').matchAll(/`([^`\n]+)`/g)].map(
    ([, text]) => text ?? '',
  );
  return [...blocks.filter((line) => !line.trimStart().startsWith('#')), ...spans];
}

/** The strings of a program; comments are not its words. */
function stringsOf(source: string): readonly string[] {
  const lines = source.split('\n').filter((line) => !/^\s*(\/\/|\*|\/\*\*)/.test(line));
  return lines.flatMap((line) => [...line.matchAll(/'[^']*'|`[^`]*`/g)].map(([text]) => text));
}

/** What stands behind `clef`, up to what ends a command line or hands it to another program. */
function commandLines(text: string): readonly string[] {
  const places = text.matchAll(/(?<![\w@/.-])clef ([a-z][^`"'|);\n]*)/g);
  return [...places].map(([, line]) => (line ?? '').split(' -- ')[0] ?? '');
}

/** The same in a string of a program, where "clef" may also be a word of a sentence. */
function quotedLines(text: string): readonly string[] {
  return commandLines(
    [...text.matchAll(/(?:"|: |run |`)(clef [a-z][^`"'|);]*)/g)].map(([, line]) => line).join('\n'),
  );
}

/** What is wrong with a command line; nothing where the command and its options exist. */
function faultOf(line: string): string | undefined {
  const words = line.split(/[\s,:]+/);
  const [first = '', second = ''] = words;
  if (first === 'help') return undefined;
  if (first === 'agent') return unknownOption(words, agentOptions(second));
  if (Object.hasOwn(groups, first) && !/^[a-z]/.test(second)) return undefined;
  const command = commands.find(({ name }) => name === first || name === `${first} ${second}`);
  if (command === undefined) return `no command in "clef ${line}"`;
  const own = [...(command.options ?? []), ...globalOptions].flatMap(({ flag }) => flag.split(', '));
  return unknownOption(words, [...own, '--help']);
}

function agentOptions(mode: string): readonly string[] {
  const help = helpText(mode === 'exec' || mode === 'render' ? mode : 'serve');
  return help.match(/--[a-z][a-z-]*/g) ?? [];
}

function unknownOption(words: readonly string[], known: readonly string[]): string | undefined {
  const flags = words.map((word) => /^--[a-z][a-z-]*/.exec(word)?.[0]).filter((flag) => flag !== undefined);
  const wrong = flags.find((flag) => !known.includes(flag));
  return wrong === undefined ? undefined : `no option ${wrong} in "clef ${words.join(' ')}"`;
}

const faultsIn = (texts: readonly string[], linesOf = commandLines): readonly string[] =>
  texts.flatMap(linesOf).flatMap((line) => faultOf(line) ?? []);

describe('command lines that are printed', () => {
  it('the reader of lines finds what is wrong', () => {
    expect(
      faultsIn(['clef lint', 'clef set a/b C --forse', 'clef agent --chek', 'x | clef service shw']),
    ).toHaveLength(4);
    expect(faultsIn(['no key: run "clef lint"', 'write: clef sett a/b'], quotedLines)).toHaveLength(2);
    expect(faultsIn(['clef set a/b C --yes', 'clef exec a/b -- x --y', 'see "clef service"'])).toEqual([]);
  });

  it('pages name commands and options that exist', () => {
    const found = pages.map(
      (page) => [page, faultsIn(codeOf(readFileSync(join(root, page), 'utf8')))] as const,
    );
    expect(found.filter(([, faults]) => faults.length > 0)).toEqual([]);
  });

  it('errors and hints name commands and options that exist', () => {
    const found = sources.map(
      (file) => [file, faultsIn(stringsOf(readFileSync(join(root, file), 'utf8')), quotedLines)] as const,
    );
    expect(found.filter(([, faults]) => faults.length > 0)).toEqual([]);
  });
});

describe('what pages point to', () => {
  it('links lead to files of the repository', () => {
    const dead = pages.flatMap((page) =>
      [...readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)]
        .map(([, target]) => join(dirname(page), target ?? ''))
        .filter((target) => !existsSync(join(root, target)))
        .map((target) => `${page}: ${target}`),
    );
    expect(dead).toEqual([]);
  });

  it('the map of the house names files that are there', () => {
    const map = /^## Inside the rooms\n\n```\n(.*?)^```/ms.exec(
      readFileSync(join(root, 'docs/architecture.md'), 'utf8'),
    );
    const missing: string[] = [];
    let home = '';
    let seen = 0;
    for (const line of (map?.[1] ?? '').split('\n')) {
      home = /^packages\/[a-z]+\/src\//.exec(line)?.[0] ?? home;
      const folder = /^ {2}([a-z-]+\/)/.exec(line)?.[1] ?? '';
      for (const [name] of line.replace(home, '').matchAll(/[a-z-]+\/|[a-z-]+\.ts/g)) {
        seen += 1;
        const places = [join(home, name), join(home, folder, name)];
        if (!places.some((place) => existsSync(join(root, place)))) missing.push(`${home}${folder}${name}`);
      }
    }
    expect([missing, seen > 60]).toEqual([[], true]);
  });
});
