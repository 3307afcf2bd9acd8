// Who holds the lock, and whether that process still lives. A holder is judged by host, boot, process id and start time,
// never by the age of the lock; what cannot be judged counts as living.

import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { parseJson, StrictError } from '@clef/strict';

/** What a lock file says. */
export type LockHolder = {
  readonly host: string;
  /** The boot and the process-id namespace in which `pid` means something; absent where the system does not tell. */
  readonly boot?: string;
  readonly pid: number;
  /** Start of the process in clock ticks since the boot; absent where the system does not tell. */
  readonly started?: string;
  /** The command, for people. */
  readonly purpose: string;
  /** Milliseconds since the epoch; for people, nothing decides on it. */
  readonly since: number;
  /** Unique for each holding of the lock. */
  readonly nonce: string;
};

export type LockVerdict = 'alive' | 'dead' | 'unknown';

/** This process as a holder. */
export async function describeThisProcess(
  purpose: string,
  since: number,
  nonce: string,
): Promise<LockHolder> {
  const boot = await readBoot();
  const started = await readStartTime(process.pid);
  return {
    host: hostname(),
    ...(boot === undefined ? {} : { boot }),
    pid: process.pid,
    ...(started === undefined ? {} : { started }),
    purpose,
    since,
    nonce,
  };
}

export function formatLock(holder: LockHolder): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(holder)}\n`);
}

/** The holder that a lock file names, or undefined where it is torn or of another making. */
export function parseLock(bytes: Uint8Array): LockHolder | undefined {
  const fields = parseFields(bytes);
  const { host, boot, pid, started, purpose, since, nonce } = fields ?? {};
  if (typeof host !== 'string' || typeof pid !== 'number' || typeof purpose !== 'string') return undefined;
  if (typeof nonce !== 'string' || !/^[0-9a-f]{32}$/.test(nonce) || typeof since !== 'number')
    return undefined;
  if (!Number.isSafeInteger(pid) || pid < 1) return undefined;
  return {
    host,
    ...(typeof boot === 'string' ? { boot } : {}),
    pid,
    ...(typeof started === 'string' ? { started } : {}),
    purpose,
    since,
    nonce,
  };
}

/** Whether the holder's process still runs. `unknown` for a process that this one cannot see. */
export async function judgeHolder(holder: LockHolder): Promise<LockVerdict> {
  if (holder.host !== hostname()) return 'unknown';
  const boot = await readBoot();
  if (holder.boot !== boot) return bootOf(holder.boot) === bootOf(boot) ? 'unknown' : 'dead';
  if (!isRunning(holder.pid)) return 'dead';
  const started = await readStartTime(holder.pid);
  if (started === undefined || holder.started === undefined) return 'alive';
  return started === holder.started ? 'alive' : 'dead';
}

function parseFields(bytes: Uint8Array): { readonly [field: string]: unknown } | undefined {
  try {
    const value = parseJson(bytes, { maxBytes: 4096, maxDepth: 2 });
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as { [field: string]: unknown })
      : undefined;
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}

/** `BOOT-ID PID-NAMESPACE` on Linux: two containers of one host have the same boot and different process ids. */
async function readBoot(): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  const boot = await readIfThere('/proc/sys/kernel/random/boot_id');
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return boot === undefined ? undefined : `${boot.trim()} ${namespace}`;
}

function bootOf(boot: string | undefined): string | undefined {
  return boot?.split(' ')[0];
}

/** Field 22 of proc(5) stat; the name before it may hold blanks and brackets, so fields are counted after the last one. */
async function readStartTime(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  const stat = await readIfThere(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
