// The rows of what a person meets first: starting, joining, looking around.
import type { CommandDefinition } from '../command.ts';

export const startRows: readonly CommandDefinition[] = [
  {
    name: 'init',
    summary: 'Start a Clef repository here, or join the one that is here',
    details:
      'In a new folder it writes clef.yaml with the environments development, staging and production (protected), makes an age key if you have none, and lets you read everything. In an initialised repository it makes a key if you have none and prints the one line to send to a teammate.',
    options: [{ flag: '--passphrase', summary: 'keep the new age key in a file wrapped with a passphrase' }],
    examples: [{ line: 'clef init', does: 'make this folder a Clef repository' }],
    load: () => import('../commands/init.ts'),
  },
  {
    name: 'demo',
    summary: 'Show the whole story on this machine: from init to an agent that opens its secrets by role',
    options: [{ flag: '--keep', summary: 'leave the temporary folder in place' }],
    examples: [{ line: 'clef demo --keep', does: 'watch it, and look at the files afterwards' }],
    load: () => import('../commands/demo.ts'),
  },
  {
    name: 'doctor',
    summary: 'Look at everything that Clef needs, and say how to mend what is wrong',
    details:
      'Node, git, variables, your keys and who can read them, clef.yaml, requests for access that wait, and every cell with its recipients. Changes nothing and asks nobody.\n\nExit code 1 where there is a problem; warnings alone leave it at 0.',
    options: [
      { flag: '--open', summary: 'also decrypt every cell: may ask for a passphrase, and calls the KMS' },
      { flag: '--without-keys', summary: 'leave your age keys out: for CI, which has none' },
    ],
    examples: [
      { line: 'clef doctor', does: 'look at this machine and this repository' },
      { line: 'clef doctor --without-keys', does: 'check in CI that every cell is as clef.yaml says' },
    ],
    load: () => import('../commands/doctor.ts'),
  },
  {
    name: 'completion',
    summary: 'Print the script by which a shell completes commands, cells and keys',
    arguments: [{ name: 'shell', summary: 'bash, zsh or fish', completes: ['bash', 'zsh', 'fish'] }],
    examples: [
      {
        line: 'eval "$(clef completion bash)"',
        does: 'complete in this shell; put the line into ~/.bashrc to keep it',
      },
      { line: 'clef completion fish > ~/.config/fish/completions/clef.fish', does: 'the same for fish' },
    ],
    load: () => import('../commands/completion.ts'),
  },
  {
    name: 'complete',
    summary: 'Print the words that may stand at the end of a half-typed line',
    passThrough: true,
    hidden: true,
    load: () => import('../commands/complete.ts'),
  },
  {
    name: 'version',
    summary: 'Print the version',
    load: () => import('../commands/version.ts'),
  },
];
