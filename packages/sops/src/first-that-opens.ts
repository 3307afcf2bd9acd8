// Tries of several keys on one secret: in order, but nobody waits for a slow service while another key could answer.
import type { Stanza, StanzaList, UnwrapFailure } from './master-keys/master-key.ts';

/** Kinds that may ask a person something: the next one starts only when they have failed. */
const patient: ReadonlySet<StanzaList> = new Set(['age', 'pgp']);
const headStartMilliseconds = 250;

/**
 * The first secret that a stanza gives, or every failure. The next stanza is started when one has failed, or when a
 * service has had its head start; what is still under way when one succeeds is left to end by itself.
 */
export function firstThatOpens(
  stanzas: readonly Stanza[],
  open: (stanza: Stanza) => Promise<Uint8Array | UnwrapFailure>,
): Promise<Uint8Array | readonly UnwrapFailure[]> {
  return new Promise((settle, fail) => {
    const failures: UnwrapFailure[] = [];
    const waiting = [...stanzas];
    const timers = new Set<NodeJS.Timeout>();
    let running = 0;
    const end = (act: () => void): void => {
      for (const timer of timers) clearTimeout(timer);
      waiting.length = 0;
      act();
    };
    const startNext = (): void => {
      const stanza = waiting.shift();
      if (stanza !== undefined) start(stanza);
      else if (running === 0) end(() => settle(failures));
    };
    const start = (stanza: Stanza): void => {
      running += 1;
      const timer = patient.has(stanza.list) ? undefined : setTimeout(startNext, headStartMilliseconds);
      if (timer !== undefined) timers.add(timer);
      const take = (result: Uint8Array | UnwrapFailure): void => {
        running -= 1;
        clearTimeout(timer);
        if (result instanceof Uint8Array) {
          end(() => settle(result));
        } else {
          failures.push(result);
          startNext();
        }
      };
      open(stanza).then(take, (error: unknown) => end(() => fail(error)));
    };
    startNext();
  });
}
