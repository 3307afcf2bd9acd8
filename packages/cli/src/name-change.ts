// `clef namespace …` and `clef environment …`: one body for each verb, for both.
import { type Axis, type NameEffect, openRepository, removeName, renameName } from '@clef/core';
import { confirmation, requiredArgument } from './arguments.ts';
import type { CommandContext, CommandInput } from './command.ts';
import { printJson } from './print.ts';
import { listSome } from './readers-preview.ts';

/** `… rename OLD NEW` */
export async function runRename(axis: Axis, context: CommandContext, input: CommandInput): Promise<number> {
  const [from, to] = [requiredArgument(input, 'old'), requiredArgument(input, 'new')];
  const effect = await renameName(await openRepository(context.world, context.directory), {
    axis,
    from,
    to,
    ...reviewOf(context, input),
  });
  return report(context, input, effect, () => {
    const { terminal } = context;
    const moved = effect.cells.length === 0 ? '' : ', files moved byte for byte';
    terminal.talk(`Renamed the ${axis} ${from} to ${to}: ${cellCount(effect)}${moved}`);
    if (axis === 'environment' && effect.services.length > 0)
      terminal.talk(
        `note: agents of ${listSome(effect.services)} take artifacts of "${to}" only when they are configured for it`,
      );
  });
}

/** `… remove NAME` */
export async function runRemove(axis: Axis, context: CommandContext, input: CommandInput): Promise<number> {
  const name = requiredArgument(input, 'name');
  const effect = await removeName(await openRepository(context.world, context.directory), {
    axis,
    name,
    ...reviewOf(context, input),
  });
  return report(context, input, effect, () => {
    context.terminal.talk(`Removed the ${axis} ${name}: ${cellCount(effect)}`);
    if (effect.cells.length > 0)
      context.terminal.talk('Its values stay readable in git history for those who could read them');
  });
}

function reviewOf(context: CommandContext, input: CommandInput) {
  return {
    confirm: confirmation(context, input),
    isDryRun: input.has('--dry-run'),
    show: (effect: NameEffect): void => {
      if (!input.has('--yes')) for (const line of effectLines(effect)) context.terminal.talk(line);
    },
  };
}

async function report(
  { terminal, json }: CommandContext,
  input: CommandInput,
  effect: NameEffect,
  talk: () => void,
): Promise<number> {
  if (json) return printJson(terminal, effect);
  if (input.has('--dry-run')) {
    await terminal.data(
      effectLines(effect)
        .map((line) => `${line}\n`)
        .join(''),
    );
    terminal.talk('Nothing was written: this is a dry run');
  } else {
    talk();
  }
  return 0;
}

function effectLines({ cells, rules, services, files }: NameEffect): readonly string[] {
  return [
    ...cells.map(
      ({ cell, keys }) => `cell ${cell}: ${keys === undefined ? 'not readable' : plural(keys, 'key')}`,
    ),
    ...(rules === 0 ? [] : [`clef.yaml: ${plural(rules, 'access rule')}`]),
    ...services.map((service) => `clef.yaml: service identity ${service}`),
    ...files.map((file) => `file ${file}`),
  ];
}

function cellCount({ cells }: NameEffect): string {
  return cells.length === 0 ? 'no cell' : listSome(cells.map(({ cell }) => cell));
}

function plural(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
