// The rows about who may read.
import type { CommandDefinition } from '../command.ts';
import { yes } from './shared.ts';

export const peopleRows: readonly CommandDefinition[] = [
  {
    name: 'recipients list',
    summary: 'Show who may read which environments',
    load: () => import('../commands/recipients-list.ts'),
  },
  {
    name: 'recipients add',
    summary: 'Let a person read: wraps the data keys of every cell concerned for a new age key',
    details:
      'One transaction over clef.yaml and all cells concerned. Values keep their ciphertext. Without --environments only the key is recorded, for a person who has access already.',
    arguments: [
      { name: 'name', summary: 'the person, for example alice' },
      { name: 'key', summary: 'the age public key, age1…' },
    ],
    options: [
      {
        flag: '--environments',
        value: 'names',
        summary: 'environments to grant, separated by commas',
        completes: 'environment',
      },
      {
        flag: '--namespaces',
        value: 'names',
        summary: 'only these namespaces (default: all)',
        completes: 'namespace',
      },
      yes,
    ],
    examples: [
      { line: 'clef recipients add bob age1… --environments development', does: 'let Bob read development' },
    ],
    load: () => import('../commands/recipients-add.ts'),
  },
];
