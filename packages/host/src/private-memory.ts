// A folder in memory for what must never be on a disk: only we can enter it, and it is gone when the work ends, also when a
// signal ends us. After SIGKILL the next one to make such a folder removes what is left.
import { rmSync } from 'node:fs';
import { lstat, mkdtemp, readdir, readlink, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';

const tmpfsType = 0x01021994;
const ramfsType = 0x858458f6;
const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * The first of these folders that the system says is in memory; `undefined` where none is. Only Linux tells.
 * @param places - Absolute paths; others are passed over.
 */
export async function findMemoryFolder(places: readonly (string | undefined)[]): Promise<string | undefined> {
  for (const place of places) {
    if (place?.startsWith('/') && (await isInMemory(place))) return place;
  }
  return undefined;
}

async function isInMemory(place: string): Promise<boolean> {
  try {
    const { type } = await statfs(place);
    return type === tmpfsType || type === ramfsType;
  } catch {
    // No such folder, or a system without statfs: not a place that we know to be memory.
    return false;
  }
}

/**
 * Runs `work` with a new folder of mode 0700 below `parent`, which is removed afterwards with all that is in it. First goes
 * what processes that no longer live have left there under the same prefix.
 */
export async function withPrivateFolder<T>(
  parent: string,
  prefix: string,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const processes = `${prefix}${await processSpace()}-`;
  await removeAbandoned(parent, processes);
  const folder = await mkdtemp(join(parent, `${processes}${process.pid}-`));
  const stop = removeWhenWeEnd(folder);
  try {
    return await work(folder);
  } finally {
    stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Containers may share memory but count their processes apart: a number means nothing outside of its space. */
async function processSpace(): Promise<string> {
  const link = await readlink('/proc/self/ns/pid').catch(() => '');
  return /^pid:\[(\d+)\]$/.exec(link)?.[1] ?? `unknown${process.pid}`;
}

async function removeAbandoned(parent: string, processes: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const id = name.startsWith(processes) ? /^(\d+)-/.exec(name.slice(processes.length))?.[1] : undefined;
    if (id === undefined || isAlive(Number(id))) continue;
    const path = join(parent, name);
    const found = await lstat(path).catch(() => undefined);
    if (found?.isDirectory() && found.uid === process.getuid?.())
      await rm(path, { recursive: true, force: true });
  }
}

function isAlive(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

const cleaners = new WeakSet<object>();

/** Whether a listener for signals waits only to remove such a folder: it leaves the end of the process to others. */
export function onlyCleansUp(listener: object): boolean {
  return cleaners.has(listener);
}

function removeWhenWeEnd(folder: string): () => void {
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const end = (signal: NodeJS.Signals): void => {
    // Somebody else listens too: an editor that we pass it on to, or a transaction. They decide whether we end.
    if (process.listenerCount(signal) > 1) return;
    remove();
    stop();
    process.kill(process.pid, signal);
  };
  cleaners.add(end);
  const stop = (): void => {
    for (const signal of endingSignals) process.off(signal, end);
    process.off('exit', remove);
  };
  for (const signal of endingSignals) process.on(signal, end);
  process.on('exit', remove);
  return stop;
}
