// Exports whose reader is not on this machine, against the reader's rules written down here: PowerShell, the runner of
// GitHub Actions, unit files of systemd. And what every dialect refuses by name (INV-96, INV-99, J14, J15, J16).
import { describe, expect, it } from 'vitest';
import type { ExportFormat } from '../src/secrets/export-formats/all.ts';
import { heldBy, tenThousandValues, written } from './exports.ts';
import { oddValues } from './odd-values.ts';

const odd = Object.fromEntries(Object.values(oddValues).map((value, index) => [`ODD${index}`, value]));
const all = { ...odd, ...tenThousandValues };

/** `$env:NAME = 'text' + [char]0x000a + …`: the only forms that an export may use. */
function readPowerShell(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split('\n').flatMap((line) => {
      if (line === '') return [];
      const [, name = '', expression = ''] = /^\$env:([A-Za-z_]\w*) = ([\x20-\x7e]+)$/.exec(line) ?? [];
      const terms = expression.match(/'(?:[^']|'')*'|\[char\]0x[0-9a-f]{4}|\+| /g) ?? [];
      expect(terms.join('')).toBe(expression);
      expect(expression.startsWith("'")).toBe(true);
      const value = terms.map((term) => {
        if (term.startsWith("'")) return term.slice(1, -1).replaceAll("''", "'");
        return term.startsWith('[') ? String.fromCharCode(Number.parseInt(term.slice(8), 16)) : '';
      });
      return [[name, value.join('')]];
    }),
  );
}

/** The runner reads lines that end in LF (on Windows in CRLF too); a block ends at a line that is its delimiter. */
function readGithub(text: string, isWindows: boolean): Record<string, string> {
  const lines = text.split(/(?<=\n)/);
  const found: Record<string, string> = {};
  while (lines.length > 0) {
    const [, name = '', delimiter] = /^([^<=\n]+)<<([^\n]+)\n$/.exec(lines.shift() ?? '') ?? [];
    const block: string[] = [];
    while (lines.length > 0 && lines[0]?.replace(isWindows ? /\r?\n$/ : /\n$/, '') !== delimiter)
      block.push(lines.shift() ?? '');
    expect(lines.shift()).toBeDefined();
    found[name] = block.join('').replace(isWindows ? /\r?\n$/ : /\n$/, '');
  }
  return found;
}

/** Trailing blanks go, a backslash at the end of a line continues it, then C escapes (systemd.exec, systemd.syntax). */
function readSystemd(text: string): Record<string, string> {
  const lines = text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.trim());
  expect(lines.shift()).toBe('[Service]');
  return Object.fromEntries(
    lines
      .filter((line) => line !== '' && !/^[#;]/.test(line))
      .map((line) => {
        const [, name = '', escaped = ''] = /^SetCredential=([^:]+):(.*)$/.exec(line) ?? [];
        const bytes = escaped.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex) =>
          String.fromCharCode(Number.parseInt(hex, 16)),
        );
        return [name, Buffer.from(bytes, 'latin1').toString('utf8')];
      }),
  );
}

describe('J14, J15: against the rules of the reader, 10,000 random values', () => {
  const readers: readonly (readonly [
    ExportFormat,
    string,
    (text: string) => Record<string, string>,
    RegExp,
  ])[] = [
    ['powershell', 'PowerShell', readPowerShell, /^$/],
    ['github', 'a runner on Linux', (text) => readGithub(text, false), /\r$/],
    ['github', 'a runner on Windows', (text) => readGithub(text, true), /\r$/],
    ['systemd', 'systemd', readSystemd, /^$/],
  ];
  it.each(readers)('%s: %s', (format, _, read, mayRefuse) => {
    const { held, refusedKeys } = heldBy(format, all);
    expect(read(written(format, held))).toEqual(held);
    for (const key of refusedKeys) expect(all[key as keyof typeof all]).toMatch(mayRefuse);
  });

  it('every line of the PowerShell export is printable ASCII, so that no code page can change it', () => {
    expect(written('powershell', all)).toMatch(/^[\x20-\x7e\n]*$/);
  });
});

describe('INV-99, J16: the environment file of GitHub Actions', () => {
  it.each([
    ['a newline defines no second variable', 'x\nPATH=/evil'],
    ['what looks like a block', 'A<<EOF\nx\nEOF'],
    ['%, :: and a command of a workflow', '100%\n::set-env name=PATH::/evil'],
    ['newlines at the end', 'x\n\n'],
  ])('%s', (_, value) => {
    expect(readGithub(written('github', { K: value }), false)).toEqual({ K: value });
  });

  it('the delimiter is drawn anew for each value', () => {
    let drawn = 0;
    const words = new Set<string>();
    const text = written('github', { A: 'x', B: 'y' }, (length) => {
      drawn += 1;
      return new Uint8Array(length).fill(drawn);
    });
    for (const [, word = ''] of text.matchAll(/<<(clef_[0-9a-f]{32})$/gm)) words.add(word);
    expect(words.size).toBe(2);
  });

  it('a value that holds its own delimiter is refused by name', () => {
    expect(() => written('github', { K: `x\nclef_${'ab'.repeat(16)}\nPATH=/evil` })).toThrow(
      /"K".*very word/,
    );
  });

  it('masks come as commands, one line a value', () => {
    expect(written('github-mask', { A: 'a%\r\nb', B: '::x' })).toBe(
      '::add-mask::a%25%0D%0Ab\n::add-mask::::x\n',
    );
  });
});

describe('what a dialect cannot hold is refused by name', () => {
  it.each<readonly [ExportFormat, string, Readonly<Record<string, string>>, RegExp]>([
    ['dotenv', 'a carriage return', { K: 'a\rb' }, /"K" has a carriage return/],
    ['dotenv', 'all three kinds of quotes', { K: `'"\`` }, /"K" has all three/],
    ['docker', 'several lines', { K: 'a\nb' }, /"K" has several lines/],
    ['docker', 'a carriage return', { K: 'a\r' }, /"K" has a carriage return/],
    ['docker', 'a line of 64 KiB', { K: 'x'.repeat(65_534) }, /"K" makes a line longer/],
    ['github', 'a carriage return at the end', { K: 'a\r' }, /"K" ends in a carriage return/],
    ['github', 'a name of the runner', { GITHUB_TOKEN: 'x' }, /"GITHUB_TOKEN" belongs to the runner/],
    ['sh', 'a name of the shell', { UID: '1' }, /"UID" belongs to the shell/],
    ['sh', 'a name that zsh ties to PATH', { path: '/x' }, /"path" belongs to the shell/],
    ['fish', 'a name of fish', { status: '1' }, /"status" belongs to fish/],
    ['powershell', 'two names that Windows takes for one', { Key: 'x', KEY: 'y' }, /"Key" and "KEY" are one/],
    ['kubernetes', 'more than a Secret holds', { K: 'x'.repeat(1_048_577) }, /1048577 bytes/],
    ['systemd', 'more than a unit holds', { K: 'x'.repeat(1_048_576) }, /1048577 bytes/],
    ['systemd', 'a line that is too long', { K: 'é'.repeat(131_072) }, /"K" makes a line longer/],
  ])('%s: %s', (format, _, values, message) => {
    expect(() => written(format, values)).toThrow(message);
  });

  it.each<readonly [ExportFormat, string]>([
    ['json', '{}\n'],
    ['yaml', '{}\n'],
    ['sh', ''],
    ['docker', ''],
    ['systemd', '[Service]\n'],
  ])('%s of nothing', (format, text) => {
    expect(written(format, {})).toBe(text);
  });

  it('docker: the longest line passes', () => {
    expect(written('docker', { K: 'x'.repeat(65_533) })).toHaveLength(65_536);
  });
});
