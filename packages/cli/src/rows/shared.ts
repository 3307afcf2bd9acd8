// Arguments and options that several commands have in common.
import type { ArgumentDefinition, OptionDefinition } from '../command.ts';

export const cell: ArgumentDefinition = {
  name: 'cell',
  summary: 'NAMESPACE/ENVIRONMENT, for example database/development',
  completes: 'cell',
};
export const key: ArgumentDefinition = {
  name: 'key',
  summary: 'the name of a secret, for example DB_URL',
  completes: 'key',
};
export const yes: OptionDefinition = {
  flag: '--yes',
  summary: 'confirm a change of a protected environment',
};
export const allowEnv: OptionDefinition = {
  flag: '--allow-env',
  value: 'name',
  repeatable: true,
  summary: 'accept this name although it changes how programs run (PATH, NODE_OPTIONS, …)',
};

/** Which values are taken, of which cells, and under which names. */
export const choice: readonly OptionDefinition[] = [
  {
    flag: '--also',
    value: 'cell',
    repeatable: true,
    summary: 'take the values of this cell too; where two define a key, the later cell counts',
    completes: 'cell',
  },
  { flag: '--strict', summary: 'refuse a key that two of the cells define' },
  { flag: '--only', value: 'keys', summary: 'take only these keys, separated by commas', completes: 'key' },
  {
    flag: '--except',
    value: 'keys',
    summary: 'take all keys but these, separated by commas',
    completes: 'key',
  },
  { flag: '--prefix', value: 'text', summary: 'put this before every name, for example APP_' },
];

export const dryRun: OptionDefinition = {
  flag: '--dry-run',
  summary: 'print what would change, and write nothing',
};
