// The agent as a process of its own, as it is installed: signals, ports, certificates, roles.

import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Emulator, emulatorVariables, type InstanceKind, startEmulator } from '@clef/emulator';
import { type ChildHandle, startChild } from '@clef/host';
import { openKms } from '@clef/kms';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../src/log.ts';
import { certificate } from './certificate.ts';
import { type Stage, setStage } from './stage.ts';

let stage: Stage;
let withAge: Record<string, string | undefined>;
beforeEach(async () => {
  stage = await setStage();
  withAge = { CLEF_AGENT_KMS_KEY: undefined, CLEF_AGENT_AGE_KEY_FILE: join(stage.folder, 'key.txt') };
});
afterEach(() => stage.close());

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Clients that ask again as soon as they are answered, each on a connection that it keeps, until that is closed. */
function startCrowd(port: number, token: string, size: number) {
  const ask = `GET /v1/secrets HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  const counts = { answers: 0, torn: 0, unanswered: 0 };
  let wanted = { answers: 0, reached: (): void => undefined };
  const clients = Array.from(
    { length: size },
    () =>
      new Promise<void>((resolve) => {
        let received = '';
        let isLast = false;
        const socket = connect({ host: '127.0.0.1', port }, () => void socket.write(ask));
        socket.setEncoding('latin1');
        socket.on('data', (chunk: string) => {
          received += chunk;
          const head = received.indexOf('\r\n\r\n') + 4;
          const length = Number(/content-length: ([0-9]+)/i.exec(received)?.[1] ?? Number.NaN);
          if (head < 4 || received.length < head + length) return;
          const isWhole = received.startsWith('HTTP/1.1 200') && received.length === head + length;
          if (!isWhole || !received.endsWith('"}')) counts.torn += 1;
          isLast = /\r\nconnection: close\r\n/i.test(received.slice(0, head));
          received = '';
          counts.answers += 1;
          if (counts.answers >= wanted.answers) wanted.reached();
          if (!isLast) socket.write(ask);
        });
        socket.on('error', () => undefined);
        socket.on('close', () => {
          if (received !== '') counts.torn += 1;
          else if (!isLast) counts.unanswered += 1;
          resolve();
        });
      }),
  );
  return {
    answers: () => counts.answers,
    hasAnswers: (answers: number) =>
      new Promise<void>((reached) => {
        wanted = { answers, reached };
      }),
    over: () => Promise.all(clients).then(() => counts),
  };
}

describe('signals', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'F57: %s: exit 0 within 3 s, the token file gone',
    async (signal) => {
      await stage.publish({ seal: stage.ageRecipient });
      const agent = await stage.spawn(withAge);
      await agent.waitForLine(/"event":"ready"/, 20);
      expect((await stage.ask('/v1/secrets')).status).toBe(200);
      const before = performance.now();
      agent.kill(signal);
      expect((await agent.exited).exitCode).toBe(0);
      expect(performance.now() - before).toBeLessThan(3_000);
      expect(await exists(join(stage.folder, 'token'))).toBe(false);
      expect(agent.stdout()).toHaveLength(0);
    },
  );

  test('F57: SIGTERM under load: every answer that began is whole, nobody new is let in, exit 0 within 3 s', async () => {
    await stage.publish({ seal: stage.ageRecipient, secrets: { BIG: 'x'.repeat(100_000) } });
    const agent = await stage.spawn(withAge);
    await agent.waitForLine(/"event":"ready"/, 20);
    const crowd = startCrowd(stage.port, await stage.token(), 32);
    await crowd.hasAnswers(500);
    const atSignal = crowd.answers();
    const before = performance.now();
    agent.kill('SIGTERM');
    await agent.waitForLine(/"event":"stopping"/, 5);
    expect((await agent.exited).exitCode).toBe(0);
    expect(performance.now() - before).toBeLessThan(3_000);
    const { torn, unanswered } = await crowd.over();
    expect({ torn, unanswered }).toEqual({ torn: 0, unanswered: 0 });
    expect(crowd.answers()).toBeGreaterThan(atSignal);
    expect(await isOpen(stage.port)).toBe(false);
  });

  test('INV-81: SIGUSR1 opens no debugger', async () => {
    await stage.publish({ seal: stage.ageRecipient });
    const wasOpen = await isOpen(9_229);
    const agent = await stage.spawn(withAge);
    await agent.waitForLine(/"event":"ready"/, 20);
    agent.kill('SIGUSR1');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await stage.ask('/v1/health')).status).toBe(200);
    expect(await isOpen(9_229)).toBe(wasOpen);
    expect(new TextDecoder().decode(agent.stderr())).not.toContain('Debugger');
  });

  test.each([
    ['clef-agent', '../bin/clef-agent.js', []],
    ['clef agent', '../../cli/bin/clef.js', ['agent']],
  ])('INV-81: %s: no debugger in its first moments either', async (_, path, words) => {
    await stage.publish({ seal: stage.ageRecipient });
    const file = fileURLToPath(new URL(path, import.meta.url));
    // Loaded from here the program is asked at its very first line, before its bundle is looked for.
    const early = `const { existsSync } = fs; fs.existsSync = (...all) => { process.kill(process.pid, 'SIGUSR1'); return existsSync(...all); };`;
    const preload = join(stage.folder, 'early.cjs');
    await writeFile(preload, `const fs = require('node:fs'); ${early}`);
    const agent = await startChild({
      command: process.execPath,
      args: ['--require', preload, file, ...words, '--help'],
      environment: { PATH: process.env['PATH'] },
    });
    expect((await agent.exited).exitCode).toBe(0);
    expect(new TextDecoder().decode(agent.stdout())).toContain('Usage: clef agent');
    expect(new TextDecoder().decode(agent.stderr())).not.toContain('Debugger');
  });

  test('F58: killed and started again: the floor is never torn, the old token file is replaced', async () => {
    await stage.publish({ seal: stage.ageRecipient });
    const tokens = new Set<string>();
    for (let round = 0; round < 5; round++) {
      const agent = await stage.spawn(withAge);
      await agent.waitForLine(round === 4 ? /"event":"ready"/ : /"event":"listening"/, 20);
      tokens.add(await stage.token());
      await stage.publish({ seal: stage.ageRecipient });
      if (round === 4) break;
      await new Promise((resolve) => setTimeout(resolve, round * 20));
      agent.kill('SIGKILL');
      await agent.exited;
      expect(await exists(join(stage.folder, 'token'))).toBe(true);
    }
    expect(tokens.size).toBe(5);
    expect(JSON.parse(await readFile(join(stage.folder, 'state', 'floor.json'), 'utf8'))).toMatchObject({
      version: 1,
    });
  });
});

test('INV-47, INV-56: after kill -9 an older revision stays refused, and a copy on disk that was changed is not served', async () => {
  const sealed = (value: string, packedAt = Date.now()) =>
    stage.pack({ seal: stage.ageRecipient, secrets: { A: value }, packedAt });
  const source = join(stage.folder, 'artifact.json');
  const copy = join(stage.folder, 'state', 'artifact.json');
  const old = await sealed('old', Date.now() - 60_000);
  const restarted = async (): Promise<string> => {
    const agent = await stage.spawn(withAge);
    await agent.waitForLine(/"event":"refused".*"reason":"rollback"/, 20);
    await agent.waitForLine(/"event":"(ready|disk_copy_refused)"/, 20);
    const { text } = await stage.ask('/v1/secrets');
    agent.kill('SIGKILL');
    await agent.exited;
    return text;
  };
  await writeFile(source, await sealed('new'));
  const first = await stage.spawn(withAge);
  await first.waitForLine(/"event":"ready"/, 20);
  first.kill('SIGKILL');
  await first.exited;
  await writeFile(source, old);
  for (let round = 0; round < 2; round += 1) expect(await restarted()).toBe('{"A":"new"}');
  // Signed, but older than the floor: what an attacker who kept one could put there.
  await writeFile(copy, old, { mode: 0o600 });
  expect(JSON.parse(await restarted())).toMatchObject({ error: { code: 'not_loaded' } });
  const changed = await sealed('new');
  changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
  await writeFile(copy, changed, { mode: 0o600 });
  expect(JSON.parse(await restarted())).toMatchObject({ error: { code: 'not_loaded' } });
});

describe('INV-82: what is in the environment of a process can be read there as long as it lives', () => {
  const environmentOf = (pid: number): Promise<string> => readFile(`/proc/${pid}/environ`, 'utf8');

  test('neither the token nor a private key is in it, and no setting takes a private key', async () => {
    await stage.publish({ seal: stage.ageRecipient });
    const agent = await stage.spawn(withAge);
    await agent.waitForLine(/"event":"ready"/, 20);
    const environment = await environmentOf(agent.pid);
    expect(environment).toContain('CLEF_AGENT_AGE_KEY_FILE=');
    expect(environment).not.toContain(await stage.token());
    expect(environment).not.toContain('AGE-SECRET-KEY');
    const refused = await stage.spawn({ ...withAge, CLEF_AGENT_AGE_KEY: 'AGE-SECRET-KEY-1CANARY' });
    expect((await refused.exited).exitCode).toBe(3);
    expect(Buffer.from(refused.stderr()).toString()).toMatch(/CLEF_AGENT_AGE_KEY: there is no such setting/);
    expect(Buffer.from(refused.stderr()).toString()).not.toContain('CANARY');
  });

  test('a token in a variable stays there, and the log says so without it', async () => {
    await stage.publish({ seal: stage.ageRecipient });
    const token = randomBytes(32).toString('hex');
    const variables = { ...withAge, CLEF_AGENT_TOKEN_FILE: undefined, CLEF_AGENT_TOKEN: token };
    const agent = await stage.spawn(variables);
    await agent.waitForLine(/"level":"warn","event":"token_in_environment"/, 20);
    expect(await environmentOf(agent.pid)).toContain(token);
    expect(Buffer.from(agent.stderr()).toString()).not.toContain(token);
  });
});

test('F65: a log that nobody reads holds nothing up', async () => {
  const pipe = join(stage.folder, 'log');
  await stage.publish({ seal: stage.ageRecipient, secrets: { A: '1' } });
  const agent = await startChild({
    command: 'sh',
    // Open at both ends, full, and read by nobody.
    args: [
      '-c',
      'mkfifo "$0" && exec 2<>"$0" && dd if=/dev/zero bs=65536 count=1 >&2 status=none && exec "$@"',
      pipe,
      process.execPath,
      fileURLToPath(new URL('../bin/clef-agent.js', import.meta.url)),
    ],
    environment: { PATH: process.env['PATH'], ...stage.variables, ...withAge },
  });
  try {
    await stage.until('/v1/secrets', ({ text }) => text === '{"A":"1"}');
    await stage.publish({ seal: stage.ageRecipient, secrets: { A: '2' } });
    await stage.until('/v1/secrets', ({ text }) => text === '{"A":"2"}');
    agent.kill('SIGTERM');
    expect((await agent.exited).exitCode).toBe(0);
  } finally {
    agent.kill('SIGKILL');
  }
});

test('F65: of a log that nobody reads a thousand lines are kept; the next that is taken says how many are not there', () => {
  const lines: string[] = [];
  let unread = 0;
  const talk = (text: string): void => {
    lines.push(text);
    unread += text.length;
  };
  const log = createLog('json', { now: () => 0, talk, unreadLogBytes: () => unread });
  for (let count = 0; count < 10_000; count += 1) log.warn('refused', { reason: 'signature'.repeat(20) });
  const kept = lines.length;
  expect(kept).toBeGreaterThan(900);
  expect(kept).toBeLessThan(2_000);
  unread = 0;
  log.info('ready');
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ event: 'ready', dropped: 10_000 - kept });
  log.info('ready');
  expect(JSON.parse(lines.at(-1) ?? '')).not.toHaveProperty('dropped');
});

test('from https, with an authority of NODE_EXTRA_CA_CERTS, in conditional requests', async () => {
  await writeFile(join(stage.folder, 'ca.pem'), certificate.cert);
  const artifact = await stage.pack({ seal: stage.ageRecipient, secrets: { A: 'over https' } });
  const statuses: number[] = [];
  const server = createServer(certificate, (request, response) => {
    const status = request.headers['if-none-match'] === '"1"' ? 304 : 200;
    statuses.push(status);
    response.writeHead(status, { etag: '"1"' }).end(status === 200 ? artifact : undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const source = `https://127.0.0.1:${(server.address() as AddressInfo).port}/api-gateway/production.json`;
    const agent = await stage.spawn({
      ...withAge,
      CLEF_AGENT_SOURCE: source,
      NODE_EXTRA_CA_CERTS: join(stage.folder, 'ca.pem'),
    });
    await agent.waitForLine(/"event":"ready"/, 20);
    expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"over https"}');
    for (let tries = 0; tries < 100 && statuses.length < 3; tries++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(statuses.slice(0, 3)).toEqual([200, 304, 304]);
    expect(new TextDecoder().decode(agent.stderr())).not.toContain('api-gateway');
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

describe('with nothing but the role of a machine, against an emulated AWS KMS', () => {
  let emulator: Emulator;
  beforeEach(async () => {
    const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
    emulator = await startEmulator({ now: Date.now, randomBytes: random });
    for (const identity of ['api-gateway', 'sister']) {
      await emulator.createRole(identity);
      const context = { 'clef:identity': identity, 'clef:environment': 'production' };
      await emulator.allowRole({ role: identity, key: emulator.awsKey.arn, may: 'decrypt', context });
    }
    const kms = openKms({ environment: emulatorVariables(emulator) });
    await stage.publish({ seal: emulator.awsKey.reference, kms, secrets: { A: 'by role' } });
  });
  afterEach(() => emulator.stop());

  async function agentOn(
    role: string,
    kind: InstanceKind,
    changes: Record<string, string> = {},
    nodeOptions: readonly string[] = [],
  ): Promise<ChildHandle> {
    const { variables } = await emulator.instance(role, kind);
    const all = { ...variables, ...changes, CLEF_AGENT_KMS_KEY: emulator.awsKey.reference };
    return stage.spawn(all, [], nodeOptions);
  }

  test.each([
    ['ten minutes fast', 10],
    ['ten minutes slow', -10],
  ])('F37: a clock that is %s: the KMS says what time it is, and one more call opens', async (_, minutes) => {
    const clock = join(stage.folder, 'clock.cjs');
    await writeFile(
      clock,
      `const now = Date.now; const shifted = () => now() + ${minutes * 60_000}; Date.now = shifted;
       globalThis.Date = class extends Date { constructor(...all) { super(...(all.length === 0 ? [shifted()] : all)); } };`,
    );
    await stage.publish({
      seal: emulator.awsKey.reference,
      kms: openKms({ environment: emulatorVariables(emulator) }),
      packedAt: Date.now() - 3_000_000,
      expiresInSeconds: 7_200,
      secrets: { A: 'by role' },
    });
    const agent = await agentOn('api-gateway', 'ec2', {}, ['--require', clock]);
    await agent.waitForLine(/"event":"ready"/, 30);
    expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"by role"}');
    expect(emulator.calls()['aws.Decrypt']).toBe(2);
  });

  test.each(['ec2', 'ecs'] as const)(
    'INV-62: %s: it opens in one call, whatever is asked of it',
    async (kind) => {
      const agent = await agentOn('api-gateway', kind);
      await agent.waitForLine(/"event":"ready"/, 30);
      for (let count = 0; count < 200; count++)
        expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"by role"}');
      expect(emulator.calls()['aws.Decrypt']).toBe(1);
      expect(new TextDecoder().decode(agent.stderr())).not.toMatch(/arn:|NodeVersion|by role/);
    },
  );

  test('INV-36: the role of a sister service opens nothing, under its own name or the other', async () => {
    const agent = await agentOn('sister', 'ec2');
    await agent.waitForLine(/"reason":"kms_denied"/, 30);
    expect((await stage.ask('/v1/secrets')).status).toBe(503);
    agent.kill('SIGTERM');
    await agent.exited;
    const asItself = await agentOn('sister', 'ec2', { CLEF_AGENT_IDENTITY: 'sister' });
    await asItself.waitForLine(/"reason":"binding"/, 30);
  });

  test('INV-55: another key’s ARN in the artifact: nobody is asked, neither a KMS nor for credentials', async () => {
    const connections: string[] = [];
    const spy = createTcpServer((socket) => {
      connections.push('connected');
      socket.destroy();
    });
    await new Promise<void>((resolve) => spy.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(spy.address() as AddressInfo).port}`;
    const foreign = emulator.awsKey.reference.replace(/[0-9a-f]{12}$/, 'f'.repeat(12));
    await stage.publish({ seal: foreign, kms: stage.kms });
    const agent = await stage.spawn({
      AWS_ENDPOINT_URL: url,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/credentials`,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
      CLEF_AGENT_KMS_KEY: emulator.awsKey.reference,
    });
    await agent.waitForLine(/"reason":"key_not_pinned"/, 30);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(connections).toEqual([]);
    // The spy is no dead end: the right key has it asked.
    await stage.publish({ seal: emulator.awsKey.reference, kms: stage.kms });
    await agent.waitForLine(/"reason":"kms_/, 30);
    expect(connections.length).toBeGreaterThan(0);
    spy.close();
  });

  test('F33: the role is revoked within the configured time', async () => {
    const agent = await agentOn('api-gateway', 'ec2', { CLEF_AGENT_REAUTHORIZE: '2s' });
    await agent.waitForLine(/"event":"ready"/, 30);
    await emulator.revokeRole('api-gateway');
    const revoked = performance.now();
    await agent.waitForLine(/"event":"denied"/, 10);
    expect(performance.now() - revoked).toBeLessThan(5_000);
    expect((await stage.ask('/v1/secrets')).status).toBe(503);
  });

  test('F33: the role is revoked: 503 at the next request, and wiped', async () => {
    const agent = await agentOn('api-gateway', 'ec2', { CLEF_AGENT_REAUTHORIZE: 'each-request' });
    await agent.waitForLine(/"event":"ready"/, 30);
    expect((await stage.ask('/v1/secrets')).status).toBe(200);
    await emulator.revokeRole('api-gateway');
    const { status, text } = await stage.ask('/v1/secrets');
    expect([status, JSON.parse(text).error.code]).toEqual([503, 'denied']);
    await agent.waitForLine(/"event":"denied"/, 5);
  });

  test('F30, F36: without KMS and credentials at the start it stays up, and opens when they come', async () => {
    const { variables } = await emulator.instance('api-gateway', 'ec2');
    const key = emulator.awsKey.reference;
    const agent = await stage.spawn({ AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:1', CLEF_AGENT_KMS_KEY: key });
    await agent.waitForLine(/"reason":"kms_(unavailable|no_credentials)"/, 30);
    expect((await stage.ask('/v1/health')).status).toBe(200);
    expect(JSON.parse((await stage.ask('/v1/ready')).text).error.code).toBe('not_loaded');
    agent.kill('SIGTERM');
    expect((await agent.exited).exitCode).toBe(0);
    const again = await stage.spawn({ ...variables, CLEF_AGENT_KMS_KEY: key });
    await again.waitForLine(/"event":"ready"/, 30);
  });

  test('INV-111, H15: an endpoint that is neither https nor this machine is not used', async () => {
    const agent = await agentOn('api-gateway', 'ec2', { AWS_ENDPOINT_URL_KMS: 'http://10.0.0.1' });
    await agent.waitForLine(/"reason":"kms_settings"/, 30);
    expect((await stage.ask('/v1/secrets')).status).toBe(503);
  });
});
