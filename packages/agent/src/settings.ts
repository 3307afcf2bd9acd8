// The agent's settings: one row each. A row is a variable `CLEF_AGENT_NAME` and, but for the token, a flag `--name`.
import { escapeControl, suggest } from '@clef/strict';

export type SettingRow = {
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

export const settingNames = Object.keys(settingRows) as SettingName[];
const prefix = 'CLEF_AGENT_';

/** Variables with our prefix that belong to others: the client's address, and what Kubernetes sets for a service. */
const foreignVariable = /^CLEF_AGENT_(URL|SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_(TCP|UDP).*)?)$/;

/** How a setting is named in a message. */
export function variableOf(name: SettingName): string {
  return prefix + name;
}

/** How a setting is written on a command line. */
export function flagOf(name: SettingName): string {
  return `--${name.toLowerCase().replaceAll('_', '-')}`;
}

export function rowOf(name: SettingName): SettingRow {
  return settingRows[name];
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
  const near = suggest(variable.toUpperCase(), settingNames.map(variableOf));
  return `${escapeControl(variable.slice(0, 64))}: there is no such setting${near === undefined ? '' : `; did you mean ${near}?`}`;
}
