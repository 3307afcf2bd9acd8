// The agent's settings: one row each. A row is a variable `CLEF_AGENT_NAME` and, but for the token, a flag `--name`.
import { escapeControl, suggest } from '@clef/strict';

type SettingRow = {
  /** What follows the flag in `--help`; a row without it is a switch. */
  readonly value?: string;
  readonly help: string;
  /** A secret has no flag: command lines can be read by every user of the machine. */
  readonly isVariableOnly?: true;
};

export const settingRows = {
  SOURCE: {
    value: 'FILE|URL',
    help: 'the artifact: an absolute path, or an https://, s3:// or gs:// address (s3://BUCKET/KEY?region=REGION)',
  },
  REPOSITORY: { value: 'ID', help: 'the id of the repository, from its clef.yaml' },
  IDENTITY: { value: 'NAME', help: 'the service identity' },
  ENVIRONMENT: { value: 'NAME', help: 'the environment' },
  KMS_KEY: { value: 'KEY', help: 'the one KMS key that may seal the artifact' },
  AGE_KEY_FILE: { value: 'FILE', help: 'the age key that opens the artifact, where there is no KMS' },
  VERIFY_KEYS: { value: 'KEY,…', help: 'the keys that may sign, oldest first' },
  MIN_REVISION: { value: 'N', help: 'refuse older revisions, whatever was seen before' },
  LISTEN: { value: 'ADDRESS', help: '127.0.0.1:PORT (default 127.0.0.1:7779) or the path of a Unix socket' },
  TOKEN_FILE: {
    value: 'FILE',
    help: 'the token that clients must send; generated when there is no such file (default $XDG_RUNTIME_DIR/clef-agent/PORT.token)',
  },
  TOKEN: { value: 'TOKEN', help: 'the token itself; a file is safer', isVariableOnly: true },
  TOKEN_GROUP: { value: 'GROUP', help: 'a group that may read the generated token file and use the socket' },
  ALLOW_UIDS: {
    value: 'UID,…',
    help: 'the users whose processes may show the token, besides whoever knows it (Linux; with 127.0.0.1)',
  },
  STATE_DIR: {
    value: 'DIR|none',
    help: 'where the newest revision and the last good artifact are kept (default $STATE_DIRECTORY or $XDG_STATE_HOME/clef-agent/…)',
  },
  POLL: { value: 'DURATION', help: 'how often the source is asked (default 30s)' },
  MAX_STALE: {
    value: 'DURATION',
    help: 'how long to serve when the source or the KMS is away (default 24h)',
  },
  REAUTHORIZE: {
    value: 'DURATION|never|each-request',
    help: 'how often the KMS is asked whether this machine may still read (default 1h)',
  },
  ALLOW_UNSIGNED: { help: 'accept an unsigned artifact; from a local file only' },
  ALLOW_HTTP_LOOPBACK: { help: 'accept http:// to 127.0.0.1 as the source' },
  LOG_FORMAT: {
    value: 'json|text',
    help: 'the log on standard error (default text on a terminal, else json)',
  },
} satisfies Record<string, SettingRow>;

export type SettingName = keyof typeof settingRows;

/** Settings as they were typed. A switch that is on is "1". */
export type SettingTexts = ReadonlyMap<SettingName, string>;

export type CommandLine =
  | { readonly kind: 'run'; readonly flags: SettingTexts }
  | { readonly kind: 'help' | 'version' }
  | { readonly kind: 'usage'; readonly message: string };

const names = Object.keys(settingRows) as SettingName[];
const prefix = 'CLEF_AGENT_';

/** Variables with our prefix that belong to others: the client's address, and what Kubernetes sets for a service. */
const foreignVariable = /^CLEF_AGENT_(URL|SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_(TCP|UDP).*)?)$/;

/** How a setting is named in a message. */
export function variableOf(name: SettingName): string {
  return prefix + name;
}

function flagOf(name: SettingName): string {
  return `--${name.toLowerCase().replaceAll('_', '-')}`;
}

function rowOf(name: SettingName): SettingRow {
  return settingRows[name];
}

/** Reads the arguments after `clef agent`. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const byFlag = new Map(names.map((name) => [flagOf(name), name]));
  const flags = new Map<SettingName, string>();
  for (let index = 0; index < args.length; index++) {
    const [word, inline] = splitFlag(args[index] as string);
    if (word === '--help' || word === '-h') return { kind: 'help' };
    if (word === '--version') return { kind: 'version' };
    const name = byFlag.get(word);
    if (name === undefined || rowOf(name).isVariableOnly)
      return { kind: 'usage', message: unknownWord(word, name) };
    if (flags.has(name)) return { kind: 'usage', message: `${word} is given twice` };
    const value = rowOf(name).value === undefined ? (inline ?? '1') : (inline ?? args[++index]);
    if (value === undefined) return { kind: 'usage', message: `${word} needs a value` };
    flags.set(name, value);
  }
  return { kind: 'run', flags };
}

function splitFlag(word: string): [flag: string, value: string | undefined] {
  const equals = word.indexOf('=');
  return word.startsWith('--') && equals > 0
    ? [word.slice(0, equals), word.slice(equals + 1)]
    : [word, undefined];
}

function unknownWord(word: string, name: SettingName | undefined): string {
  if (name !== undefined)
    return `${flagOf(name)} would show the token to every user of this machine: set ${variableOf('TOKEN_FILE')} instead`;
  if (!word.startsWith('-')) return 'clef agent takes options only, no other words';
  const near = suggest(word, names.filter((known) => !rowOf(known).isVariableOnly).map(flagOf));
  return `There is no option ${quote(word)}${near === undefined ? '' : `; did you mean "${near}"?`}`;
}

function quote(text: string): string {
  return `"${escapeControl(text.slice(0, 64))}"`;
}

/** The settings among the variables, and a fault for each unknown one. */
export function readVariables(environment: Readonly<Record<string, string | undefined>>): {
  readonly variables: SettingTexts;
  readonly faults: readonly string[];
} {
  const variables = new Map<SettingName, string>();
  const faults: string[] = [];
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.toUpperCase().startsWith(prefix) || value === undefined || foreignVariable.test(variable))
      continue;
    const name = variable.slice(prefix.length);
    if (variable.startsWith(prefix) && Object.hasOwn(settingRows, name))
      variables.set(name as SettingName, value);
    else faults.push(unknownVariable(variable));
  }
  return { variables, faults };
}

function unknownVariable(variable: string): string {
  const near = suggest(variable.toUpperCase(), names.map(variableOf));
  return `${escapeControl(variable.slice(0, 64))}: there is no such setting${near === undefined ? '' : `; did you mean ${near}?`}`;
}

/** What `--help` prints. */
export function helpText(): string {
  const lines = names.map((name) => {
    const { value, help, isVariableOnly } = rowOf(name);
    const flag = isVariableOnly ? variableOf(name) : flagOf(name);
    return `  ${(value === undefined ? flag : `${flag} ${value}`).padEnd(42)} ${help}`;
  });
  return [
    'Usage: clef agent [options]',
    '',
    'Keeps one artifact fresh and serves its values on this machine: GET /v1/secrets with a bearer token.',
    'Each option can also be a variable: --kms-key is CLEF_AGENT_KMS_KEY. An option wins over its variable.',
    '`clef service show NAME ENVIRONMENT --agent-env` prints what a service identity needs.',
    '',
    'Options:',
    ...lines,
    `  ${'--help'.padEnd(42)} print this`,
    `  ${'--version'.padEnd(42)} print the version`,
    '',
  ].join('\n');
}
