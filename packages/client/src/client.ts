// Values without a client of one's own: one question-asker per address and token is kept, so that an unchanged revision
// costs a 304.
import { type Asker, createAsker, type Secrets, unknownKey } from './ask-agent.ts';
import { type ClientOptions, resolveAddress } from './config.ts';

const askers = new Map<string, Asker>();

/**
 * All values of the agent's service identity, as a frozen object without a prototype; the same object while the revision
 * stays. Asks the agent every time, so it is never older than the agent. Throws `ClefAgentError`.
 */
export async function secrets(options: ClientOptions = {}): Promise<Secrets> {
  const address = resolveAddress(options);
  const name = JSON.stringify(address);
  const asker = askers.get(name) ?? createAsker(address);
  askers.set(name, asker);
  return asker.all(true);
}

/** One value, asked for as {@link secrets} does. Throws `ClefAgentError` `unknown_key` when there is none of that name. */
export async function get(key: string, options: ClientOptions = {}): Promise<string> {
  const value = (await secrets(options))[key];
  if (value === undefined) throw unknownKey(key);
  return value;
}
