// The completion scripts in the real shells: cells and keys are completed, and nothing that was typed is run.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { hasPeer, type Peer, type PeerRun, runPeer } from './peers.ts';
import { makeSandbox } from './sandbox.ts';

const { work, environment: base } = makeSandbox();
const environment = { ...base, TERM: 'dumb' };
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
