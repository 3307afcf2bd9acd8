// Arguments and options that several commands have in common.
import type { ArgumentDefinition, OptionDefinition } from '../command.ts';

export const cell: ArgumentDefinition = {
  name: 'cell',
  summary: 'NAMESPACE/ENVIRONMENT, for example database/development',
};
export const key: ArgumentDefinition = { name: 'key', summary: 'the name of a secret, for example DB_URL' };
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
