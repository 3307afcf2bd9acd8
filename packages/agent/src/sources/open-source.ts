// One row a kind of source. Only the one that is configured is loaded.
import type { SourceSetting } from '../setting-values.ts';
import type { AgentWorld } from '../world.ts';
import type { Source } from './source.ts';

type World = Pick<AgentWorld, 'now' | 'environment'>;
type Openers = {
  readonly [kind in SourceSetting['kind']]: (
    setting: Extract<SourceSetting, { kind: kind }>,
    world: World,
  ) => Promise<Source>;
};

const openers: Openers = {
  file: async ({ path }) => (await import('./file.ts')).createFileSource(path),
  https: async ({ url }, { now }) => (await import('./https.ts')).createHttpsSource(url, now),
  s3: async (place, { environment, now }) =>
    (await import('./s3.ts')).createS3Source(place, environment, now),
  gs: async (place, { environment, now }) =>
    (await import('./gcs.ts')).createGcsSource(place, environment, now),
};

/** The source that a setting names. Nothing is fetched yet. */
export function openSource(setting: SourceSetting, world: World): Promise<Source> {
  const open = openers[setting.kind] as (setting: SourceSetting, world: World) => Promise<Source>;
  return open(setting, world);
}
