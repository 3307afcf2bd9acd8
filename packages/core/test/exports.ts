// Values for the exports, and what a shell makes of them.

import { runChild } from '@clef/host';
import fc from 'fast-check';
import { ClefError } from '../src/errors.ts';
import { type ExportFormat, exportDialects } from '../src/secrets/export-formats/all.ts';
import { exportSecrets } from '../src/secrets/export-secrets.ts';
import { fillCell, repositoryWith } from './repository-with.ts';

export const cell = 'database/development';

/** Text that tempts a shell or a reader of dotenv files. */
const tempting = fc
  .array(
    fc.constantFrom(
      ...[
        "'",
        '"',
        '`',
        '\\',
        '$',
        '$(id)',
        '$HOME',
        '!',
        '#',
        ' ',
        '\n',
        '\t',
        '=',
        '\\n',
        "\\'",
        ';',
        '&',
        '|',
        '*',
        '~',
        'é',
        '😀',
        '\u2028',
        '\ufeff',
        '\u0001',
        '\u007f',
        '\u0085',
        '\u009b',
        '\u001b',
        '-',
        'a',
        'export ',
        '%s',
      ],
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) => parts.join(''));

export const value = fc
  .oneof(
    { weight: 3, arbitrary: tempting },
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }),
  )
  .filter((text) => !text.includes('\0') && !/\p{Cs}/u.test(text));

/** Many values at once, as the keys K0, K1, …: a process for each would take too long. */
export const manyValues: readonly Readonly<Record<string, string>>[] = Array.from({ length: 4 }, (_, seed) =>
  Object.fromEntries(
    fc.sample(value, { numRuns: 250, seed: seed + 1 }).map((text, index) => [`K${index}`, text]),
  ),
);

/** For the real readers: each of them gets all 10,000 in one or two processes. */
export const tenThousandValues: Readonly<Record<string, string>> = Object.fromEntries(
  fc.sample(value, { numRuns: 10_000, seed: 20_260_131 }).map((text, index) => [`K${index}`, text]),
);

/** The text of values in a format, without a cell around them. */
export function written(
  format: ExportFormat,
  values: Readonly<Record<string, string>>,
  randomBytes = (length: number): Uint8Array => new Uint8Array(length).fill(0xab),
): string {
  return exportDialects[format].write({
    values: new Map(Object.entries(values)),
    cell: { namespace: 'database', environment: 'development' },
    randomBytes,
  });
}

/** The values that a format can hold, and the keys of those that it refuses by name. */
export function heldBy(format: ExportFormat, values: Readonly<Record<string, string>>) {
  const held: Record<string, string> = {};
  const refusedKeys: string[] = [];
  for (const [key, text] of Object.entries(values)) {
    try {
      written(format, { [key]: text });
      held[key] = text;
    } catch (error) {
      if (!(error instanceof ClefError) || !error.message.includes(`"${key}"`)) throw error;
      refusedKeys.push(key);
    }
  }
  return { held, refusedKeys };
}

/** The export of some values. */
export async function exported(
  values: Readonly<Record<string, string>>,
  format: ExportFormat,
): Promise<string> {
  const repository = await repositoryWith();
  await fillCell(repository, cell, values);
  return exportSecrets(await repository.open(), { cell, format });
}

/** What a shell has in its variables after it has run the text of an export, as the documentation says to. */
export async function evaluated(shell: string, text: string): Promise<Record<string, string>> {
  const isFish = shell === 'fish';
  const show = `exec "$NODE" -e 'process.stdout.write(JSON.stringify(process.env))'`;
  const { exitCode, stdout, stderr } = await runChild({
    command: shell,
    // fish reads no program from a socket, which is what a pipe of Node's is.
    args: isFish ? ['--no-config', '-c', `cat | source; ${show}`] : ['-s'],
    environment: {
      NODE: process.execPath,
      LC_ALL: 'C.UTF-8',
      HOME: '/nonexistent',
      PATH: process.env['PATH'],
    },
    stdio: 'capture',
    input: Buffer.from(isFish ? text : `${text}\n${show}\n`),
    maxOutputBytes: 64 * 1024 * 1024,
  });
  if (exitCode !== 0) throw new Error(`${shell}: ${Buffer.from(stderr).toString().slice(0, 500)}`);
  return JSON.parse(Buffer.from(stdout).toString()) as Record<string, string>;
}

/** The same without the shell's own variables. */
export async function evaluatedValues(shell: string, text: string): Promise<Record<string, string>> {
  const entries = Object.entries(await evaluated(shell, text));
  return Object.fromEntries(entries.filter(([name]) => /^K\d+$/.test(name)));
}
