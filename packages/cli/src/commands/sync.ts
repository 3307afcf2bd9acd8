// `clef sync`
import { openRepository, type SyncResult, syncMatrix } from '@clef/core';
import { confirmation } from '../arguments.ts';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';
import { listSome } from '../readers-preview.ts';
import type { Terminal } from '../terminal.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory, json } = context;
  const isDryRun = input.has('--dry-run');
  const result = await syncMatrix(await openRepository(world, directory), {
    confirm: confirmation(context, input),
    force: input.has('--force'),
    isDryRun,
  });
  if (json) return printJson(terminal, result);
  if (isDryRun) await printPlan(terminal, result);
  else talkOf(terminal, result);
  if (result.sopsConfig === 'foreign')
    terminal.talk('.sops.yaml was not written by clef and stays as it is; --force replaces it');
  return 0;
}

async function printPlan(terminal: Terminal, { cells, sopsConfig }: SyncResult): Promise<void> {
  const lines = [...cells, ...(sopsConfig === 'written' ? ['.sops.yaml'] : [])];
  await terminal.data(lines.map((line) => `+ ${line}\n`).join(''));
  terminal.talk('Nothing was written: this is a dry run');
}

function talkOf(terminal: Terminal, { cells, sopsConfig, changed }: SyncResult): void {
  if (!changed) terminal.talk('Nothing to do: every cell has a file');
  if (cells.length > 0) terminal.talk(`Made ${listSome(cells)}`);
  if (sopsConfig === 'written')
    terminal.talk('Wrote .sops.yaml: stock sops encrypts these files to the same keys');
}
