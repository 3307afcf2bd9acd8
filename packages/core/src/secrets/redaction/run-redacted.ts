// A command whose output passes the redactor: through pipes, or on a terminal through one of its own where the optional
// package for that is installed.
import { type ChildExit, type ChildRequest, type PseudoTerminals, runChild, runInTerminal } from '@clef/host';
import { loadPseudoTerminals } from '../../checks/pseudo-terminals.ts';
import type { Repository } from '../../repository.ts';
import type { World } from '../../world.ts';
import type { RunHooks } from '../run-watched.ts';
import { redactOutput } from './redact-output.ts';

/**
 * Runs it to its end.
 * @throws {HostError} as `runChild` does when it cannot be started.
 */
export async function runRedacted(
  repository: Repository,
  child: ChildRequest & Partial<RunHooks> & { readonly cwd: string },
  { values, isOnTerminal }: { readonly values: ReadonlyMap<string, string>; readonly isOnTerminal: boolean },
): Promise<ChildExit> {
  const filters = redactOutput(repository, values);
  // The package drops a variable of that name.
  const mayHaveTerminal = isOnTerminal && !Object.hasOwn(child.environment, '__proto__');
  const terminals = mayHaveTerminal ? await loadTerminals(repository.world) : undefined;
  if (terminals !== undefined) return runInTerminal({ ...child, terminals, filter: filters.stdout });
  return runChild({ ...child, stdio: 'inherit', forwardSignals: true, filters });
}

async function loadTerminals(world: World): Promise<PseudoTerminals | undefined> {
  const terminals = await loadPseudoTerminals();
  if (terminals !== undefined) return terminals;
  const message =
    'under --redact the command writes to a pipe, not to this terminal: it may buffer lines and drop colours (the optional package @lydell/node-pty gives it a terminal)';
  world.notify({ level: 'note', message });
  return undefined;
}
