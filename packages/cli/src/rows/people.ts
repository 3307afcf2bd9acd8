// The rows about who may read: people, what each is granted, and the data keys that follow from it.
import type { ArgumentDefinition, CommandDefinition, OptionDefinition } from '../command.ts';
import { dryRun, yes } from './shared.ts';

const person: ArgumentDefinition = { name: 'name', summary: 'the person, for example alice' };
const confirmed: OptionDefinition = { ...yes, summary: 'confirm what would be asked about' };

export const peopleRows: readonly CommandDefinition[] = [
  {
    name: 'recipients list',
    summary: 'Show who may read which environments, and who asks to',
    examples: [{ line: 'clef recipients list', does: 'see who reads what' }],
    load: () => import('../commands/recipients-list.ts'),
  },
  {
    name: 'recipients add',
    summary: 'Let a person read: wraps the data keys of every cell concerned for new age keys',
    details:
      'One transaction over clef.yaml and all cells concerned. Values keep their ciphertext. Without --environments and --groups only the keys are recorded, for a person who has access already.',
    arguments: [person, { name: 'keys', summary: 'age public keys, age1…', variadic: true }],
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
      { flag: '--groups', value: 'names', summary: 'groups of clef.yaml to join' },
      dryRun,
      yes,
    ],
    examples: [
      { line: 'clef recipients add bob age1… --environments development', does: 'let Bob read development' },
    ],
    load: () => import('../commands/recipients-add.ts'),
  },
  {
    name: 'recipients remove',
    summary: 'Shut a person, a key or an access out: new data keys for every cell concerned',
    details:
      'Takes it out of recipients, groups and access rules, and makes a new data key and every stanza anew, in one transaction. What the person could read until now stays readable from history: the cells whose values must be changed are listed.',
    arguments: [person],
    options: [
      { flag: '--key', value: 'key', summary: 'only this key of the person, age1…' },
      {
        flag: '--environments',
        value: 'names',
        summary: 'only the access to these environments',
        completes: 'environment',
      },
      { flag: '--groups', value: 'names', summary: 'only the membership of these groups' },
      dryRun,
      confirmed,
    ],
    examples: [
      { line: 'clef recipients remove bob --dry-run', does: 'show who would lose what' },
      { line: 'clef recipients remove bob --environments production', does: 'let Bob read everything else' },
    ],
    load: () => import('../commands/recipients-remove.ts'),
  },
  {
    name: 'recipients request',
    summary: 'Ask for access in a file, for a pull request',
    details: 'Writes .clef/requests/NAME.yaml with your public keys. It grants nothing by itself.',
    options: [
      {
        flag: '--environments',
        value: 'names',
        summary: 'what to ask for (default: the first that is not protected)',
        completes: 'environment',
      },
      {
        flag: '--namespaces',
        value: 'names',
        summary: 'only these namespaces (default: all)',
        completes: 'namespace',
      },
      { flag: '--name', value: 'name', summary: "your name in clef.yaml (default: from git's user.name)" },
    ],
    examples: [{ line: 'clef recipients request --environments staging', does: 'ask to read staging' }],
    load: () => import('../commands/recipients-request.ts'),
  },
  {
    name: 'recipients approve',
    summary: 'Grant what a request asks for, and take its file away',
    details:
      'Shows who would gain what and asks. A request cannot take over the name or the key of somebody else.',
    arguments: [person],
    options: [{ flag: '--decline', summary: 'take the request away and grant nothing' }, dryRun, confirmed],
    examples: [{ line: 'clef recipients approve bob', does: 'let Bob read what he asks for' }],
    load: () => import('../commands/recipients-approve.ts'),
  },
  {
    name: 'rotate',
    summary: 'Make new data keys, with every stanza anew from clef.yaml',
    details:
      'One transaction over all cells named. Values stay the same and get a new ciphertext. After an edit of clef.yaml by hand this fits the cells to it: who would gain or lose is shown and asked about first. Recipients that only a file names are never kept.',
    arguments: [
      {
        name: 'cells',
        summary: 'NAMESPACE/ENVIRONMENT, one or several',
        optional: true,
        variadic: true,
        completes: 'cell',
      },
    ],
    options: [{ flag: '--all', summary: 'every cell of the matrix' }, dryRun, confirmed],
    examples: [
      { line: 'clef rotate database/production --yes', does: 'a new data key for one cell' },
      { line: 'clef rotate --all --dry-run', does: 'show where files and clef.yaml disagree' },
    ],
    load: () => import('../commands/rotate.ts'),
  },
];
