// Which user is at the other end of a connection: the kernel's own table says whose each socket is. Node has no
// SO_PEERCRED. Asked once for a connection, and only for one that has shown the token.
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { endianness } from 'node:os';

/** Whether the user at the other end is one of those allowed. A promise the first time. */
export type PeerCheck = (socket: Socket) => boolean | Promise<boolean>;

export function peerCheck(
  allowed: ReadonlySet<number>,
  read: (path: string) => Promise<string> = (path) => readFile(path, 'latin1'),
): PeerCheck {
  const verdicts = new WeakMap<Socket, boolean | Promise<boolean>>();
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => freshReads(() => read(path)));
  return (socket) => {
    const known = verdicts.get(socket);
    if (known !== undefined) return known;
    const verdict = findUid(socket, tables).then((uid) => {
      const isAllowed = uid !== undefined && allowed.has(uid);
      verdicts.set(socket, isAllowed);
      return isAllowed;
    });
    verdicts.set(socket, verdict);
    return verdict;
  };
}

/** Reads that begin after they were asked for, and never two at once: whoever asks meanwhile shares the next one. */
function freshReads(read: () => Promise<string>): () => Promise<string> {
  let current: Promise<string> | undefined;
  let next: Promise<string> | undefined;
  const begin = (): Promise<string> => {
    next = undefined;
    current = read()
      .catch(() => '') // no such table here: nobody is found in it
      .finally(() => {
        current = undefined;
      });
    return current;
  };
  return () => {
    if (current === undefined) return begin();
    next ??= current.then(begin);
    return next;
  };
}

async function findUid(
  { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 }: Socket,
  tables: readonly (() => Promise<string>)[],
): Promise<number | undefined> {
  const theirs = `${hexAddress(remoteAddress)}:${hexPort(remotePort)}`;
  const ours = `${hexAddress(localAddress)}:${hexPort(localPort)}`;
  for (const table of tables) {
    const uid = uidOf(await table(), theirs, ours);
    if (uid !== undefined) return uid;
  }
  return undefined;
}

/** A line: number, local address, remote address, state (01: established), queues, timer, retransmits, uid… */
function uidOf(table: string, theirs: string, ours: string): number | undefined {
  for (const line of table.split('\n')) {
    // The table of IPv6 has the same addresses with a prefix, for a client that came through an IPv6 socket.
    const [, local = '', remote = '', state, , , , uid = ''] = line.trim().split(/\s+/);
    if (state === '01' && local.endsWith(theirs) && remote.endsWith(ours) && /^[0-9]+$/.test(uid))
      return Number(uid);
  }
  return undefined;
}

/** As the kernel prints it: four bytes in the order of the machine. */
function hexAddress(address: string): string {
  const bytes = address
    .replace(/^::ffff:/, '')
    .split('.')
    .map(Number);
  const ordered = endianness() === 'LE' ? bytes.reverse() : bytes;
  return ordered
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase();
}

function hexPort(port: number): string {
  return port.toString(16).padStart(4, '0').toUpperCase();
}
