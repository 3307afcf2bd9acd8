// The arguments after `clef agent`: which of its modes, that mode's own options, and settings as flags.
import { escapeControl, suggest } from '@clef/strict';
import {
  flagOf,
  rowOf,
  type SettingName,
  type SettingRow,
  type SettingTexts,
  settingNames,
  variableOf,
} from './settings.ts';

export type Mode = 'serve' | 'exec' | 'render';

type OptionRow = Omit<SettingRow, 'isVariableOnly'> & { readonly isRepeatable?: true };

type ModeRow = {
  readonly usage: string;
  readonly does: string;
  readonly options: Readonly<Record<string, OptionRow>>;
};

const wait: OptionRow = {
  value: 'DURATION',
  help: 'how long to wait for the first good artifact (default 60s)',
};

const modeRows = {
  serve: {
    usage: 'clef agent [options]',
    does: 'Keeps one artifact fresh and serves its values on this machine: GET /v1/secrets with a bearer token.',
    options: {
      '--check': {
        help: 'check the settings and accept the artifact once, say the verdict, and end; writes nothing',
      },
    },
  },
  exec: {
    usage: 'clef agent exec [options] -- COMMAND [ARGUMENT…]',
    does: 'Runs a command with the values as its environment, anew when they change. Ends with its exit code; 125 is a failure of the agent.',
    options: {
      '--on-change': {
        value: 'restart|SIGHUP|none',
        help: 'what a new revision means for the command (default restart)',
      },
      '--allow-env': {
        value: 'NAME',
        help: 'pass on a key whose name would change how programs run',
        isRepeatable: true,
      },
      '--wait': wait,
    },
  },
  render: {
    usage: 'clef agent render --template FILE --to PATH [options]',
    does: 'Writes the values into files of a memory-backed file system, anew when they change.',
    options: {
      '--template': {
        value: 'FILE',
        help: 'text with {{ KEY }}, {{ KEY | json }}, {{ KEY | base64 }} or {{ KEY | quote-sh }}',
        isRepeatable: true,
      },
      '--to': { value: 'PATH', help: 'where it goes; one for each template', isRepeatable: true },
      '--mode': { value: 'OCTAL', help: 'its permissions (default 0400)' },
      '--owner': { value: 'USER[:GROUP]', help: 'whose it is' },
      '--reload': {
        value: 'COMMAND',
        help: 'run after a change, without a shell: words separated by spaces',
      },
      '--once': { help: 'write once and end' },
      '--allow-disk': { help: 'accept a PATH on a file system that is not memory-backed' },
      '--wait': wait,
    },
  },
} satisfies Record<Mode, ModeRow>;

/** A mode's own options as they were typed. A switch that is on is "1". */
export type ModeOptions = ReadonlyMap<string, readonly string[]>;

export type CommandLine =
  | {
      readonly kind: 'run';
      readonly mode: Mode;
      readonly flags: SettingTexts;
      readonly options: ModeOptions;
      /** What follows `--`; with `exec` only. */
      readonly command: readonly string[];
    }
  | { readonly kind: 'help'; readonly mode: Mode }
  | { readonly kind: 'version' }
  | { readonly kind: 'usage'; readonly mode: Mode; readonly message: string };

/** Reads the arguments after `clef agent`. */
export function parseCommandLine(all: readonly string[]): CommandLine {
  const mode: Mode = all[0] === 'exec' || all[0] === 'render' ? all[0] : 'serve';
  const words = mode === 'serve' ? all : all.slice(1);
  const end = mode === 'exec' ? words.indexOf('--') : -1;
  const args = end < 0 ? words : words.slice(0, end);
  const command = end < 0 ? [] : words.slice(end + 1);
  const known = knownFlags(mode);
  const flags = new Map<SettingName, string>();
  const options = new Map<string, readonly string[]>();
  const refuse = (message: string): CommandLine => ({ kind: 'usage', mode, message });
  for (let index = 0; index < args.length; index++) {
    const [word, inline] = splitFlag(args[index] as string);
    if (word === '--help' || word === '-h') return { kind: 'help', mode };
    if (word === '--version') return { kind: 'version' };
    const flag = known.get(word);
    if (flag === undefined) return refuse(unknownWord(word, known, mode));
    if (isGiven(flag, word, flags, options)) return refuse(`${word} is given twice`);
    const value = flag.row.value === undefined ? (inline ?? '1') : (inline ?? args[++index]);
    if (value === undefined) return refuse(`${word} needs a value`);
    if (flag.setting === undefined) options.set(word, [...(options.get(word) ?? []), value]);
    else flags.set(flag.setting, value);
  }
  if (mode === 'exec' && (command[0] ?? '') === '') return refuse('there is no command after "--"');
  return { kind: 'run', mode, flags, options, command };
}

type Flag = { readonly row: OptionRow; readonly setting?: SettingName };
type KnownFlags = ReadonlyMap<string, Flag>;

function knownFlags(mode: Mode): KnownFlags {
  const own: Readonly<Record<string, OptionRow>> = modeRows[mode].options;
  return new Map<string, Flag>([
    ...settingNames
      .filter((name) => rowOf(name).isVariableOnly !== true)
      .map((setting) => [flagOf(setting), { row: rowOf(setting), setting }] as const),
    ...Object.entries(own).map(([word, row]) => [word, { row }] as const),
  ]);
}

function isGiven({ row, setting }: Flag, word: string, flags: SettingTexts, options: ModeOptions): boolean {
  if (row.isRepeatable === true) return false;
  return setting === undefined ? options.has(word) : flags.has(setting);
}

function splitFlag(word: string): [flag: string, value: string | undefined] {
  const equals = word.indexOf('=');
  return word.startsWith('--') && equals > 0
    ? [word.slice(0, equals), word.slice(equals + 1)]
    : [word, undefined];
}

function unknownWord(word: string, known: KnownFlags, mode: Mode): string {
  const secret = settingNames.find((name) => rowOf(name).isVariableOnly && flagOf(name) === word);
  if (secret !== undefined)
    return `${word} would show the token to every user of this machine: set ${variableOf('TOKEN_FILE')} instead`;
  if (!word.startsWith('-')) {
    if (mode === 'exec') return 'the command stands after "--": clef agent exec [options] -- COMMAND';
    const meant = mode === 'serve' ? suggest(word, ['exec', 'render']) : undefined;
    return `clef agent takes options only, no other words${meant === undefined ? '' : `; did you mean "clef agent ${meant}"?`}`;
  }
  const near = suggest(word, [...known.keys()]);
  return `There is no option ${quote(word)}${near === undefined ? '' : `; did you mean "${near}"?`}`;
}

function quote(text: string): string {
  return `"${escapeControl(text.slice(0, 64))}"`;
}

/** What `--help` prints. */
export function helpText(mode: Mode = 'serve'): string {
  const { usage, does, options }: ModeRow = modeRows[mode];
  const more = Object.values(modeRows)
    .filter((row) => row.usage !== usage)
    .map((row) => `  ${row.usage}`);
  return [
    `Usage: ${usage}`,
    '',
    does,
    'Each setting can also be a variable: --kms-key is CLEF_AGENT_KMS_KEY. An option wins over its variable.',
    '`clef service show NAME ENVIRONMENT --agent-env` prints what a service identity needs.',
    '',
    'Options:',
    ...Object.entries(options).map(([flag, row]) => helpLine(flag, row)),
    helpLine('--help', { help: 'print this' }),
    helpLine('--version', { help: 'print the version' }),
    '',
    'Settings:',
    ...settingNames.map((name) =>
      helpLine(rowOf(name).isVariableOnly ? variableOf(name) : flagOf(name), rowOf(name)),
    ),
    '',
    'See also:',
    ...more,
    '',
  ].join('\n');
}

function helpLine(flag: string, { value, help }: OptionRow): string {
  return `  ${(value === undefined ? flag : `${flag} ${value}`).padEnd(42)} ${help}`;
}
