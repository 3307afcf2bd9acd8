// The command line as people see it: test/sessions/*.md hold shell sessions, and each is run as written. "…" stands for
// any text within a line, and alone on a line for any lines; "[exit N]" is the exit code where it is not 0.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChild } from '@clef/host';
import { afterAll, describe, expect, it } from 'vitest';
import { repositoryRoot } from './import-graph.ts';

type Step = {
  readonly command: string;
  readonly expected: readonly string[];
  readonly exitCode: number;
  readonly line: number;
};

const folder = join(repositoryRoot, 'test', 'sessions');
const sandboxes: string[] = [];

afterAll(() => {
  for (const sandbox of sandboxes) rmSync(sandbox, { recursive: true, force: true });
});

describe.each(readdirSync(folder).filter((name) => name.endsWith('.md')))('%s', (name) => {
  const sandbox = makeSandbox();
  for (const step of stepsOf(readFileSync(join(folder, name), 'utf8'))) {
    it(`line ${step.line}: ${step.command}`, async () => {
      const { output, exitCode } = await runInShell(sandbox, step.command);
      expect({ output: matched(output, step.expected), exitCode }).toEqual({
        output: step.expected,
        exitCode: step.exitCode,
      });
    });
  }
});

/** The commands of all console blocks, in order; lines after a command are what it prints. */
function stepsOf(text: string): readonly Step[] {
  const steps: { command: string; expected: string[]; exitCode: number; line: number }[] = [];
  let inBlock = false;
  text.split('\n').forEach((line, index) => {
    if (line.startsWith('```')) inBlock = line === '```console';
    else if (!inBlock) return;
    else if (line.startsWith('$ '))
      steps.push({ command: line.slice(2), expected: [], exitCode: 0, line: index + 1 });
    else if (line.startsWith('> '))
      (steps.at(-1) as Step & { command: string }).command += `\n${line.slice(2)}`;
    else if (/^\[exit \d+\]$/.test(line))
      (steps.at(-1) as { exitCode: number }).exitCode = Number(line.slice(6, -1));
    else steps.at(-1)?.expected.push(line);
  });
  return steps;
}

/** The expected lines where the output matches them, else the output itself. */
function matched(output: readonly string[], expected: readonly string[]): readonly string[] {
  const pattern = expected.map((line) =>
    line === '…' ? '(?:.*\\n)*?' : `${line.split('…').map(escapeRegExp).join('.*')}\\n`,
  );
  return new RegExp(`^${pattern.join('')}$`).test(output.map((line) => `${line}\n`).join(''))
    ? expected
    : output;
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** A home folder of its own, with `clef` on PATH and nothing of the person who runs the tests. */
function makeSandbox(): string {
  const sandbox = realpathSync(mkdtempSync(join(tmpdir(), 'clef-session-')));
  sandboxes.push(sandbox);
  for (const name of ['bin', 'home', 'work']) mkdirSync(join(sandbox, name));
  const launcher = join(sandbox, 'bin', 'clef');
  writeFileSync(
    launcher,
    `#!/bin/sh\nexec "${process.execPath}" "${join(repositoryRoot, 'packages/cli/bin/clef.js')}" "$@"\n`,
  );
  chmodSync(launcher, 0o755);
  return sandbox;
}

async function runInShell(
  sandbox: string,
  command: string,
): Promise<{ readonly output: readonly string[]; readonly exitCode: number }> {
  const { stdout, exitCode } = await runChild({
    command: 'sh',
    // The shell's state is kept between commands only as far as files go, as in two terminals.
    args: ['-c', `exec 2>&1\n${command}`],
    cwd: join(sandbox, 'work'),
    environment: {
      PATH: `${join(sandbox, 'bin')}:${process.env['PATH'] ?? ''}`,
      HOME: join(sandbox, 'home'),
      CLEF_KEYCHAIN: 'off',
      GIT_CONFIG_GLOBAL: join(sandbox, 'home', '.gitconfig'),
      GIT_CONFIG_NOSYSTEM: '1',
      LC_ALL: 'C.UTF-8',
    },
    stdio: 'capture',
    timeoutSeconds: 60,
  });
  const text = new TextDecoder().decode(stdout).replaceAll(sandbox, '/sandbox');
  return { output: text === '' ? [] : text.replace(/\n$/, '').split('\n'), exitCode };
}
