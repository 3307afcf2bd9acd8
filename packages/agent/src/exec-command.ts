// `clef agent exec`: a command with the values as its environment, started anew when they change, and with the values that
// worked when the new ones let it die at once. Values go into the child's environment and nowhere else.
import { type ChildExit, checkEnvironmentName, HostError, runChild, withoutOwnVariables } from '@clef/host';
import { parseDuration } from '@clef/strict';
import type { ModeOptions } from './command-line.ts';
import type { AgentConfig } from './config.ts';
import type { Change } from './current-secrets.ts';
import { firstRevision } from './first-revision.ts';
import { type Following, followArtifact } from './follow-artifact.ts';
import type { Log } from './log.ts';
import { StartFailure } from './start-failure.ts';
import { untilStopped } from './until-stopped.ts';
import { haveSameValues, valuesOf } from './values-of.ts';
import type { AgentWorld } from './world.ts';

/** As `env` has them, for what is our own failure and not the command's. */
const exits = { own: 125, notExecutable: 126, notFound: 127, terminated: 143 } as const;
/** A command that fails sooner than this after new values came cannot live with them. */
const trialMilliseconds = 5_000;
/** From SIGTERM to SIGKILL when it is started anew. */
const stopMilliseconds = 10_000;

export type ExecOptions = {
  readonly command: readonly string[];
  readonly onChange: 'restart' | 'SIGHUP' | 'none';
  readonly allowedNames: readonly string[];
  readonly waitSeconds: number;
};

/** Reads the options of the mode. Returns a message about the first that is not as it must be. */
export function readExecOptions(options: ModeOptions, command: readonly string[]): ExecOptions | string {
  const [onChange = 'restart'] = options.get('--on-change') ?? [];
  if (onChange !== 'restart' && onChange !== 'SIGHUP' && onChange !== 'none')
    return '--on-change is restart, SIGHUP or none';
  const waitSeconds = readWait(options);
  if (waitSeconds === undefined) return '--wait is a duration from 1s to 1h, such as 60s';
  return { command, onChange, allowedNames: options.get('--allow-env') ?? [], waitSeconds };
}

export function readWait(options: ModeOptions): number | undefined {
  const [text = '60s'] = options.get('--wait') ?? [];
  try {
    return parseDuration(text, { minSeconds: 1, maxSeconds: 3_600 });
  } catch {
    return undefined; // the caller says what it must be
  }
}

/** Runs the command to its end; returns its exit code, or one of our own. Throws {@link StartFailure}. */
export async function execCommand(
  config: AgentConfig,
  options: ExecOptions,
  world: AgentWorld,
  log: Log,
): Promise<number> {
  const stopped = untilStopped(world, ['SIGTERM', 'SIGINT']);
  const following = await followArtifact(config, world, log);
  try {
    void following.refresh.start();
    const first = await firstRevision(following, world, options.waitSeconds, stopped.signal);
    if (first === 'stopped') return exits.terminated;
    if ('reason' in first)
      throw new StartFailure(exits.own, 'not_loaded', `no good artifact came: ${first.reason}`);
    const values = valuesOf(first);
    const refused = refusedName(values, options);
    if (refused !== undefined) throw new StartFailure(exits.own, 'dangerous_name', refused);
    return await supervise({ options, world, log, following, stopped }, { revision: first.revision, values });
  } finally {
    stopped.forget();
    await following.refresh.stop();
    following.current.wipe();
  }
}

/** What a child is started with. */
type Plan = { readonly revision: number; readonly values: ReadonlyMap<string, string> };

type Desk = {
  readonly options: ExecOptions;
  readonly world: AgentWorld;
  readonly log: Log;
  readonly following: Following;
  readonly stopped: { readonly signal: Promise<void>; isStopped(): boolean };
};

type Child = {
  readonly exited: Promise<ChildExit | HostError>;
  readonly startedAt: number;
  kill(signal: NodeJS.Signals): void;
};

async function supervise(desk: Desk, first: Plan): Promise<number> {
  const { log, world } = desk;
  const news = followPlans(desk);
  let running = first;
  let earlier: Plan | undefined;
  try {
    for (;;) {
      const child = launch(desk, running);
      const event = await Promise.race([child.exited, news.next(running, child)]);
      if (event === 'revoked') {
        await stop(desk, child);
        return exits.own;
      }
      if ('values' in event) {
        await stop(desk, child);
        if (desk.stopped.isStopped()) return exitCodeOf(await child.exited);
        log.info('restarted', { revision: event.revision, previous: running.revision });
        [earlier, running] = [running, event];
        continue;
      }
      const exitCode = exitCodeOf(event);
      const hasFailed = exitCode !== 0 && world.elapsed() - child.startedAt < trialMilliseconds;
      if (earlier === undefined || !hasFailed || desk.stopped.isStopped()) {
        if (event instanceof HostError) log.error('command', { message: event.message });
        return exitCode;
      }
      log.error('rolled_back', { revision: running.revision, to: earlier.revision, exitCode });
      news.refuse(running);
      [running, earlier] = [earlier, undefined];
    }
  } finally {
    news.stop();
  }
}

/** Starts the command; a failure to start is its exit too. */
function launch({ options, world }: Desk, { values }: Plan): Child {
  const [command = '', ...args] = options.command;
  let kill = (_: NodeJS.Signals): void => undefined;
  const ran: Promise<ChildExit | HostError> = runChild({
    command,
    args,
    environment: { ...withoutOwnVariables(world.environment), ...Object.fromEntries(values) },
    stdio: 'inherit',
    forwardSignals: true,
    onStart: (child) => {
      kill = child.kill;
    },
  }).catch((error: unknown) => {
    if (error instanceof HostError) return error;
    throw error;
  });
  return { exited: ran, startedAt: world.elapsed(), kill: (signal) => kill(signal) };
}

async function stop({ world }: Desk, child: Child): Promise<void> {
  child.kill('SIGTERM');
  const cancel = world.after(stopMilliseconds, () => child.kill('SIGKILL'));
  await child.exited;
  cancel();
}

function exitCodeOf(end: ChildExit | HostError): number {
  if (!(end instanceof HostError)) return end.exitCode;
  if (end.code === 'command_not_found') return exits.notFound;
  return end.code === 'command_not_executable' ? exits.notExecutable : exits.own;
}

/** What comes after what runs: newer values that a command can have, or the end of all values. */
function followPlans(desk: Desk) {
  const { following, options, log } = desk;
  const refused = new Set<number>();
  let latest: Plan | undefined;
  let isRevoked = false;
  let wake = (): void => undefined;
  const read = ({ kind }: Change): void => {
    const { revision } = following.current;
    if (kind === 'revision' && revision !== undefined) {
      const values = valuesOf(revision);
      const message = refusedName(values, options);
      if (message === undefined) latest = { revision: revision.revision, values };
      else log.error('dangerous_name', { message, revision: revision.revision });
    }
    isRevoked = following.current.revision === undefined && following.current.absence === 'revoked';
    wake();
  };
  const forget = following.current.onChange(read);
  const newsFor = (running: Plan): Plan | undefined => {
    if (latest === undefined || latest.revision === running.revision) return undefined;
    return refused.has(latest.revision) || haveSameValues(latest.values, running.values) ? undefined : latest;
  };
  return {
    /** Only what is worth a restart: with other `onChange` the command is told, and goes on. */
    next: async (running: Plan, child: Child): Promise<Plan | 'revoked'> => {
      let told = running;
      for (;;) {
        if (isRevoked) return 'revoked';
        const news = newsFor(told);
        if (news !== undefined && options.onChange === 'restart') return news;
        if (news !== undefined && options.onChange === 'SIGHUP') child.kill('SIGHUP');
        told = news ?? told;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    refuse: ({ revision }: Plan) => void refused.add(revision),
    stop: forget,
  };
}

function refusedName(values: ReadonlyMap<string, string>, { allowedNames }: ExecOptions): string | undefined {
  for (const name of values.keys()) {
    if (checkEnvironmentName(name) !== 'dangerous' || allowedNames.includes(name)) continue;
    return `the key "${name}" would change how programs run: pass --allow-env ${name} if that is what you want`;
  }
  return undefined;
}
