// Follows what the agent serves: server-sent events where the agent has them, else a conditional request now and then. An
// event only says that there is news; what changed is judged by the values themselves, so nothing is told twice.
import type { ClientRequest, IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Asker, type Secrets, withJitter } from './ask-agent.ts';
import { ClefAgentError } from './config.ts';

/** What is new. `changed` names the keys that are new, gone or of another value. */
export type SecretsChange<Keys> = {
  readonly values: Readonly<Keys>;
  readonly changed: readonly string[];
};

export type FollowOptions = {
  readonly signal?: AbortSignal;
  /** Why the agent cannot be followed at the moment, or what the callback threw. */
  readonly onError?: (error: unknown) => void;
  /** How often to ask an agent that has no `/v1/watch`; default 10, at least 1. */
  readonly pollSeconds?: number;
};

/** The agent sends a comment every 15 s; three that do not come mean that the connection is dead. */
const silenceMilliseconds = 45_000;
const firstDelayMilliseconds = 200;
const longestDelayMilliseconds = 30_000;
const maxEventCharacters = 1024 * 1024;

type Told = (change: SecretsChange<Record<string, string>>) => unknown;

/** Follows until the returned function is called or a signal says so. Never throws, never rejects. */
export function followChanges(
  asker: Asker,
  life: AbortSignal,
  told: Told,
  options: FollowOptions,
): () => void {
  const end = new AbortController();
  const signals = [life, end.signal, ...(options.signal === undefined ? [] : [options.signal])];
  const signal = AbortSignal.any(signals);
  const reporter = createReporter(options);
  const look = createLook(asker, signal, told, reporter);
  void follow(asker, signal, look, reporter, Math.max(options.pollSeconds ?? 10, 1) * 1_000);
  return () => end.abort();
}

type Reporter = { fault(error: unknown): void; outage(error: unknown): void; isOver(): void };

/** An outage is reported once; what the application's own code throws, each time. */
function createReporter({ onError }: FollowOptions): Reporter {
  let isOut = false;
  const fault = (error: unknown): void => {
    if (onError === undefined) {
      if (!(error instanceof ClefAgentError)) warn('The callback', error);
      return;
    }
    try {
      onError(error);
    } catch (thrown) {
      warn('onError', thrown);
    }
  };
  return {
    fault,
    outage: (error) => {
      if (!isOut) fault(error);
      isOut = true;
    },
    isOver: () => {
      isOut = false;
    },
  };
}

/** The name only: what an application's error says may quote a value. */
function warn(who: string, error: unknown): void {
  const name = error instanceof Error ? error.name : typeof error;
  process.emitWarning(`${who} of onChange threw (${name}); the changes are followed on`, 'ClefAgentWarning');
}

/** Asks for the values and tells what changed since the last look; one look at a time, in order. */
function createLook(asker: Asker, signal: AbortSignal, told: Told, reporter: Reporter): () => Promise<void> {
  let known = asker.last();
  const lookNow = async (): Promise<void> => {
    const values = await asker.all(false, signal);
    reporter.isOver();
    const before = known;
    known = values;
    if (before === undefined || before === values || signal.aborted) return;
    const changed = changedKeys(before, values);
    if (changed.length > 0) await told({ values, changed });
  };
  return async () => {
    try {
      await lookNow();
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ClefAgentError) reporter.outage(error);
      else reporter.fault(error);
    }
  };
}

function changedKeys(before: Secrets, after: Secrets): readonly string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => before[key] !== after[key]).sort();
}

async function follow(
  asker: Asker,
  signal: AbortSignal,
  look: () => Promise<void>,
  reporter: Reporter,
  pollMilliseconds: number,
): Promise<void> {
  let delay = firstDelayMilliseconds;
  while (!signal.aborted) {
    await look();
    const status = await watch(asker, signal, look).catch((error: Error) => {
      if (!signal.aborted) reporter.outage(outageOf(error));
    });
    if (status === 200) delay = firstDelayMilliseconds;
    else delay = Math.min(delay * 2, longestDelayMilliseconds);
    const isWithoutWatch = status === 404 || status === 429;
    await rest(withJitter(isWithoutWatch ? pollMilliseconds : delay), signal);
  }
}

function outageOf(error: Error): ClefAgentError {
  if (error instanceof ClefAgentError) return error;
  const why = (error as NodeJS.ErrnoException).code ?? error.name;
  return new ClefAgentError('absent', `The agent cannot be followed (${why}); it is tried again`);
}

async function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  // An abort only ends the rest early: who called looks at the signal itself.
  await sleep(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
}

/** One stream to its end; resolves to the status of the answer. */
async function watch(asker: Asker, signal: AbortSignal, look: () => Promise<void>): Promise<number> {
  if (signal.aborted) return 0;
  const asked = await asker.open('/v1/watch', { accept: 'text/event-stream' }, { signal });
  const response = await answerOf(asked);
  const status = response.statusCode ?? 0;
  if (status === 401) asker.forgetToken();
  // How a stream ends does not matter: the look that follows tells whether the agent is still there.
  if (status === 200) await readEvents(response, look).catch(() => undefined);
  response.destroy();
  return status;
}

function answerOf(asked: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    asked.on('socket', (socket) => socket.unref());
    asked.setTimeout(silenceMilliseconds, () => asked.destroy(new Error('silent')));
    asked.on('error', reject);
    asked.on('response', resolve);
    asked.end();
  });
}

/** HTML, section 9.2.6: an event ends with an empty line. Its name is all that is read here. */
async function readEvents(response: IncomingMessage, look: () => Promise<void>): Promise<void> {
  response.setEncoding('utf8');
  let rest = '';
  for await (const chunk of response as AsyncIterable<string>) {
    const events = (rest + chunk.replaceAll('\r\n', '\n')).split('\n\n');
    rest = events.pop() as string;
    if (rest.length > maxEventCharacters) return;
    if (events.some((event) => /^event: ?(revision|unavailable)$/m.test(event))) await look();
  }
}
