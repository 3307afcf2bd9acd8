// `clef import`
import {
  type ImportFormat,
  type ImportResult,
  importFormats,
  importSecrets,
  isProtectedCell,
  maxImportBytes,
  openRepository,
  readInputFile,
} from '@clef/core';
import { suggest } from '@clef/strict';
import { confirmation, requiredArgument } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { columns, printJson } from '../print.ts';
import { UsageError } from '../usage-error.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const format = readFormat(input.text('--format'));
  const cell = requiredArgument(input, 'cell');
  const file = requiredArgument(input, 'file');
  const repository = await openRepository(world, directory);
  // A cell that there cannot be is told before anything is read.
  isProtectedCell(repository, cell);
  const isPiped = file === '-';
  const result = await importSecrets(repository, {
    cell,
    bytes: isPiped
      ? await terminal.readInput(maxImportBytes + 1)
      : await readInputFile(world, file, maxImportBytes),
    name: isPiped ? undefined : file,
    format,
    flatten: input.text('--flatten'),
    stringify: input.has('--stringify'),
    prefix: input.text('--prefix'),
    overwrite: input.has('--overwrite'),
    skipEmpty: input.has('--skip-empty'),
    lastWins: input.has('--last'),
    isDryRun: input.has('--dry-run'),
    createNamespace: input.has('--create'),
    allowedEnvironmentNames: input.list('--allow-env'),
    confirm: confirmation(context, input),
  });
  if (json) return printJson(terminal, result);
  if (result.isDryRun) await terminal.data(columns(plannedLines(result)));
  else for (const line of summaryOf(result)) terminal.talk(line);
  return 0;
}

function readFormat(text: string | undefined): ImportFormat | undefined {
  const format = importFormats.find((name) => name === text);
  if (format !== undefined || text === undefined) return format;
  const near = suggest(text, importFormats);
  throw new UsageError(
    `There is no import format "${text.slice(0, 32)}"`,
    near === undefined ? `use one of: ${importFormats.join(', ')}` : `did you mean "${near}"?`,
  );
}

function plannedLines({
  added,
  changed,
  equal,
  kept,
  skipped,
}: ImportResult): readonly (readonly string[])[] {
  return [
    ...added.map((key) => ['add', key]),
    ...changed.map((key) => ['change', key]),
    ...equal.map((key) => ['equal', key]),
    ...kept.map((key) => ['keep', key]),
    ...skipped.map((key) => ['skip', key]),
  ];
}

function summaryOf(result: ImportResult): readonly string[] {
  const { cell, added, changed, equal, kept, skipped } = result;
  return [
    `Imported into ${cell}: ${added.length} added, ${changed.length} changed, ${equal.length} equal`,
    ...(kept.length === 0
      ? []
      : [`Kept the values there for ${kept.join(', ')}; --overwrite takes those of the file`]),
    ...(skipped.length === 0 ? [] : [`Left out as empty: ${skipped.join(', ')}`]),
  ];
}
