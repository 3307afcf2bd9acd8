// The agent from its arguments to its exit code: configuration, port, token, refresh loop, and the clean end.
import { HostError } from '@clef/host';
import { LoopbackError, type LoopbackServer, startLoopbackServer } from '@clef/loopback';
import { type AgentConfig, type ConfigFault, logFormatOf, readConfig } from './config.ts';
import { CurrentSecrets } from './current-secrets.ts';
import { createLog, type Log } from './log.ts';
import { createJudge, KeyFileError } from './pinned-judge.ts';
import { Refresh } from './refresh.ts';
import { createRoutes, publicPaths } from './routes.ts';
import { openSealedCache, type SealedCache, volatileCache } from './sealed-cache.ts';
import { helpText, parseCommandLine, type SettingTexts } from './settings.ts';
import { openSource } from './sources/open-source.ts';
import { openTokens, TokenFileError, type Tokens } from './token-file.ts';
import { version } from './version.ts';
import type { AgentWorld } from './world.ts';

const exitCodes = { ok: 0, usage: 2, config: 3, policy: 7, machine: 8 } as const;
const graceSeconds = 2.5;
const tokenCheckMilliseconds = 1_000;
const refusalQuietMilliseconds = 60_000;

/** Ends the start with an exit code, after its message has been logged. */
class StartFailure extends Error {
  readonly exitCode: number;
  readonly event: string;

  constructor(exitCode: number, event: string, message: string) {
    super(message);
    this.exitCode = exitCode;
    this.event = event;
  }
}

/**
 * Runs the agent until it is told to stop by SIGTERM, SIGINT or SIGHUP. `argv` is what follows `clef agent`. Returns the
 * exit code: 0 after a clean end, 2 wrong arguments, 3 wrong settings, 7 started in an unsafe way, 8 port, token file or
 * state directory. An artifact that cannot be loaded is no reason to end: the agent says "not ready" and goes on trying.
 */
export async function runAgent(argv: readonly string[], world: AgentWorld): Promise<number> {
  // First of all: in Node, SIGUSR1 opens a debugger that anybody on this machine can use.
  const allowDebugger = world.onSignal('SIGUSR1', () => undefined);
  try {
    const line = parseCommandLine(argv);
    if (line.kind === 'run') return await start(line.flags, world);
    if (line.kind === 'usage') return usage(line.message, world);
    world.print(line.kind === 'help' ? helpText() : `${version}\n`);
    return exitCodes.ok;
  } finally {
    allowDebugger();
  }
}

function usage(message: string, world: AgentWorld): number {
  world.talk(`clef agent: ${message}\nTry: clef agent --help\n`);
  return exitCodes.usage;
}

async function start(flags: SettingTexts, world: AgentWorld): Promise<number> {
  const result = readConfig(flags, world);
  const log = createLog(logFormatOf(flags, world), world);
  if ('faults' in result) return refuseConfig(result.faults, world, logFormatOf(flags, world));
  for (const warning of result.warnings) log.warn(warning);
  if (world.processId === 1) log.warn('pid_1', { message: 'orphaned processes need an init' });
  try {
    return await serve(result.config, world, log);
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    log.error(error.event, { message: error.message });
    return error.exitCode;
  }
}

function refuseConfig(faults: readonly ConfigFault[], world: AgentWorld, format: 'json' | 'text'): number {
  const messages = faults.map(({ message }) => message);
  if (format === 'json') createLog('json', world).error('config', { message: messages.join('; ') });
  else
    world.talk(
      `clef agent: the configuration is not valid\n${messages.map((message) => `  ${message}\n`).join('')}${advice}\n`,
    );
  return faults.some(({ kind }) => kind === 'config') ? exitCodes.config : exitCodes.policy;
}

const advice =
  'Try: clef service show NAME ENVIRONMENT --agent-env (prints the right settings); clef agent --help';

async function serve(config: AgentConfig, world: AgentWorld, log: Log): Promise<number> {
  const stopped = untilStopped(world);
  try {
    const judge = await setUp(() => createJudge(config, world));
    const tokens = await setUp(() => openTokens(config.token, config.tokenGroup, world));
    const current = new CurrentSecrets(world);
    let url = '';
    const refresh = new Refresh({
      ...config,
      source: await openSource(config.source, world),
      reauthorize: config.key.kind === 'age' ? 'never' : config.reauthorize,
      judge,
      cache: await openCache(config, log),
      current,
      log,
      world,
      url: () => url,
    });
    const server = await listen(config, { tokens, current, refresh }, world, log);
    url = server.url;
    return await live({ server, tokens, current, refresh, stopped: stopped.signal }, world, log);
  } finally {
    stopped.forget();
  }
}

type Life = {
  readonly server: LoopbackServer;
  readonly tokens: Tokens;
  readonly current: CurrentSecrets;
  readonly refresh: Refresh;
  readonly stopped: Promise<void>;
};

/** From listening to the end. Whatever happens, no token file and no listening socket is left. */
async function live(life: Life, world: AgentWorld, log: Log): Promise<number> {
  try {
    await setUp(() => life.tokens.publish());
    log.info('listening', { url: life.server.url });
    const stopWatching = watchTokens(life.tokens, world, log);
    void life.refresh.start();
    await life.stopped;
    stopWatching();
    log.info('stopping');
  } finally {
    await end(life, world, log);
  }
  log.info('stopped');
  return exitCodes.ok;
}

/** First the token goes: whoever takes the port next must not be sent it. */
async function end({ server, tokens, current, refresh }: Life, world: AgentWorld, log: Log): Promise<void> {
  await tokens.withdraw().catch(() => log.warn('token_file', { message: 'cannot be removed' }));
  let cancel = (): void => undefined;
  const patience = new Promise<void>((resolve) => {
    cancel = world.after(graceSeconds * 1_000, resolve);
  });
  await Promise.all([server.close(graceSeconds), Promise.race([refresh.stop(), patience])]);
  cancel();
  current.wipe();
}

function untilStopped(world: AgentWorld): { readonly signal: Promise<void>; forget(): void } {
  let stop: () => void = () => undefined;
  const signal = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const undo = (['SIGTERM', 'SIGINT', 'SIGHUP'] as const).map((name) => world.onSignal(name, () => stop()));
  return { signal, forget: () => undo.forEach((forget) => void forget()) };
}

/** Turns what a start step throws into its exit code. */
async function setUp<T>(step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof KeyFileError) {
      throw new StartFailure(exitCodes.config, 'config', `CLEF_AGENT_AGE_KEY_FILE ${error.message}`);
    }
    if (error instanceof TokenFileError)
      throw new StartFailure(tokenExitCode(error), 'token_file', `CLEF_AGENT_TOKEN_FILE ${error.message}`);
    if (error instanceof LoopbackError) throw new StartFailure(exitCodes.machine, error.code, error.message);
    throw error;
  }
}

function tokenExitCode({ kind }: TokenFileError): number {
  return { exposed: exitCodes.policy, content: exitCodes.config, machine: exitCodes.machine }[kind];
}

async function openCache({ state }: AgentConfig, log: Log): Promise<SealedCache> {
  if (state === undefined) return volatileCache;
  try {
    return await openSealedCache(state.path);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    if (state.isExplicit)
      throw new StartFailure(exitCodes.machine, 'state_directory', `CLEF_AGENT_STATE_DIR: ${error.message}`);
    log.warn('state_not_saved', { reason: error.code });
    return volatileCache;
  }
}

type Served = { readonly tokens: Tokens; readonly current: CurrentSecrets; readonly refresh: Refresh };

function listen(config: AgentConfig, served: Served, world: AgentWorld, log: Log): Promise<LoopbackServer> {
  const { tokens, current, refresh } = served;
  const asksEachTime = config.reauthorize === 'each-request' && config.key.kind === 'kms';
  const authorize = asksEachTime ? () => refresh.authorizeNow() : undefined;
  return setUp(() =>
    startLoopbackServer({
      listen: config.listen,
      methods: ['GET', 'HEAD'],
      maxBodyBytes: 0,
      publicPaths,
      token: () => tokens.accepted(),
      respond: createRoutes({ current, status: () => refresh.status(), authorize }),
      onRefusal: logRefusals(world, log),
      onFault: (cause) => log.error('internal', { kind: cause instanceof Error ? cause.name : 'unknown' }),
    }),
  );
}

/** The first refused request is logged, then at most one line a minute with how many there were (INV-78). */
function logRefusals(world: Pick<AgentWorld, 'now'>, log: Log): (reason: string) => void {
  let count = 0;
  let quietUntil = 0;
  return (reason) => {
    count++;
    if (world.now() < quietUntil) return;
    log.warn('request_refused', { reason, count });
    quietUntil = world.now() + refusalQuietMilliseconds;
    count = 0;
  };
}

/** Looks at a provided token file every second. Returns what ends it. */
function watchTokens(tokens: Tokens, world: AgentWorld, log: Log): () => void {
  let isLegible = true;
  let isOver = false;
  let cancel = (): void => undefined;
  const look = async (): Promise<void> => {
    try {
      if (await tokens.reload()) log.info('token_reloaded');
      isLegible = true;
    } catch (error) {
      const message = error instanceof TokenFileError ? error.message : 'cannot be read';
      if (isLegible) log.warn('token_file', { message });
      isLegible = false;
    }
    if (!isOver) cancel = world.after(tokenCheckMilliseconds, () => void look());
  };
  cancel = world.after(tokenCheckMilliseconds, () => void look());
  return () => {
    isOver = true;
    cancel();
  };
}
