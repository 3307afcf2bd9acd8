// The agent that serves: port, token, routes and the clean end around the refresh loop.
import { type ListenAddress, type LoopbackServer, startLoopbackServer } from '@clef/loopback';
import { findGroupId } from './account-ids.ts';
import type { AgentConfig, ServingConfig } from './config.ts';
import { budgetFor } from './connection-budget.ts';
import { type Following, followArtifact } from './follow-artifact.ts';
import type { Log } from './log.ts';
import { createMetrics, type Gauges, type Metrics } from './metrics.ts';
import { createRoutes, publicPaths } from './routes.ts';
import { exitCodes, StartFailure, setUp } from './start-failure.ts';
import { openTokens, TokenFileError, type Tokens } from './token-file.ts';
import { untilStopped } from './until-stopped.ts';
import { version } from './version.ts';
import { followChanges, type Watchers } from './watchers.ts';
import type { AgentWorld } from './world.ts';

const graceSeconds = 2.5;
const tokenCheckMilliseconds = 1_000;
/** Not while the first to wait for a change are being answered. */
const collectAfterMilliseconds = 1_000;
const refusalQuietMilliseconds = 60_000;

/** Serves until a signal says stop; returns the exit code. Throws {@link StartFailure}. */
export async function serve(config: ServingConfig, world: AgentWorld, log: Log): Promise<number> {
  const stopped = untilStopped(world);
  try {
    const metrics = createMetrics();
    const tokens = await setUp(() => openTokens(config.token, config.tokenGroup, world));
    let url = '';
    const following = await followArtifact(config, world, log, { metrics, url: () => url });
    following.current.onChange(() => void world.after(collectAfterMilliseconds, world.collectGarbage));
    const served = { ...following, tokens, watchers: followChanges(following.current, world), metrics };
    const server = await listen(config, served, world, log);
    url = server.url;
    return await live({ ...served, server, stopped: stopped.signal }, world, log);
  } finally {
    stopped.forget();
  }
}

type Served = Following & {
  readonly tokens: Tokens;
  readonly watchers: Watchers;
  readonly metrics: Metrics;
};

type Life = Served & { readonly server: LoopbackServer; readonly stopped: Promise<void> };

/** From listening to the end. Whatever happens, no token file and no listening socket is left. */
async function live(life: Life, world: AgentWorld, log: Log): Promise<number> {
  try {
    await setUp(() => life.tokens.publish());
    log.info('listening', { url: life.server.url });
    const stopWatching = watchTokens(life, world, log);
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
async function end(
  { server, tokens, current, refresh, watchers }: Life,
  world: AgentWorld,
  log: Log,
): Promise<void> {
  await tokens.withdraw().catch(() => log.warn('token_file', { message: 'cannot be removed' }));
  let cancel = (): void => undefined;
  const patience = new Promise<void>((resolve) => {
    cancel = world.after(graceSeconds * 1_000, resolve);
  });
  watchers.stop();
  await Promise.all([server.close(graceSeconds), Promise.race([refresh.stop(), patience])]);
  tokens.forget();
  cancel();
  current.wipe();
}

async function listen(
  config: AgentConfig,
  served: Served,
  world: AgentWorld,
  log: Log,
): Promise<LoopbackServer> {
  const { tokens, current, refresh, watchers, metrics } = served;
  const logRefusal = logRefusals(world, log);
  let server: LoopbackServer | undefined;
  const formatMetrics = (): string => metrics.format(version, gaugesOf(served, server));
  const address = await listenAddress(config);
  const limits = budgetFor(await world.limits());
  server = await setUp(() =>
    startLoopbackServer({
      listen: address,
      methods: ['GET', 'HEAD'],
      maxBodyBytes: 0,
      publicPaths,
      token: () => tokens.accepted(),
      respond: createRoutes({
        current,
        status: () => refresh.status(),
        authorization: () => refresh.authorization(),
        watchers,
        metrics,
        formatMetrics,
      }),
      onRefusal: (code) => {
        metrics.requestRefused(code);
        logRefusal(code);
      },
      onFault: (cause) => log.error('internal', { kind: cause instanceof Error ? cause.name : 'unknown' }),
      limits,
      ...(config.allowUids === undefined ? {} : { allowUids: config.allowUids }),
    }),
  );
  return server;
}

function gaugesOf({ current, refresh, watchers }: Served, server: LoopbackServer | undefined): Gauges {
  const { revision } = current;
  const { epoch, confirmedAt, lagSeconds } = refresh.vitals();
  return {
    revision: revision?.revision,
    epoch,
    expiresAtSeconds: revision === undefined ? undefined : revision.expiresAt / 1_000,
    lastSuccessTimestampSeconds: confirmedAt === undefined ? undefined : confirmedAt / 1_000,
    ready: revision !== undefined,
    floorDurable: refresh.status().floor === 'durable',
    connections: server?.connections().open ?? 0,
    watchers: watchers.count(),
    heartbeatLagSeconds: lagSeconds,
  };
}

async function listenAddress({ listen: setting, tokenGroup }: AgentConfig): Promise<ListenAddress> {
  if ('port' in setting || tokenGroup === undefined) return setting;
  const groupId = await findGroupId(tokenGroup);
  if (groupId === undefined)
    throw new StartFailure(exitCodes.machine, 'address', 'CLEF_AGENT_TOKEN_GROUP: there is no such group');
  return { ...setting, groupId };
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

/**
 * Looks at a provided token file every second; a watcher that showed a token which no longer counts must come back with
 * another. Returns what ends it.
 */
function watchTokens({ tokens, server }: Life, world: AgentWorld, log: Log): () => void {
  let isLegible = true;
  let isOver = false;
  let cancel = (): void => undefined;
  const look = async (): Promise<void> => {
    try {
      if (await tokens.reload()) {
        server.endStreams();
        log.info('token_reloaded');
      }
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
