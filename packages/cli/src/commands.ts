// Every command, one row each, by subject: help, completion and docs/commands.md are made from this table.
import type { CommandDefinition } from './command.ts';
import { artifactRows } from './rows/artifacts.ts';
import { keyRows } from './rows/keys.ts';
import { matrixRows } from './rows/matrix.ts';
import { peopleRows } from './rows/people.ts';
import { runtimeRows } from './rows/runtime.ts';
import { secretRows } from './rows/secrets.ts';
import { serviceRows } from './rows/services.ts';
import { sopsRows } from './rows/sops.ts';
import { startRows } from './rows/start.ts';

/** What each group of two-word commands is about. */
export const groups: Readonly<Record<string, string>> = {
  namespace: 'Namespaces: groups of secrets that belong together',
  environment: 'Environments: where secrets are used',
  recipients: 'Who may read: people, their age keys, and what each may open',
  key: 'Your own age keys: making, carrying and looking at them',
  service: 'Service identities: what a workload gets, sealed to its own key',
  artifact: 'Artifacts as files: looking at one, checking it, opening it',
  kms: 'Keys in a KMS',
  sops: 'The SOPS command, for machines without it: any SOPS file, not only cells',
};

const subjects: readonly (readonly [heading: string, rows: readonly CommandDefinition[]])[] = [
  ['Start:', startRows],
  ['Secrets:', secretRows],
  ['Layout:', matrixRows],
  ['People and keys:', [...peopleRows, ...keyRows]],
  ['Services and artifacts:', [...serviceRows, ...artifactRows]],
  ['Runtime:', runtimeRows],
  ['More:', sopsRows],
];

export const commands: readonly CommandDefinition[] = subjects.flatMap(([, rows]) => rows);

/** Under which heading help lists each first word of a command. */
export const headings: Readonly<Record<string, string>> = Object.fromEntries(
  subjects.flatMap(([heading, rows]) => rows.map(({ name }) => [name.split(' ')[0], heading] as const)),
);
