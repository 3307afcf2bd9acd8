// Every command, one row each: help, completion and docs/commands.md are made from this table.
import type { ArgumentDefinition, CommandDefinition, OptionDefinition } from './command.ts';
import { sopsCommands } from './commands/sops-rows.ts';

/** What each group of two-word commands is about. */
export const groups: Readonly<Record<string, string>> = {
  recipients: 'Who may read: people, their age keys, and what each may open',
  service: 'Service identities: what a workload gets, sealed to its own key',
  kms: 'Keys in a KMS',
  sops: 'The SOPS command, for machines without it: any SOPS file, not only cells',
};

const cell: ArgumentDefinition = {
  name: 'cell',
  summary: 'NAMESPACE/ENVIRONMENT, for example database/development',
};
const key: ArgumentDefinition = { name: 'key', summary: 'the name of a secret, for example DB_URL' };
const yes: OptionDefinition = { flag: '--yes', summary: 'confirm a change of a protected environment' };
const allowEnv: OptionDefinition = {
  flag: '--allow-env',
  value: 'name',
  repeatable: true,
  summary: 'accept this name although it changes how programs run (PATH, NODE_OPTIONS, …)',
};

export const commands: readonly CommandDefinition[] = [
  {
    name: 'init',
    summary: 'Start a Clef repository here, or join the one that is here',
    details:
      'In a new folder it writes clef.yaml with the environments development, staging and production (protected), makes an age key if you have none, and lets you read everything. In an initialised repository it makes a key if you have none and prints the one line to send to a teammate.',
    options: [{ flag: '--passphrase', summary: 'keep the new age key in a file wrapped with a passphrase' }],
    examples: [{ line: 'clef init', does: 'make this folder a Clef repository' }],
    load: () => import('./commands/init.ts'),
  },
  {
    name: 'set',
    summary: 'Store a value',
    details:
      'Without a value it is asked for on a terminal, without echo, and read from standard input otherwise, byte for byte. A value given as an argument can be read by other processes while the command runs: it is refused in protected environments.',
    arguments: [cell, key, { name: 'value', summary: 'the value, or - for standard input', optional: true }],
    options: [
      { flag: '--trim-newline', summary: 'take one newline off the end of standard input' },
      { flag: '--create', summary: 'create the namespace although its name is close to an existing one' },
      allowEnv,
      yes,
    ],
    examples: [
      {
        line: 'clef set database/development DB_URL "postgres://localhost:5432/myapp"',
        does: 'store a value',
      },
      {
        line: 'openssl rand -hex 32 | clef set payments/production API_KEY --trim-newline --yes',
        does: 'store what another program prints',
      },
    ],
    load: () => import('./commands/set.ts'),
  },
  {
    name: 'get',
    summary: 'Print a value',
    details:
      'The exact bytes; on a terminal one newline more, and control characters are shown escaped unless --raw is given.',
    arguments: [cell, key],
    options: [{ flag: '--raw', summary: 'print control characters as they are, also on a terminal' }],
    examples: [{ line: 'clef get database/development DB_URL', does: 'print one value' }],
    load: () => import('./commands/get.ts'),
  },
  {
    name: 'list',
    summary: 'List the keys of a cell, or all cells',
    arguments: [{ ...cell, optional: true }],
    examples: [
      { line: 'clef list', does: 'show every cell of the matrix and how many keys it has' },
      { line: 'clef list database/development', does: 'show the keys of one cell; needs no key of yours' },
    ],
    load: () => import('./commands/list.ts'),
  },
  {
    name: 'delete',
    summary: 'Delete keys from a cell',
    arguments: [cell, key],
    options: [yes],
    examples: [{ line: 'clef delete database/development DB_URL', does: 'delete one key' }],
    load: () => import('./commands/delete.ts'),
  },
  {
    name: 'exec',
    summary: 'Run a command with the values of a cell as its environment',
    details:
      "The exit code is the command's own (128+N when a signal ended it); 125 when Clef itself failed, 126 when the command is not executable, 127 when it does not exist. Variables that hold keys of Clef or SOPS are not passed on.",
    arguments: [cell],
    options: [
      { flag: '--only', value: 'keys', summary: 'pass only these keys, separated by commas' },
      {
        flag: '--pristine',
        summary: "start from an empty environment: only PATH, HOME and the cell's values",
      },
      { flag: '--keep-clef-env', summary: 'pass on CLEF_AGE_KEY… and the like too' },
      allowEnv,
    ],
    takesCommandLine: true,
    examples: [
      { line: 'clef exec database/development -- node server.js', does: 'run a server with its secrets' },
    ],
    load: () => import('./commands/exec.ts'),
  },
  {
    name: 'export',
    summary: 'Print the values of a cell for another program',
    details:
      'Each format gives back the exact bytes, or refuses the value by name. Keys keep the order of the file.',
    arguments: [cell],
    options: [
      { flag: '--format', value: 'format', summary: 'dotenv, json or sh (default: dotenv)' },
      allowEnv,
    ],
    examples: [
      {
        line: 'eval "$(clef export database/development --format sh)"',
        does: 'set variables in this shell; keep the quotes',
      },
    ],
    load: () => import('./commands/export.ts'),
  },
  {
    name: 'recipients list',
    summary: 'Show who may read which environments',
    load: () => import('./commands/recipients-list.ts'),
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
      { flag: '--environments', value: 'names', summary: 'environments to grant, separated by commas' },
      { flag: '--namespaces', value: 'names', summary: 'only these namespaces (default: all)' },
      yes,
    ],
    examples: [
      { line: 'clef recipients add bob age1… --environments development', does: 'let Bob read development' },
    ],
    load: () => import('./commands/recipients-add.ts'),
  },
  {
    name: 'service create',
    summary: 'Add a service identity to clef.yaml',
    details:
      'Names what the workload gets and the key that its artifacts are sealed to in each environment: a KMS key, or an age public key for workloads without KMS. Without --verify your own Ed25519 signing key is used, made on first use.',
    arguments: [{ name: 'name', summary: 'the service identity, for example api-gateway' }],
    options: [
      { flag: '--namespaces', value: 'names', summary: 'the namespaces it may have, separated by commas' },
      {
        flag: '--seal',
        value: 'environment=key',
        repeatable: true,
        summary: 'the sealing key of an environment',
      },
      {
        flag: '--verify',
        value: 'environment=key',
        repeatable: true,
        summary: 'a key that the agent trusts (ed25519:… or p256:…)',
      },
      { flag: '--description', value: 'text', summary: 'what it is' },
      {
        flag: '--prefix',
        value: 'kind',
        summary: '"namespace": put the namespace before each name (database__DB_URL)',
      },
    ],
    examples: [
      {
        line: 'clef service create api-gateway --namespaces database --seal production=awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
        does: 'a service that opens its artifact with its own role',
      },
    ],
    load: () => import('./commands/service-create.ts'),
  },
  {
    name: 'service list',
    summary: 'List the service identities',
    load: () => import('./commands/service-list.ts'),
  },
  {
    name: 'service show',
    summary: 'Show a service identity, or the settings of its agent',
    arguments: [
      { name: 'name', summary: 'the service identity' },
      { name: 'environment', summary: 'one of its environments', optional: true },
    ],
    options: [{ flag: '--agent-env', summary: "print the agent's pinned settings as variables" }],
    examples: [
      {
        line: 'clef service show api-gateway production --agent-env',
        does: 'what to set where the agent runs',
      },
    ],
    load: () => import('./commands/service-show.ts'),
  },
  {
    name: 'pack',
    summary: 'Seal what a service may have into one artifact',
    details:
      'Decrypts only the cells in scope, merges them, encrypts them to a key pair made for this one artifact, wraps the private key with the sealing key, and signs. The output is complete or absent.',
    arguments: [
      { name: 'service', summary: 'the service identity' },
      { name: 'environment', summary: 'one of its environments' },
    ],
    options: [
      { flag: '--to', value: 'destination', summary: 'a file, or - for standard output (default)' },
      { flag: '--expires-in', value: 'duration', summary: 'for example 12h or 30d (default: 30d)' },
      {
        flag: '--allow-dirty',
        summary: 'pack a protected environment although files in scope differ from HEAD',
      },
    ],
    examples: [{ line: 'clef pack api-gateway production --to api-gateway.json', does: 'make an artifact' }],
    load: () => import('./commands/pack.ts'),
  },
  {
    name: 'agent',
    summary: 'Keep one artifact fresh and serve its values on 127.0.0.1',
    details: 'Run "clef agent --help" for its settings. The same program is installed as clef-agent.',
    passThrough: true,
    load: () => import('./commands/agent.ts'),
  },
  {
    name: 'kms emulate',
    summary: 'Run AWS KMS and GCP KMS on this machine, for development and tests',
    details:
      'Speaks the wire protocols over software keys, with roles, policies and metadata endpoints. Loopback only. Never for production.',
    options: [
      { flag: '--port', value: 'port', summary: 'the port (default: any free one)' },
      {
        flag: '--state',
        value: 'file',
        summary: 'keep keys and roles in this file (0600; it holds key material in the clear)',
      },
    ],
    examples: [
      { line: 'clef kms emulate --port 7780', does: 'print the variables to set, and serve until Ctrl-C' },
    ],
    load: () => import('./commands/kms-emulate.ts'),
  },
  {
    name: 'demo',
    summary: 'Show the whole story on this machine: from init to an agent that opens its secrets by role',
    options: [{ flag: '--keep', summary: 'leave the temporary folder in place' }],
    load: () => import('./commands/demo.ts'),
  },
  ...sopsCommands,
  {
    name: 'version',
    summary: 'Print the version',
    load: () => import('./commands/version.ts'),
  },
];
