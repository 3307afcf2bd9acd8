// `clef agent render`: templates filled in and put into files of a memory-backed file system, anew when values change, each
// whole or not at all. A revocation removes them.
import { createHash } from 'node:crypto';
import { realpath, statfs, unlink } from 'node:fs/promises';
import { dirname, isAbsolute, normalize } from 'node:path';
import {
  type FileOwner,
  HostError,
  readRegularFile,
  replaceFile,
  runChild,
  withoutOwnVariables,
} from '@clef/host';
import { findGroupId, findUserId } from './account-ids.ts';
import type { ModeOptions } from './command-line.ts';
import type { AgentConfig } from './config.ts';
import type { Revision } from './current-secrets.ts';
import { readWait } from './exec-command.ts';
import { firstRevision } from './first-revision.ts';
import { type Following, followArtifact } from './follow-artifact.ts';
import type { Log } from './log.ts';
import { exitCodes, StartFailure } from './start-failure.ts';
import { fillTemplate, parseTemplate, type Template, TemplateError } from './template.ts';
import { untilStopped } from './until-stopped.ts';
import { valuesOf } from './values-of.ts';
import type { AgentWorld } from './world.ts';

const maxTemplateBytes = 1024 * 1024;
const reloadSeconds = 60;
/** TMPFS_MAGIC and RAMFS_MAGIC of Linux: what is written there is gone with the machine's power. */
const memoryBacked: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

export type RenderOptions = {
  readonly pairs: readonly { readonly template: string; readonly to: string }[];
  readonly mode: number;
  readonly owner: string | undefined;
  readonly reload: readonly string[] | undefined;
  readonly isOnce: boolean;
  readonly isDiskAllowed: boolean;
  readonly waitSeconds: number;
};

/** Reads the options of the mode. Returns a message about the first that is not as it must be. */
export function readRenderOptions(options: ModeOptions): RenderOptions | string {
  const [templates, targets] = [options.get('--template') ?? [], options.get('--to') ?? []];
  const [mode = '0400'] = options.get('--mode') ?? [];
  const [reload] = options.get('--reload') ?? [];
  const waitSeconds = readWait(options);
  if (templates.length === 0 || templates.length !== targets.length)
    return 'each --template needs one --to, and at least one of both is needed';
  if (![...templates, ...targets].every((path) => isAbsolute(path)))
    return '--template and --to are absolute paths';
  if (new Set(targets.map((path) => normalize(path))).size !== targets.length)
    return 'two templates go to the same --to';
  if (!/^0?[0-7]{3}$/.test(mode)) return '--mode is three or four octal digits, such as 0440';
  if (waitSeconds === undefined) return '--wait is a duration from 1s to 1h, such as 60s';
  return {
    pairs: templates.map((template, index) => ({ template, to: normalize(targets[index] as string) })),
    mode: Number.parseInt(mode, 8),
    owner: options.get('--owner')?.[0],
    reload: reload?.split(/\s+/).filter((word) => word !== ''),
    isOnce: options.has('--once'),
    isDiskAllowed: options.has('--allow-disk'),
    waitSeconds,
  };
}

/**
 * Renders until it is told to stop, or once. Returns the exit code. Throws {@link StartFailure}: 3 for a template or a key
 * that is not there, 7 for a disk, 8 for a file, 10 where no good artifact came in time.
 */
export async function renderTemplates(
  config: AgentConfig,
  options: RenderOptions,
  world: AgentWorld,
  log: Log,
): Promise<number> {
  const stopped = untilStopped(world);
  const targets = await Promise.all(options.pairs.map((pair) => prepareTarget(pair, options)));
  const owner = await findOwner(options.owner);
  const following = await followArtifact(config, world, log);
  const desk = { options, world, log, following, targets, owner };
  try {
    void following.refresh.start();
    const first = await firstRevision(following, world, options.waitSeconds, stopped.signal);
    if (first === 'stopped') return exitCodes.ok;
    if ('reason' in first)
      throw new StartFailure(exitCodes.remote, 'not_loaded', `no good artifact came: ${first.reason}`);
    await renderAll(desk, first).catch((error: unknown) => {
      throw renderFailure(error);
    });
    log.info('rendered', { revision: first.revision });
    if (!options.isOnce) await keepRendered(desk, first.revision, stopped.signal);
    return exitCodes.ok;
  } finally {
    stopped.forget();
    await following.refresh.stop();
    following.current.wipe();
  }
}

type Target = { readonly template: Template; readonly to: string; digest: string | undefined };

type Desk = {
  readonly options: RenderOptions;
  readonly world: AgentWorld;
  readonly log: Log;
  readonly following: Following;
  readonly targets: readonly Target[];
  readonly owner: FileOwner | undefined;
};

async function prepareTarget(
  { template, to }: { readonly template: string; readonly to: string },
  { isDiskAllowed }: RenderOptions,
): Promise<Target> {
  if (!isDiskAllowed) await refuseDisk(to);
  try {
    const bytes = await readRegularFile(await realpath(template), { maxBytes: maxTemplateBytes });
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return { template: parseTemplate(text), to, digest: undefined };
  } catch (error) {
    if (error instanceof TemplateError)
      throw new StartFailure(exitCodes.config, 'template', `${template}, ${error.message}`);
    if (error instanceof TypeError)
      throw new StartFailure(exitCodes.config, 'template', `${template} is not UTF-8`);
    throw new StartFailure(exitCodes.machine, 'template', `${template} cannot be read`);
  }
}

async function refuseDisk(to: string): Promise<void> {
  if (await isInMemory(dirname(to))) return;
  const message = `${to} would not be on a memory-backed file system (tmpfs): use /dev/shm, a tmpfs volume, or --allow-disk`;
  throw new StartFailure(exitCodes.policy, 'disk', message);
}

async function isInMemory(directory: string): Promise<boolean> {
  try {
    return memoryBacked.has((await statfs(directory)).type);
  } catch {
    throw new StartFailure(exitCodes.machine, 'disk', `the directory ${directory} cannot be looked at`);
  }
}

async function findOwner(owner: string | undefined): Promise<FileOwner | undefined> {
  if (owner === undefined) return undefined;
  const [user = '', group] = owner.split(':');
  const uid = user === '' ? -1 : await findUserId(user);
  const gid = group === undefined ? -1 : await findGroupId(group);
  if (uid === undefined || gid === undefined)
    throw new StartFailure(exitCodes.config, 'owner', 'there is no such user or group as --owner names');
  return { uid, gid };
}

/** All texts first, so that a key that is not there changes no file. Returns whether any file changed. */
async function renderAll({ targets, options, owner }: Desk, revision: Revision): Promise<boolean> {
  const values = valuesOf(revision);
  const texts = targets.map(({ template }) => new TextEncoder().encode(fillTemplate(template, values)));
  // Again each time: a volume may be unmounted, or a folder replaced, while we wait for the next revision.
  if (!options.isDiskAllowed) for (const { to } of targets) await refuseDisk(to);
  let hasChanged = false;
  for (const [index, target] of targets.entries()) {
    const bytes = texts[index] as Uint8Array;
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (digest !== target.digest) {
      await replaceFile(target.to, bytes, { mode: options.mode, ...(owner === undefined ? {} : { owner }) });
      target.digest = digest;
      hasChanged = true;
    }
    bytes.fill(0);
  }
  return hasChanged;
}

function renderFailure(error: unknown): unknown {
  if (error instanceof TemplateError) return new StartFailure(exitCodes.config, 'template', error.message);
  return error instanceof HostError ? new StartFailure(exitCodes.machine, 'render', error.message) : error;
}

/** Follows every change until the end, one after the other. */
async function keepRendered(desk: Desk, firstRevision: number, stopped: Promise<void>): Promise<void> {
  const { current } = desk.following;
  let rendered: number | undefined = firstRevision;
  let chain = Promise.resolve();
  const follow = async (): Promise<void> => {
    const { revision } = current;
    if (revision === undefined && current.absence === 'revoked') {
      await removeAll(desk);
      rendered = undefined;
    } else if (revision !== undefined && revision.revision !== rendered) {
      rendered = revision.revision;
      await renderAgain(desk, revision);
    }
  };
  const enqueue = (): void => {
    chain = chain.then(follow).catch((error: unknown) => {
      desk.log.error('internal', { kind: error instanceof Error ? error.name : 'unknown' });
    });
  };
  const forget = current.onChange(enqueue);
  enqueue(); // what came while the first was written
  await stopped;
  forget();
  await chain;
}

/** A revision that cannot be rendered leaves the files as they are. */
async function renderAgain(desk: Desk, revision: Revision): Promise<void> {
  const { log } = desk;
  try {
    const hasChanged = await renderAll(desk, revision);
    log.info('rendered', { revision: revision.revision });
    if (hasChanged) await reload(desk);
  } catch (error) {
    const failure = renderFailure(error);
    if (!(failure instanceof StartFailure)) throw failure;
    log.error(failure.event, { message: failure.message, revision: revision.revision });
  }
}

async function reload({ options, world, log }: Desk): Promise<void> {
  const [command, ...args] = options.reload ?? [];
  if (command === undefined) return;
  const environment = withoutOwnVariables(world.environment);
  try {
    const { exitCode } = await runChild({
      command,
      args,
      environment,
      stdio: 'capture',
      timeoutSeconds: reloadSeconds,
    });
    if (exitCode === 0) log.info('reloaded');
    else log.error('reload_failed', { exitCode });
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    log.error('reload_failed', { reason: error.code });
  }
}

async function removeAll({ targets, log }: Desk): Promise<void> {
  for (const target of targets) {
    target.digest = undefined;
    await unlink(target.to).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') log.error('not_removed', { reason: String(error.code) });
    });
  }
  log.error('removed');
}
