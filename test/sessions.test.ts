// The command line as people see it: test/sessions/*.md hold shell sessions, and each is run as written. "…" stands for
// any text within a line, and alone on a line for any lines; "[exit N]" is the exit code where it is not 0.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from '@clef/host';
import { describe, expect, it } from 'vitest';
import { commands } from '../packages/cli/src/commands.ts';
import { repositoryRoot } from './import-graph.ts';
import { makeSandbox, type Sandbox } from './sandbox.ts';

type Step = {
  readonly command: string;
  readonly expected: readonly string[];
  readonly exitCode: number;
  readonly line: number;
};

const folder = join(repositoryRoot, 'test', 'sessions');
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

const withoutSession = [
  // Each runs until it is stopped, or is a long story; tests of their own run them.
  ...['agent', 'demo', 'kms emulate', 'ui'],
  // In two-people.md it is the invitation that "init" prints.
  'recipients add',
];

it('every command for people is in a session', () => {
  const lines = readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .flatMap((name) => stepsOf(readFileSync(join(folder, name), 'utf8')).map(({ command }) => command));
  const names = commands.filter(({ hidden }) => hidden !== true).map(({ name }) => name);
  const isRun = (name: string): boolean =>
    lines.some((line) => new RegExp(`(?:^|[\\s(;])(?:clef|\\./[a-z]+) ${name}(?![\\w-])`).test(line));
  expect(names.filter((name) => !isRun(name) && !withoutSession.includes(name))).toEqual([]);
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

async function runInShell(
  { root, work, environment }: Sandbox,
  command: string,
): Promise<{ readonly output: readonly string[]; readonly exitCode: number }> {
  const { stdout, exitCode } = await runChild({
    command: 'sh',
    // The shell's state is kept between commands only as far as files go, as in two terminals.
    // No core dumps, whatever this machine has: the agent would warn of them.
    args: ['-c', `ulimit -c 0\nexec 2>&1\n${command}`],
    cwd: work,
    environment,
    stdio: 'capture',
    timeoutSeconds: 60,
  });
  const text = new TextDecoder().decode(stdout).replaceAll(root, '/sandbox');
  return { output: text === '' ? [] : text.replace(/\n$/, '').split('\n'), exitCode };
}
