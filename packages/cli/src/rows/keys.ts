// The rows about a person's own keys.
import type { CommandDefinition } from '../command.ts';

const passphrase = { flag: '--passphrase', summary: 'keep it in a file wrapped with a passphrase' };

export const keyRows: readonly CommandDefinition[] = [
  {
    name: 'key generate',
    summary: 'Make one more age key of yours',
    details:
      'An X25519 key, kept in the keychain of your system where it answers, else in a file that only you can read. The public key is printed on standard output.',
    options: [passphrase],
    examples: [
      { line: 'clef key generate --passphrase', does: 'make a key whose file nobody can use without you' },
    ],
    load: () => import('../commands/key-generate.ts'),
  },
  {
    name: 'key list',
    summary: 'List your age keys, where each is kept, and whose it is in this repository',
    examples: [{ line: 'clef key list', does: 'see which keys this machine has' }],
    load: () => import('../commands/key-list.ts'),
  },
  {
    name: 'key show',
    summary: 'Print your public key, or with --private the key itself',
    arguments: [
      {
        name: 'recipient',
        summary: 'the public key of the one that is meant (default: the first)',
        optional: true,
      },
    ],
    options: [{ flag: '--private', summary: 'print the private key, as the line of a key file' }],
    examples: [
      { line: 'clef key show', does: 'print what a teammate needs to let you in' },
      {
        line: 'clef key show --private | ssh other-machine clef key import -',
        does: 'carry your key to another machine of yours',
      },
    ],
    load: () => import('../commands/key-show.ts'),
  },
  {
    name: 'key import',
    summary: 'Keep the keys of an age key file as your own',
    details:
      'Reads what age-keygen writes, also when it is wrapped with a passphrase (age -p). All keys of the file are taken in, or none.',
    arguments: [{ name: 'file', summary: 'the key file, or - for standard input' }],
    options: [passphrase],
    examples: [
      { line: 'clef key import ~/.config/sops/age/keys.txt', does: 'use the keys you have for sops' },
    ],
    load: () => import('../commands/key-import.ts'),
  },
];
