// Values for the exports, and what a shell makes of them.

import { runChild } from '@clef/host';
import fc from 'fast-check';
import { type ExportFormat, exportSecrets } from '../src/secrets/export-secrets.ts';
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
  const script = `${text}\nexec "$NODE" -e 'process.stdout.write(JSON.stringify(process.env))'`;
  const { exitCode, stdout, stderr } = await runChild({
    command: shell,
    args: ['-s'],
    environment: { NODE: process.execPath, LC_ALL: 'C.UTF-8' },
    stdio: 'capture',
    input: Buffer.from(script),
    maxOutputBytes: 64 * 1024 * 1024,
  });
  if (exitCode !== 0) throw new Error(`${shell}: ${Buffer.from(stderr).toString().slice(0, 500)}`);
  const environment = JSON.parse(Buffer.from(stdout).toString()) as Record<string, string>;
  return Object.fromEntries(Object.entries(environment).filter(([name]) => /^K\d+$/.test(name)));
}
