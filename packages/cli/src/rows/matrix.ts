// The rows about the layout: the matrix of namespaces and environments, and the files that stand for it.
import type { ArgumentDefinition, CommandDefinition, OptionDefinition } from '../command.ts';
import { dryRun, yes } from './shared.ts';

const confirmed: OptionDefinition = { ...yes, summary: 'confirm what would be asked about' };
const create: OptionDefinition = {
  flag: '--create',
  summary: 'although the name is close to an existing one',
};
const description: OptionDefinition = { flag: '--description', value: 'text', summary: 'what it is' };
const nameOf = (what: 'namespace' | 'environment', name = 'name'): ArgumentDefinition => ({
  name,
  summary: `the ${what}`,
  completes: what,
});

export const matrixRows: readonly CommandDefinition[] = [
  {
    name: 'sync',
    summary: 'Make a file for every cell, and a .sops.yaml for stock sops',
    details:
      'Cells that are missing are made without keys. Under the .sops.yaml the stock tool encrypts these paths to the same keys that clef.yaml grants; Clef keeps it true from then on. One that Clef did not write is left alone.',
    options: [{ flag: '--force', summary: 'replace a .sops.yaml that Clef did not write' }, dryRun, yes],
    examples: [{ line: 'clef sync --dry-run', does: 'show which cells have no file yet' }],
    load: () => import('../commands/sync.ts'),
  },
  {
    name: 'namespace add',
    summary: 'Add a namespace to clef.yaml',
    arguments: [{ name: 'name', summary: 'the namespace' }],
    options: [description, create],
    examples: [{ line: 'clef namespace add payments', does: 'announce a namespace before its first key' }],
    load: () => import('../commands/namespace-add.ts'),
  },
  {
    name: 'namespace rename',
    summary: 'Rename a namespace: its cells, sidecars, schema, and every mention in clef.yaml',
    details: 'Files keep their bytes; nothing is decrypted, so no key of yours is needed.',
    arguments: [nameOf('namespace', 'old'), { name: 'new', summary: 'its new name' }],
    options: [dryRun, yes],
    examples: [{ line: 'clef namespace rename db database', does: 'rename a namespace' }],
    load: () => import('../commands/namespace-rename.ts'),
  },
  {
    name: 'namespace remove',
    summary: 'Remove a namespace with its cells and every mention in clef.yaml',
    details: 'Shows what would be lost and asks. The values stay in git history.',
    arguments: [nameOf('namespace')],
    options: [dryRun, confirmed],
    examples: [{ line: 'clef namespace remove payments --dry-run', does: 'show what would be lost' }],
    load: () => import('../commands/namespace-remove.ts'),
  },
  {
    name: 'environment add',
    summary: 'Add an environment to clef.yaml',
    details:
      'Somebody must be able to read it: a rule that grants all environments, --allow, or a KMS key with --encrypt-to.',
    arguments: [{ name: 'name', summary: 'the environment' }],
    options: [
      { flag: '--protected', summary: 'writing asks for confirmation' },
      {
        flag: '--encrypt-to',
        value: 'key',
        repeatable: true,
        summary: 'a KMS key that every cell of it is encrypted to',
      },
      { flag: '--allow', value: 'names', summary: 'people and groups who may read it, separated by commas' },
      description,
      create,
    ],
    examples: [
      { line: 'clef environment add preview --allow platform', does: 'an environment that a group may read' },
    ],
    load: () => import('../commands/environment-add.ts'),
  },
  {
    name: 'environment rename',
    summary: 'Rename an environment: its cells, sidecars, and every mention in clef.yaml',
    details: 'Files keep their bytes. Agents must be configured for the new name.',
    arguments: [nameOf('environment', 'old'), { name: 'new', summary: 'its new name' }],
    options: [dryRun, yes],
    examples: [{ line: 'clef environment rename staging preview', does: 'rename an environment' }],
    load: () => import('../commands/environment-rename.ts'),
  },
  {
    name: 'environment remove',
    summary: 'Remove an environment with its cells and every mention in clef.yaml',
    details: 'Shows what would be lost and asks. The values stay in git history.',
    arguments: [nameOf('environment')],
    options: [dryRun, confirmed],
    examples: [{ line: 'clef environment remove staging --dry-run', does: 'show what would be lost' }],
    load: () => import('../commands/environment-remove.ts'),
  },
];
