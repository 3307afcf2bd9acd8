// The rows of daily work with secrets: writing, reading, running.
import type { CommandDefinition } from '../command.ts';
import { allowEnv, cell, choice, key, yes } from './shared.ts';

/** Written out, as a table that is read at every start must not load the formats themselves. */
export const exportFormatNames = [
  'dotenv',
  'json',
  'yaml',
  'sh',
  'fish',
  'powershell',
  'github',
  'github-mask',
  'docker',
  'kubernetes',
  'systemd',
] as const;

export const secretRows: readonly CommandDefinition[] = [
  {
    name: 'set',
    summary: 'Store a value',
    details:
      'Without a value it is asked for on a terminal, without echo, and read from standard input otherwise, byte for byte. A value given as an argument can be read by other processes while the command runs: it is refused in protected environments.\n\nWith --generate or --pending several keys may follow the cell. To store many values at once, see "clef import" (also from standard input). A value, or a name, that breaks the schema of its namespace is refused.',
    arguments: [
      cell,
      key,
      {
        name: 'value',
        summary: 'the value, or - for standard input; with --generate or --pending: more keys',
        optional: true,
        variadic: true,
      },
    ],
    options: [
      { flag: '--file', value: 'path', summary: 'take the value from a file, byte for byte' },
      { flag: '--trim-newline', summary: 'take one newline off the end of a file or of standard input' },
      {
        flag: '--generate',
        summary:
          "make a random value, as the schema's rule says, else of 32 letters and digits; it is not shown",
      },
      { flag: '--length', value: 'n', summary: 'how many characters to generate' },
      {
        flag: '--alphabet',
        value: 'name',
        summary: 'what to generate from: alphanumeric, base64url, hex, digits, letters or symbols',
      },
      {
        flag: '--pending',
        summary: 'announce a key that will get its value later: "pack" refuses until then',
      },
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
      {
        line: 'clef set auth/production SESSION_KEY CSRF_KEY --generate --yes',
        does: 'give each key a random value of its own',
      },
    ],
    load: () => import('../commands/set.ts'),
  },
  {
    name: 'get',
    summary: 'Print a value',
    details:
      'The exact bytes; on a terminal one newline more, and control characters are shown escaped unless --raw is given.',
    arguments: [cell, key],
    options: [{ flag: '--raw', summary: 'print control characters as they are, also on a terminal' }],
    examples: [{ line: 'clef get database/development DB_URL', does: 'print one value' }],
    load: () => import('../commands/get.ts'),
  },
  {
    name: 'list',
    summary: 'List the keys of a cell, or all cells',
    arguments: [{ ...cell, optional: true }],
    examples: [
      { line: 'clef list', does: 'show every cell of the matrix and how many keys it has' },
      { line: 'clef list database/development', does: 'show the keys of one cell; needs no key of yours' },
    ],
    load: () => import('../commands/list.ts'),
  },
  {
    name: 'delete',
    summary: 'Delete keys from a cell',
    details: 'All of the keys or none of them. A key that is only pending is announced no longer.',
    arguments: [cell, { ...key, variadic: true }],
    options: [yes],
    examples: [{ line: 'clef delete database/development DB_URL', does: 'delete one key' }],
    load: () => import('../commands/delete.ts'),
  },
  {
    name: 'export',
    summary: 'Print the values of a cell for another program',
    details:
      'Each format gives back the exact bytes, or refuses the value by name. Keys keep the order of the file.\n\nThe formats: dotenv (the default; for node --env-file, Compose and dotenv libraries), json, yaml; sh, fish and powershell, for the shell to evaluate; github for >> "$GITHUB_ENV", after github-mask, which tells the runner what to hide in its log; docker for docker run --env-file; kubernetes, a Secret; systemd, a drop-in with one credential a key.',
    arguments: [cell],
    options: [
      {
        flag: '--format',
        value: 'format',
        summary: 'one of the formats above (default: dotenv)',
        completes: exportFormatNames,
      },
      ...choice,
      allowEnv,
    ],
    examples: [
      {
        line: 'eval "$(clef export database/development --format sh)"',
        does: 'set variables in this shell; keep the quotes',
      },
      {
        line: 'clef export database/development --format fish | source',
        does: 'the same in fish',
      },
      {
        line: 'clef export api/production --also database/production --format kubernetes | kubectl apply -f -',
        does: 'make a Secret of two cells',
      },
    ],
    load: () => import('../commands/export.ts'),
  },
  {
    name: 'exec',
    summary: 'Run a command with the values of a cell as its environment',
    details:
      "The exit code is the command's own (128+N when a signal ended it); 125 when Clef itself failed, 126 when the command is not executable, 127 when it does not exist. Variables that hold keys of Clef or SOPS are not passed on.",
    arguments: [cell],
    options: [
      ...choice,
      {
        flag: '--pristine',
        summary: 'start from an empty environment: only PATH, HOME and the values',
      },
      { flag: '--keep-clef-env', summary: 'pass on CLEF_AGE_KEY… and the like too' },
      {
        flag: '--redact',
        summary: "mask the values in the command's output, which then goes through a pipe, no terminal",
      },
      allowEnv,
    ],
    takesCommandLine: true,
    examples: [
      { line: 'clef exec database/development -- node server.js', does: 'run a server with its secrets' },
      {
        line: 'clef exec database/development --also payments/development --prefix APP_ -- make test',
        does: 'give it the values of two cells, as APP_…',
      },
    ],
    load: () => import('../commands/exec.ts'),
  },
];
