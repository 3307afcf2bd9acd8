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
    name: 'search',
    summary: 'Find keys by name, or where a value is used',
    details:
      'A pattern finds keys that hold it, or match it as a whole where it has * or ?; case does not count, and no key of yours is needed. With --value the value is asked for on a terminal, without echo, and read from standard input otherwise; every cell that you can read is searched, and no value is printed.\n\nExit code 0 when something was found, 1 when nothing was. Cells that could not be searched are named.',
    arguments: [{ name: 'pattern', summary: 'a part of a name, such as URL, or DB_*', optional: true }],
    options: [
      { flag: '--value', summary: 'search for a value, which is not shown' },
      { flag: '--trim-newline', summary: 'take one newline off the end of standard input' },
    ],
    examples: [
      { line: 'clef search URL', does: 'list every key with "URL" in its name' },
      { line: 'clef search --value', does: 'list the keys that have the value you type' },
    ],
    load: () => import('../commands/search.ts'),
  },
  {
    name: 'compare',
    summary: 'Tell whether values are equal, without showing them',
    details:
      'A key is compared with the same key of another cell, with another key, or, where no other cell is given, with a value that is asked for without echo or read from standard input. With two cells, every key of either is listed as equal, different, or in one of them only.\n\nExit code 0 when all is equal, 1 when not.',
    arguments: [
      cell,
      { name: 'key', summary: 'the name of a secret; or another cell, to compare the two', completes: 'key' },
      { name: 'other-cell', summary: 'the cell to compare with', optional: true, completes: 'cell' },
      { name: 'other-key', summary: 'its key (default: the same name)', optional: true },
    ],
    options: [{ flag: '--trim-newline', summary: 'take one newline off the end of standard input' }],
    examples: [
      {
        line: 'clef compare database/staging DB_URL database/production',
        does: 'see whether two environments share a value',
      },
      { line: 'clef compare database/staging database/production', does: 'compare all keys of two cells' },
      { line: 'clef compare payments/production API_KEY', does: 'check a value that you type' },
    ],
    load: () => import('../commands/compare.ts'),
  },
  {
    name: 'explain',
    summary: 'Tell what is known of a key without its value',
    details:
      'In which cells it is, who can read it, when and by whom it was changed, and which service identities carry it under which name. Needs no key of yours.',
    arguments: [
      { name: 'cell-or-key', summary: 'a key, to look for it in all cells; or a cell, before a key' },
      { ...key, optional: true },
    ],
    examples: [
      { line: 'clef explain DB_URL', does: 'look for the key in all cells' },
      { line: 'clef explain database/production DB_URL', does: 'look at one cell' },
    ],
    load: () => import('../commands/explain.ts'),
  },
  {
    name: 'edit',
    summary: 'Edit the values of a cell in your editor',
    details:
      'Opens $VISUAL or $EDITOR on the values, in a folder in memory that only you can enter and that is removed afterwards; where there is no such folder, nothing is opened. Names, values and the schema are checked when you save; on a terminal you can go back to a text with mistakes. Values that you leave alone keep their ciphertext.\n\nVim, Neovim and nano are told to keep no copy elsewhere (swap, backup and undo files, ~/.viminfo), whatever their configuration says. What another editor or a plugin keeps is its own affair.',
    arguments: [cell],
    options: [
      { flag: '--create', summary: 'create the namespace although its name is close to an existing one' },
      allowEnv,
      yes,
    ],
    examples: [{ line: 'clef edit database/development', does: 'change several values at once' }],
    load: () => import('../commands/edit.ts'),
  },
  {
    name: 'copy',
    summary: 'Copy values from one cell to another',
    details:
      'All keys, or those that are named. A key that has another value in the target is refused by name unless --overwrite is given; equal values stay as they are. Several targets change together or not at all.',
    arguments: [
      { name: 'from', summary: 'the cell to copy from' },
      { name: 'to', summary: 'the cell to copy to' },
      { ...key, optional: true, variadic: true },
    ],
    options: [
      { flag: '--also', value: 'cell', repeatable: true, summary: 'copy to this cell too' },
      { flag: '--overwrite', summary: 'replace values that differ' },
      { flag: '--dry-run', summary: 'show what would change, and change nothing' },
      { flag: '--create', summary: 'create the namespace although its name is close to an existing one' },
      allowEnv,
      yes,
    ],
    examples: [
      { line: 'clef copy database/development database/staging', does: 'copy every key' },
      {
        line: 'clef copy database/staging database/production DB_URL --overwrite --yes',
        does: 'promote one value',
      },
    ],
    load: () => import('../commands/copy.ts'),
  },
  {
    name: 'import',
    summary: 'Store the values of a dotenv, JSON, YAML or SOPS file',
    details:
      'All values of the file or none of them; everything that is wrong with it is told at once. Values of keys that have another value stay, unless --overwrite is given. Nothing in the file is run or filled in. SOPS files of any format are opened with every key that "clef sops decrypt" would find; several documents are taken as one.',
    arguments: [cell, { name: 'file', summary: 'the file, or - for standard input' }],
    options: [
      {
        flag: '--format',
        value: 'format',
        summary: 'dotenv, json, yaml or sops; otherwise the content and the name tell',
      },
      { flag: '--overwrite', summary: 'take the values of keys that have another value' },
      { flag: '--dry-run', summary: 'check everything and show what would change, and change nothing' },
      { flag: '--prefix', value: 'text', summary: 'put this before every name' },
      {
        flag: '--flatten',
        value: 'separator',
        summary: 'join the names of what is nested; without it nesting is refused',
      },
      {
        flag: '--stringify',
        summary: 'of a SOPS file: take numbers, booleans and times as their exact text',
      },
      { flag: '--skip-empty', summary: 'leave out keys with an empty value, and list them' },
      { flag: '--last', summary: 'take the last of a name that a dotenv file has twice' },
      { flag: '--create', summary: 'create the namespace although its name is close to an existing one' },
      allowEnv,
      yes,
    ],
    examples: [
      { line: 'clef import database/development .env --dry-run', does: 'see what an import would change' },
      {
        line: 'sops decrypt old.yaml | clef import database/staging - --format yaml --flatten _',
        does: 'take over what another tool keeps',
      },
    ],
    load: () => import('../commands/import.ts'),
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
        flag: '--watch',
        summary: 'end the command (SIGTERM, after 10 s SIGKILL) and start it anew when its values change',
      },
      {
        flag: '--redact',
        summary: "mask the values in the command's output, which goes through a pipe",
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
