// A disk that fails: wraps every call of node:fs/promises that changes something (and, if asked, every read), counts,
// and at the chosen call throws or kills this process. Works because named imports of built-ins are live bindings.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Fault = {
  /** Counted from 1; what comes later fails too if the fault stays. */
  readonly at: number;
  readonly action: 'kill-before' | 'kill-after' | 'short-write' | NodeJS.ErrnoException['code'];
  readonly stays?: boolean;
};

let fault: Fault | undefined;
let calls = 0;

/** From now on calls are counted, and `next` happens at its turn. */
export function arm(next: Fault): void {
  fault = next;
  calls = 0;
}

/** Ends the fault; says how many calls there were. */
export function disarm(): number {
  fault = undefined;
  return calls;
}

type Call = (...args: never[]) => Promise<unknown>;

function guarded(name: string, original: Call, isCounted: (args: readonly unknown[]) => boolean): Call {
  return async function (this: unknown, ...args: never[]) {
    if (fault === undefined || !isCounted(args)) return await original.apply(this, args);
    calls += 1;
    const isTurn = calls === fault.at || (fault.stays === true && calls > fault.at);
    if (!isTurn) return await original.apply(this, args);
    return await fail.call(this, name, original, args);
  };
}

async function fail(this: unknown, name: string, original: Call, args: never[]): Promise<unknown> {
  const action = fault?.action ?? '';
  if (action === 'kill-before') process.kill(process.pid, 'SIGKILL');
  if (action === 'short-write') {
    const [bytes, offset, length] = args as unknown as [Uint8Array, number, number];
    const short = name === 'write' ? [bytes, offset, Math.min(1, length)] : args;
    return await original.apply(this, short as never[]);
  }
  if (action === 'kill-after') {
    // A call that fails by itself (a folder that exists) counts too.
    await original.apply(this, args).catch(() => undefined);
    process.kill(process.pid, 'SIGKILL');
  }
  // A descriptor is given back even when its closing fails.
  if (name === 'close') await original.apply(this, args);
  throw Object.assign(new Error(`${action}: injected, ${name}`), { code: action, errno: -1, syscall: name });
}

const changing = [
  'rename',
  'unlink',
  'link',
  'mkdir',
  'rmdir',
  'chmod',
  'writeFile',
  'symlink',
  'rm',
  'truncate',
];
const reading = ['readFile', 'lstat', 'stat', 'realpath', 'readdir'];

/** Wraps the calls of this process. With `reads`, reading counts too. */
export async function installFaults({ reads = false } = {}): Promise<void> {
  const promises = fs.promises as unknown as Record<string, Call>;
  for (const name of reads ? [...changing, ...reading] : changing) {
    const original = promises[name];
    if (original !== undefined) promises[name] = guarded(name, original, () => true);
  }
  const { O_WRONLY, O_RDWR, O_CREAT } = fs.constants;
  const opensForWriting = (args: readonly unknown[]) =>
    reads ||
    (typeof args[1] === 'number' ? (args[1] & (O_WRONLY | O_RDWR | O_CREAT)) !== 0 : args[1] !== 'r');
  const open = promises['open'] as Call;
  promises['open'] = guarded('open', open, opensForWriting);
  await wrapFileHandle(open, reads);
  syncBuiltinESMExports();
}

async function wrapFileHandle(open: Call, reads: boolean): Promise<void> {
  const handle = (await open(join(tmpdir()) as never, 'r' as never)) as fs.promises.FileHandle;
  const prototype = Object.getPrototypeOf(handle) as Record<string, Call>;
  await handle.close();
  for (const name of [
    'write',
    'writev',
    'sync',
    'datasync',
    'chmod',
    'truncate',
    'close',
    ...(reads ? ['read', 'stat'] : []),
  ]) {
    const original = prototype[name];
    if (original !== undefined) prototype[name] = guarded(name, original, () => true);
  }
}
