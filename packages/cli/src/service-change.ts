// What is said after a change of a service identity: whose agents must be told.
import type { ServiceChanged } from '@clef/core';
import type { CommandContext } from './command.ts';
import { printJson } from './print.ts';

/** Tells what was done, or that there was nothing to do; returns success. */
export async function tellServiceChange(
  { terminal, json }: CommandContext,
  changed: ServiceChanged,
  verb: 'Changed' | 'Removed',
): Promise<number> {
  if (json) return printJson(terminal, changed);
  if (!changed.changed) {
    terminal.talk(`Nothing to do: ${changed.service} is so already`);
    return 0;
  }
  terminal.talk(`${verb} ${changed.service} in clef.yaml`);
  if (verb === 'Changed')
    for (const environment of changed.environments)
      terminal.talk(
        `Give its agents their settings anew: clef service show ${changed.service} ${environment} --agent-env`,
      );
  return 0;
}
