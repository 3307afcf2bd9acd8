// The part that every mode of the agent shares: one artifact followed and judged, under the same configuration, whether its
// values are then served, handed to a child or written into a template.
import { HostError } from '@clef/host';
import { type Kms, KmsError } from '@clef/kms';
import type { AgentConfig } from './config.ts';
import { CurrentSecrets } from './current-secrets.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { createJudge } from './pinned-judge.ts';
import { Refresh } from './refresh.ts';
import { openSealedCache, type SealedCache, volatileCache } from './sealed-cache.ts';
import { openSource } from './sources/open-source.ts';
import { exitCodes, StartFailure, setUp } from './start-failure.ts';
import type { AgentWorld } from './world.ts';

export type Following = { readonly current: CurrentSecrets; readonly refresh: Refresh };

/** Sets up the refresh loop; it begins with `refresh.start()`. Throws {@link StartFailure}. */
export async function followArtifact(
  config: AgentConfig,
  world: AgentWorld,
  log: Log,
  more: { readonly metrics?: Metrics; readonly url?: () => string } = {},
): Promise<Following> {
  const { metrics } = more;
  await warnOfCoreDumps(world, log);
  const counted = metrics === undefined ? world : countKmsCalls(world, metrics);
  const judge = await setUp(() => createJudge(config, counted));
  const current = new CurrentSecrets(world);
  const refresh = new Refresh({
    ...config,
    source: await openSource(config.source, world),
    reauthorize: config.key.kind === 'age' ? 'never' : config.reauthorize,
    judge,
    cache: await openCache(config, log),
    current,
    log,
    world,
    ...more,
  });
  return { current, refresh };
}

/** A crash would write everything that is in memory to a disk. Node cannot forbid that; who starts the process can. */
async function warnOfCoreDumps(world: AgentWorld, log: Log): Promise<void> {
  const soft = /^Max core file size\s+(\S+)/m.exec(await world.limits())?.[1];
  if (soft === undefined || soft === '0') return;
  log.warn('core_dumps', { message: 'a crash may write values to a disk: start it with "ulimit -c 0"' });
}

/** The same world with a KMS whose calls are counted. */
function countKmsCalls(world: AgentWorld, metrics: Metrics): AgentWorld {
  const openKms = (): Kms => {
    const kms = world.openKms();
    const unwrap: Kms['unwrap'] = async (...question) => {
      try {
        const answer = await kms.unwrap(...question);
        metrics.kmsCalled('ok');
        return answer;
      } catch (error) {
        metrics.kmsCalled(error instanceof KmsError ? error.code : 'internal');
        throw error;
      }
    };
    return { ...kms, unwrap };
  };
  return { ...world, openKms };
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
