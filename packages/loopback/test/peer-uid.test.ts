// Whose process is at the other end: the kernel's table, read for real and from tables that say otherwise.
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { peerCheck } from '../src/peer-uid.ts';
import { exchange, open, request, serverWith } from './raw-client.ts';

const own = process.getuid?.() ?? 0;

describe.runIf(process.platform === 'linux')('INV-80: the users that may ask', () => {
  it('one that is allowed gets its answer, also on a connection it uses again', async () => {
    const server = await serverWith({ allowUids: new Set([own]) });
    const twice = request(server.port) + request(server.port);
    expect((await exchange(server.port, twice)).statuses).toEqual([200, 200]);
  });

  it('one that is not gets 403 with the right token, and the owner is not asked', async () => {
    const server = await serverWith({ allowUids: new Set([own + 1]) });
    const { statuses, text } = await exchange(server.port, request(server.port));
    expect(statuses).toEqual([403]);
    expect(text).toContain('"code":"user_not_allowed"');
    expect(server.calls).toHaveLength(0);
    expect(server.refusals).toEqual(['user_not_allowed']);
  });

  it('without the token it is 401, whoever asks; public paths are for all', async () => {
    const server = await serverWith({ allowUids: new Set([own + 1]) });
    expect((await exchange(server.port, request(server.port, { authorization: null }))).statuses).toEqual([
      401,
    ]);
    const health = request(server.port, { target: '/v1/health', authorization: null });
    expect((await exchange(server.port, health)).statuses).toEqual([200]);
  });

  it('a hundred connections at once are each judged', async () => {
    const server = await serverWith({ allowUids: new Set([own]) });
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => exchange(server.port, request(server.port))),
    );
    expect(answers.every(({ statuses }) => statuses[0] === 200)).toBe(true);
  });
});

describe('the table of the kernel', () => {
  const socket = {
    remoteAddress: '127.0.0.2',
    remotePort: 0xabcd,
    localAddress: '127.0.0.1',
    localPort: 7779,
  } as Socket;
  const line = (local: string, remote: string, state: string, uid: number): string =>
    `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 12345 1 0 20 4 30 10 -1`;
  const theirs = '0200007F:ABCD';
  const ours = '0100007F:1E63';
  const mapped = '0000000000000000FFFF0000';
  const verdict = async (tables: Record<string, string>) =>
    peerCheck(new Set([1_000]), (path) =>
      path in tables ? Promise.resolve(tables[path] as string) : Promise.reject(new Error('none')),
    )(socket);

  it.each([
    ['the row of the client', [line(theirs, ours, '01', 1_000)], true],
    ['the row of another user', [line(theirs, ours, '01', 65_534)], false],
    ['our own end only', [line(ours, theirs, '01', 1_000)], false],
    ['a connection that is closing', [line(theirs, ours, '06', 1_000)], false],
    ['another port', [line('0200007F:ABCE', ours, '01', 1_000)], false],
    // Two connections may begin at one address and port, as long as they do not end at one.
    ['their connection to another server', [line(theirs, '0100007F:1E64', '01', 1_000)], false],
    ['nothing', [], false],
    ['a user that is no number', [line(theirs, ours, '01', Number.NaN)], false],
  ])('%s', async (_, lines, isAllowed) => {
    expect(await verdict({ '/proc/net/tcp': `  sl  local_address\n${lines.join('\n')}\n` })).toBe(isAllowed);
  });

  it('a client that came through an IPv6 socket is in the other table', async () => {
    const tcp6 = line(mapped + theirs, mapped + ours, '01', 1_000);
    expect(await verdict({ '/proc/net/tcp': '', '/proc/net/tcp6': tcp6 })).toBe(true);
  });

  it('without tables nobody is allowed', async () => {
    expect(await verdict({})).toBe(false);
  });

  it('each connection is looked up once, and never in a table that was read before it was there', async () => {
    let reads = 0;
    let release: (() => void)[] = [];
    const check = peerCheck(new Set([1_000]), async () => {
      reads += 1;
      await new Promise<void>((resolve) => release.push(resolve));
      return line(theirs, ours, '01', 1_000);
    });
    const first = check(socket);
    const others = Array.from({ length: 50 }, () => check({ ...socket } as Socket));
    while (release.length > 0) {
      const waiting = release;
      release = [];
      for (const go of waiting) go();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await Promise.all([first, ...others])).toEqual(Array(51).fill(true));
    expect(reads).toBe(2);
    expect(check(socket)).toBe(true);
    expect(reads).toBe(2);
  });
});

it('a socket that is gone is nobody’s', async () => {
  const server = await serverWith({ allowUids: new Set([own]) });
  const client = await open(server.port);
  client.destroy();
  expect(await peerCheck(new Set([own]))(client)).toBe(false);
});
