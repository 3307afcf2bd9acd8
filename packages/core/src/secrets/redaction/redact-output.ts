// The filters through which a command's output goes under `exec --redact`.
import type { OutputFilter } from '@clef/host';
import type { Repository } from '../../repository.ts';
import { bytePatterns } from './byte-patterns.ts';
import { redactor } from './redactor.ts';
import { secretPatterns, shortestMasked } from './secret-patterns.ts';

/** A filter for each stream; notes by name which values are too short to be masked. */
export function redactOutput(
  { world }: Repository,
  values: ReadonlyMap<string, string>,
): { readonly stdout: OutputFilter; readonly stderr: OutputFilter } {
  const { patterns, unmasked } = secretPatterns(values);
  if (unmasked.length > 0) {
    const names = unmasked.map((key) => `"${key}"`).join(', ');
    const message = `not masked, as shorter than ${shortestMasked} characters: ${names}`;
    world.notify({ level: 'warning', message });
  }
  const automaton = bytePatterns(patterns);
  return { stdout: redactor(automaton), stderr: redactor(automaton) };
}
