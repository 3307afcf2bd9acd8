// The completion scripts in the real shells: cells and keys are completed, and nothing that was typed is run.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repositoryRoot } from './import-graph.ts';
import { hasPeer, type Peer, type PeerRun, runPeer } from './peers.ts';

const sandbox = realpathSync(mkdtempSync(join(tmpdir(), 'clef-completion-')));
const work = join(sandbox, 'work');
for (const folder of ['bin', 'home', 'work']) mkdirSync(join(sandbox, folder));
const launcher = join(sandbox, 'bin', 'clef');
writeFileSync(
  launcher,
  `#!/bin/sh\nexec "${process.execPath}" "${join(repositoryRoot, 'packages/cli/bin/clef.js')}" "$@"\n`,
);
chmodSync(launcher, 0o755);
afterAll(() => rmSync(sandbox, { recursive: true, force: true }));

const environment = {
  HOME: join(sandbox, 'home'),
  PATH: `${join(sandbox, 'bin')}:${process.env['PATH'] ?? ''}`,
  CLEF_KEYCHAIN: 'off',
  GIT_CONFIG_NOSYSTEM: '1',
  LC_ALL: 'C.UTF-8',
  TERM: 'dumb',
};
const inShell = (shell: Peer, script: string, ...flags: readonly string[]): Promise<PeerRun> =>
  runPeer(shell, [...flags, '-c', script], { cwd: work, environment });

beforeAll(async () => {
  const script =
    'clef init --json >/dev/null && for k in DB_URL DB_PASSWORD; do printf v | clef set database/development $k; done';
  expect(await inShell('bash', script)).toMatchObject({ exitCode: 0 });
});

/** The candidates that each shell finds for a line. */
const shells: readonly (readonly [Peer, (line: readonly string[]) => Promise<PeerRun>])[] = [
  [
    'bash',
    (line) =>
      inShell(
        'bash',
        `eval "$(clef completion bash)"; COMP_WORDS=(clef ${line.map(quoted).join(' ')}); COMP_CWORD=${line.length}; _clef; printf '%s\\n' "\${COMPREPLY[@]}"`,
      ),
  ],
  [
    'zsh',
    // The shell's own completion system, in a pseudo terminal: what it puts on the line is what is seen.
    // Then the line is taken away (Ctrl-U), not run.
    (line) =>
      inShell(
        'zsh',
        `zmodload zsh/zpty; zpty z zsh -f -i; zpty -w z 'autoload -Uz compinit; compinit -D -u; PS1= ; LISTMAX=0; eval "$(clef completion zsh)"; echo read""y'
         while zpty -r z out && [[ $out != *ready* ]]; do :; done
         zpty -w -n z ${quoted(`clef ${line.join(' ')}`)}$'\\t'; sleep 1.5; zpty -w z $'\\x15echo en""d'
         while zpty -r z out; do print -rn -- "$out"; [[ $out == *end* ]] && break; done`,
        '-f',
      ),
  ],
  [
    'fish',
    (line) => inShell('fish', `clef completion fish | source; complete -C 'clef ${line.join(' ')}'`, '-N'),
  ],
];

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

describe.each(shells.filter(([shell]) => hasPeer(shell)))('%s', (_, candidates) => {
  it('completes a cell', async () => {
    const { stdout } = await candidates(['get', 'database/dev']);
    expect(stdout).toContain('database/development');
    expect(stdout).not.toContain('database/production');
  });

  it('completes a key', async () => {
    const { stdout } = await candidates(['get', 'database/development', 'DB_P']);
    expect(stdout).toContain('DB_PASSWORD');
    expect(stdout).not.toContain('DB_URL');
  });

  it('runs nothing of what was typed', async () => {
    // A redirection alone makes a file, and has no blank that would split the word.
    await candidates(['get', '$(>pwned)', '']);
    expect(existsSync(join(work, 'pwned'))).toBe(false);
  });
});
