// Where a loopback server listens: 127.0.0.1, or a Unix socket in a directory that only we can write to.
import { chmod, lchown, lstat, unlink } from 'node:fs/promises';
import type { Server } from 'node:http';
import { type AddressInfo, createConnection } from 'node:net';
import { dirname } from 'node:path';
import { ensurePrivateDirectory, HostError } from '@clef/host';
import { LoopbackError } from './loopback-error.ts';

/**
 * Port 0 takes any free one. The socket file gets 0600, and its directory is made with 0700; with a group, 0660 and 0750 for
 * that group. A directory that is there already is judged and never changed.
 */
export type ListenAddress =
  | { readonly port: number }
  | { readonly socketPath: string; readonly groupId?: number };

type Bound = { readonly port: number; readonly url: string; readonly hosts: readonly string[] };

/**
 * Binds. `hosts` are the values of Host by which clients name this address: on a Unix socket, which has none,
 * "localhost", as curl and Node send it.
 */
export async function bindServer(server: Server, address: ListenAddress): Promise<Bound> {
  if ('socketPath' in address) return await bindSocket(server, address.socketPath, address.groupId);
  if (!Number.isInteger(address.port) || address.port < 0 || address.port > 65_535) {
    throw new LoopbackError('address', `Expected a port from 0 to 65535, found ${address.port}`);
  }
  await listen(server, { host: '127.0.0.1', port: address.port }, `port ${address.port}`);
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}`, hosts: [`127.0.0.1:${port}`] };
}

/** The size of sun_path without its NUL. libuv cuts a longer path silently and binds the rest. */
const longestSocketPath = process.platform === 'linux' ? 107 : 103;

async function bindSocket(server: Server, path: string, groupId: number | undefined): Promise<Bound> {
  if (Buffer.byteLength(path) > longestSocketPath) {
    throw new LoopbackError('address', `The path of the socket is longer than ${longestSocketPath} bytes`);
  }
  await prepareDirectory(dirname(path), groupId);
  await removeDeadSocket(path);
  // Bound within the call: nobody but us can connect before the mode below is set, whatever the directory allows.
  const umask = process.umask(0o177);
  const listening = listen(server, { path }, 'the socket');
  process.umask(umask);
  await listening;
  if (groupId !== undefined) await shareWithGroup(path, groupId, 0o660);
  return { port: 0, url: `unix:${path}`, hosts: ['localhost'] };
}

async function prepareDirectory(path: string, groupId: number | undefined): Promise<void> {
  const isThere = await lstat(path).then(
    () => true,
    () => false,
  );
  try {
    await ensurePrivateDirectory(path);
  } catch (cause) {
    const code = cause instanceof HostError && cause.code === 'permission' ? 'permission' : 'address';
    throw new LoopbackError(code, 'The directory of the socket cannot be used', { cause });
  }
  if (groupId !== undefined && !isThere) await shareWithGroup(path, groupId, 0o750);
}

async function shareWithGroup(path: string, groupId: number, mode: number): Promise<void> {
  try {
    await lchown(path, -1, groupId);
    await chmod(path, mode);
  } catch (cause) {
    throw new LoopbackError('permission', 'The socket cannot be given to that group', { cause });
  }
}

async function removeDeadSocket(path: string): Promise<void> {
  const facts = await lstat(path).catch(() => undefined);
  if (facts === undefined) return;
  if (!facts.isSocket())
    throw new LoopbackError('address', 'There is something else at the path of the socket');
  if (await isAnswered(path)) throw new LoopbackError('port_in_use', 'Another process listens on the socket');
  await unlink(path);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((settle) => {
    const socket = createConnection({ path });
    socket.once('connect', () => socket.destroy());
    socket.once('error', () => settle(false));
    socket.once('close', (hadError) => settle(!hadError));
  });
}

function listen(
  server: Server,
  where: { host: string; port: number } | { path: string },
  what: string,
): Promise<void> {
  return new Promise((settle, fail) => {
    server.once('error', (cause: NodeJS.ErrnoException) => fail(listenError(cause, what)));
    server.listen({ ...where, backlog: 1024, exclusive: true }, () => {
      server.removeAllListeners('error');
      settle();
    });
  });
}

function listenError(cause: NodeJS.ErrnoException, what: string): LoopbackError {
  switch (cause.code ?? '') {
    case 'EADDRINUSE':
      return new LoopbackError('port_in_use', `Cannot listen on ${what}: another process does`, { cause });
    case 'EACCES':
    case 'EPERM':
      return new LoopbackError('permission', `Cannot listen on ${what}: permission denied`, { cause });
    default:
      return new LoopbackError('address', `Cannot listen on ${what}: ${cause.code ?? 'unknown reason'}`, {
        cause,
      });
  }
}
