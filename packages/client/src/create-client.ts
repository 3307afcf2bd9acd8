// A client of one agent, with the names of its keys as a type: ask for values, be told of changes, close.
import { closed, createAsker, type Secrets, unknownKey } from './ask-agent.ts';
import { type ClientOptions, resolveAddress } from './config.ts';
import { type FollowOptions, followChanges, type SecretsChange } from './follow-changes.ts';

/** `Keys` says which keys there are: `createClient<{ DB_URL: string }>()`. It is believed, not checked. */
export type ClefClient<Keys extends { readonly [Key in keyof Keys]: string }> = {
  /** One value, asked for now. Throws `ClefAgentError`: `unknown_key` when there is none of that name. */
  get<Key extends keyof Keys & string>(key: Key): Promise<Keys[Key]>;
  /** All values of one revision: frozen, without a prototype, and the same object while the revision stays. */
  all(): Promise<Readonly<Keys>>;
  /**
   * Calls back after each change of what the agent serves, until the returned function is called. Reconnects by itself;
   * does not keep the process alive. What the callback throws, and why the agent cannot be followed (once an outage),
   * goes to `options.onError`.
   */
  onChange(callback: (change: SecretsChange<Keys>) => unknown, options?: FollowOptions): () => void;
  /** Ends every connection, question and `onChange`. What is asked for later is refused with `closed`. */
  close(): void;
};

/** A client; nothing is sent yet. Throws `ClefAgentError` `config` or `token`. `signal` closes it. */
export function createClient<Keys extends { readonly [Key in keyof Keys]: string } = Record<string, string>>(
  options: ClientOptions & { readonly signal?: AbortSignal } = {},
): ClefClient<Keys> {
  const asker = createAsker(resolveAddress(options));
  const life = new AbortController();
  const close = (): void => {
    life.abort();
    asker.close();
    options.signal?.removeEventListener('abort', close);
  };
  if (options.signal?.aborted === true) close();
  options.signal?.addEventListener('abort', close, { once: true });
  const ask = async (): Promise<Secrets> => {
    if (life.signal.aborted) throw closed();
    return asker.all(true, life.signal);
  };
  return {
    get: async (key) => {
      const value = (await ask())[key];
      if (value === undefined) throw unknownKey(key);
      return value as Keys[typeof key];
    },
    all: async () => (await ask()) as Readonly<Keys>,
    onChange: (callback, following = {}) => {
      const told = callback as (change: SecretsChange<Record<string, string>>) => unknown;
      return followChanges(asker, life.signal, told, following);
    },
    close,
  };
}
