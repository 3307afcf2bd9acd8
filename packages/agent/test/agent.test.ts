// The whole agent with real artifacts, real files and a real port; the KMS, and where it helps the clock, are the test's.
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { ClefAgentError, get, secrets } from '@clef/client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { readMetrics } from './read-metrics.ts';
import { type Stage, setStage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(() => stage.close());

const isReady = ({ status }: { status: number }): boolean => status === 200;
const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
const events = (lines: readonly string[]): string[] =>
  lines.map((line) => {
    const { event, reason } = JSON.parse(line) as { event: string; reason?: string };
    return reason === undefined ? event : `${event}:${reason}`;
  });

describe('serving', () => {
  test('from a file, through a KMS: values, ready, one KMS call; nothing on standard output; a clean end', async () => {
    await stage.publish({ secrets: { DB_URL: 'postgres://canary-value', ODD: 'a\r\n"\\\u2028' } });
    const agent = stage.run();
    await stage.until('/v1/ready', isReady);
    expect(JSON.parse((await stage.ask('/v1/secrets')).text)).toEqual({
      DB_URL: 'postgres://canary-value',
      ODD: 'a\r\n"\\\u2028',
    });
    expect((await stage.ask('/v1/secrets', { token: 'x'.repeat(54) })).status).toBe(401);
    for (let count = 0; count < 100; count++) await stage.ask('/v1/secrets/DB_URL');
    expect(stage.kms.unwraps).toBe(1);
    const before = performance.now();
    agent.signal('SIGTERM');
    expect(await agent.exit).toBe(0);
    expect(performance.now() - before).toBeLessThan(3_000);
    expect(await exists(join(stage.folder, 'token'))).toBe(false);
    await expect(stage.ask('/v1/health')).rejects.toThrow('ECONNREFUSED');
    expect(agent.printed).toEqual([]);
    expect(events(agent.lines)).toEqual([
      'listening',
      'ready',
      'request_refused:unauthorized',
      'stopping',
      'stopped',
    ]);
    expect(agent.lines.join('\n')).not.toMatch(/canary|DB_URL|clef_agent_|arn:/);
  });

  test('with an age key and no KMS', async () => {
    await stage.publish({ seal: stage.ageRecipient, secrets: { A: 'age' } });
    stage.run({ CLEF_AGENT_KMS_KEY: undefined, CLEF_AGENT_AGE_KEY_FILE: join(stage.folder, 'key.txt') });
    await stage.until('/v1/ready', isReady);
    expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"age"}');
    expect(stage.kms.unwraps).toBe(0);
  });

  test('unsigned, from a local file, when that is asked for', async () => {
    await stage.publish({ signer: 'none', secrets: { A: 'unsigned' } });
    stage.run({ CLEF_AGENT_VERIFY_KEYS: undefined, CLEF_AGENT_ALLOW_UNSIGNED: '1' });
    await stage.until('/v1/ready', isReady);
    expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"unsigned"}');
  });

  test('a new artifact is served within a poll, behind a symbolic link as Kubernetes makes them too', async () => {
    await mkdir(join(stage.folder, '..data'));
    await writeFile(join(stage.folder, '..data', 'artifact.json'), await stage.pack({ secrets: { A: '1' } }));
    await symlink(join('..data', 'artifact.json'), join(stage.folder, 'link.json'));
    stage.run({ CLEF_AGENT_SOURCE: join(stage.folder, 'link.json') });
    await stage.until('/v1/ready', isReady);
    await writeFile(join(stage.folder, '..data', 'artifact.json'), await stage.pack({ secrets: { A: '2' } }));
    await stage.until('/v1/secrets', ({ text }) => text === '{"A":"2"}');
    expect(stage.kms.unwraps).toBe(2);
  });

  test('on a Unix socket, for the client of this package', async () => {
    await stage.publish({ secrets: { A: 'socket' } });
    const socketPath = join(stage.folder, 'run', 'agent.sock');
    stage.run({ CLEF_AGENT_LISTEN: socketPath });
    expect(await get('A', { socketPath, tokenFile: join(stage.folder, 'token') })).toBe('socket');
    expect((await stat(join(stage.folder, 'run'))).mode & 0o777).toBe(0o700);
  });

  test('INV-80: a socket for a group', async () => {
    await stage.publish();
    const groupId = process.getgroups?.().at(-1) ?? 0;
    const socketPath = join(stage.folder, 'run', 'agent.sock');
    stage.run({ CLEF_AGENT_LISTEN: `unix:${socketPath}`, CLEF_AGENT_TOKEN_GROUP: String(groupId) });
    expect(await get('DB_URL', { socketPath, tokenFile: join(stage.folder, 'token') })).toContain('postgres');
    const facts = await Promise.all(
      [socketPath, join(stage.folder, 'run'), join(stage.folder, 'token')].map((path) => stat(path)),
    );
    expect(facts.map(({ mode, gid }) => [mode & 0o777, gid])).toEqual([
      [0o660, groupId],
      [0o750, groupId],
      [0o440, groupId],
    ]);
  });

  test('a socket for a group that is not there: exit 8', async () => {
    const socketPath = join(stage.folder, 'run', 'agent.sock');
    const agent = stage.run({ CLEF_AGENT_LISTEN: socketPath, CLEF_AGENT_TOKEN_GROUP: 'no-such-group' });
    expect(await agent.exit).toBe(8);
    expect(agent.lines.join()).toContain('CLEF_AGENT_TOKEN_GROUP');
  });

  test('INV-80: for the users that are named only', async () => {
    await stage.publish();
    const own = process.getuid?.() ?? 0;
    const agent = stage.run({ CLEF_AGENT_ALLOW_UIDS: String(own + 1) });
    await stage.until('/v1/ready', isReady);
    const { status, text } = await stage.ask('/v1/secrets');
    expect([status, JSON.parse(text).error.code]).toEqual([403, 'user_not_allowed']);
    agent.signal('SIGTERM');
    await agent.exit;
    stage.run({ CLEF_AGENT_ALLOW_UIDS: `${own + 1}, ${own}` });
    await stage.until('/v1/secrets', isReady);
  });

  test('metrics: what was asked, refreshed, refused and called; no key, no value, no path', async () => {
    await stage.publish();
    stage.run();
    await stage.until('/v1/ready', isReady);
    await stage.ask('/v1/secrets/DB_URL');
    await stage.ask('/v1/secrets/NO_SUCH_KEY');
    await stage.ask('/v1/secrets', { token: 'x'.repeat(54) });
    await stage.publish({ signer: 'second' });
    await stage.until('/v1/ready', ({ text }) => text.includes('signature'));
    expect((await stage.ask('/metrics', { token: '' })).status).toBe(401);
    const { status, text, headers } = await stage.ask('/metrics');
    expect([status, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4']);
    const samples = Object.fromEntries(readMetrics(text));
    expect(samples).toMatchObject({
      clef_agent_ready: 1,
      clef_agent_epoch: 0,
      clef_agent_floor_durable: 1,
      'clef_agent_kms_calls_total{result="ok"}': 1,
      'clef_agent_refresh_total{result="accepted"}': 1,
      'clef_agent_requests_total{route="/v1/secrets/{key}",status="200"}': 1,
      'clef_agent_requests_total{route="/v1/secrets/{key}",status="404"}': 1,
    });
    expect(samples['clef_agent_requests_refused_total{reason="unauthorized"}']).toBeGreaterThanOrEqual(1);
    expect(samples['clef_agent_refusals_total{reason="signature"}']).toBeGreaterThanOrEqual(1);
    const now = Date.now() / 1_000;
    expect(samples['clef_agent_expires_at_seconds']).toBeGreaterThan(now);
    expect(Math.abs(Number(samples['clef_agent_last_success_timestamp_seconds']) - now)).toBeLessThan(300);
    expect(text).not.toMatch(/DB_URL|NO_SUCH_KEY|canary|arn:|clef-agent-/);
  });

  test('watch: the names of what changed; the stream ends when its token is taken away', async () => {
    const path = join(stage.folder, 'token');
    const token = 'a'.repeat(43);
    await writeFile(path, `${token}\n`, { mode: 0o400 });
    await stage.publish({ secrets: { A: '1', B: 'b' } });
    const agent = stage.run();
    await stage.until('/v1/ready', isReady);
    let told = '';
    const ended = new Promise<void>((resolve) => {
      const headers = { authorization: `Bearer ${token}` };
      request(
        { host: '127.0.0.1', port: stage.port, path: '/v1/watch', headers, agent: false },
        (response) => {
          response.on('data', (chunk: Buffer) => {
            told += chunk.toString();
          });
          response.on('close', () => resolve());
        },
      ).end();
    });
    await stage.publish({ secrets: { A: '2', B: 'b' } });
    await stage.until('/v1/secrets', ({ text }) => text.includes('"2"'));
    for (let tries = 0; tries < 100 && !told.includes('"changed":["A"]'); tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(told).toMatch(/"changed":\["A","B"\]\}\n\nevent: revision\nid: [0-9]+\ndata: .*"changed":\["A"\]/);
    await rm(path);
    await writeFile(path, `${'b'.repeat(43)}\n`, { mode: 0o400 });
    await ended;
    expect(events(agent.lines)).toContain('token_reloaded');
  });

  test('the client waits for the agent, follows a new revision, and says what to do', async () => {
    const options = { url: `http://127.0.0.1:${stage.port}`, tokenFile: join(stage.folder, 'token') };
    const early = secrets(options);
    await stage.publish({ secrets: { A: '1' } });
    const agent = stage.run();
    const first = await early;
    expect(first).toEqual({ A: '1' });
    expect(await secrets(options)).toBe(first);
    await stage.publish({ secrets: { A: '2' } });
    await stage.until('/v1/secrets', ({ text }) => text === '{"A":"2"}');
    expect(await get('A', options)).toBe('2');
    await expect(get('B', options)).rejects.toMatchObject({ code: 'unknown_key' });
    agent.signal('SIGINT');
    expect(await agent.exit).toBe(0);
    await expect(secrets({ ...options, waitSeconds: 0 })).rejects.toBeInstanceOf(ClefAgentError);
  });

  test('the client finds a restarted agent with its new token', async () => {
    await stage.publish({ secrets: { A: '1' } });
    const options = { url: `http://127.0.0.1:${stage.port}`, tokenFile: join(stage.folder, 'token') };
    const first = stage.run();
    await secrets(options);
    first.signal('SIGTERM');
    await first.exit;
    stage.run();
    expect(await secrets(options)).toEqual({ A: '1' });
  });
});

describe('what is refused is not served, and the agent stays (INV-45)', () => {
  test.each<[string, Parameters<Stage['publish']>[0], string]>([
    ['another identity', { identity: 'other' }, 'binding'],
    ['another environment', { environment: 'staging' }, 'binding'],
    ['another repository', { repository: 'other' }, 'binding'],
    ['another signer', { signer: 'second' }, 'signature'],
    ['no signature', { signer: 'none' }, 'unsigned'],
    [
      'INV-55: another KMS key',
      { seal: 'awskms:///arn:aws:kms:eu-west-1:111122223333:key/5f0c6a3e-0000-4000-8000-00000000000f' },
      'key_not_pinned',
    ],
    ['INV-48: older than the least revision', { revision: 99 }, 'rollback'],
    ['INV-49: far ahead', { revision: Date.now() + 3 * 86_400_000 }, 'fast_forward'],
    ['INV-52: packed in the future', { packedAt: Date.now() + 3_600_000, revision: 100 }, 'not_yet_valid'],
    ['expired', { packedAt: Date.now() - 7_200_000 }, 'expired'],
  ])('%s: zero KMS calls', async (_, wanted, reason) => {
    await stage.publish(wanted);
    const agent = stage.run({ CLEF_AGENT_MIN_REVISION: '100' });
    await stage.until('/v1/health', isReady);
    await stage.until('/v1/ready', ({ text }) => text.includes(`"problem":"${reason}"`));
    const { status, text } = await stage.ask('/v1/secrets');
    expect([status, JSON.parse(text).error.code]).toEqual([
      503,
      reason === 'expired' ? 'expired' : 'not_loaded',
    ]);
    expect(stage.kms.unwraps).toBe(0);
    expect(events(agent.lines)).toContain(`refused:${reason}`);
    expect(agent.lines.join('\n')).not.toMatch(/canary|arn:|other|staging/);
    await stage.publish();
    await stage.until('/v1/ready', isReady);
  });

  test('F45: every flipped byte in a stretch of the artifact, and it cut, doubled, emptied', async () => {
    const good = await stage.publish();
    const agent = stage.run();
    await stage.until('/v1/ready', isReady);
    const bad = [
      good.slice(0, -1),
      new Uint8Array([...good, ...good]),
      new Uint8Array(),
      new TextEncoder().encode('<html>'),
    ];
    for (let index = 0; index < good.length; index += Math.ceil(good.length / 8)) {
      const flipped = good.slice();
      flipped[index] = (flipped[index] ?? 0) ^ 1;
      bad.push(flipped);
    }
    await rm(join(stage.folder, 'state', 'artifact.json'));
    for (const bytes of bad) {
      await writeFile(join(stage.folder, 'artifact.json'), bytes);
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect((await stage.ask('/v1/secrets')).status).toBe(200);
    }
    expect(stage.kms.unwraps).toBe(1);
    expect(events(agent.lines).filter((event) => event === 'ready').length).toBe(1);
  });

  const file = { type: 'file', name: 'production.json', path: 'web/production.json', sha: 'canary' };
  const inLines = (bytes: Uint8Array): string =>
    Buffer.from(bytes)
      .toString('base64')
      .replace(/(.{60})/g, '$1\n');
  test.each<[string, (artifact: Uint8Array) => unknown]>([
    ['K04: GitHub, of a file over 1 MB', () => ({ ...file, size: 2_000_000, encoding: 'none', content: '' })],
    ['K04: GitHub, of a symbolic link', () => ({ ...file, type: 'symlink', target: '/etc/passwd' })],
    [
      'K04: GitHub, of a submodule',
      () => ({ ...file, type: 'submodule', submodule_git_url: 'git://canary' }),
    ],
    ['K04: GitHub, of a folder', () => [file, file]],
    [
      'K04: GitHub, base64 with line breaks',
      (bytes) => ({ ...file, encoding: 'base64', content: inLines(bytes) }),
    ],
    ['K04: GitHub, a message under 200', () => ({ message: 'Not Found', documentation_url: 'canary' })],
    [
      'K05: GitLab',
      (bytes) => ({ file_name: 'canary', encoding: 'text', content: Buffer.from(bytes).toString() }),
    ],
    ['K05: Bitbucket', () => ({ type: 'error', error: { message: 'canary' } })],
    ['K05: a page to sign in', () => '<!DOCTYPE html><html><body>canary</body></html>'],
  ])(
    '%s: what a git host wraps around a file is no artifact; the last good one is served',
    async (_, reply) => {
      const good = await stage.publish({ secrets: { A: '1' } });
      const agent = stage.run();
      await stage.until('/v1/ready', isReady);
      const text = reply(await stage.pack());
      await writeFile(
        join(stage.folder, 'artifact.json'),
        typeof text === 'string' ? text : JSON.stringify(text),
      );
      await stage.until('/v1/ready', (answer) => answer.text.includes('"problem":"format"'));
      expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"1"}');
      expect(stage.kms.unwraps).toBe(1);
      expect(agent.lines.join('\n')).not.toContain('canary');
      await writeFile(join(stage.folder, 'artifact.json'), good);
      await stage.until('/v1/ready', (answer) => !answer.text.includes('problem'));
    },
  );

  test('INV-36: the role of a sister service cannot open it: KMS denied', async () => {
    await stage.publish();
    stage.kms.state = 'denied';
    const agent = stage.run();
    await stage.until('/v1/ready', ({ text }) => text.includes('denied'));
    expect((await stage.ask('/v1/secrets')).status).toBe(503);
    expect(events(agent.lines)).toContain('refused:kms_denied');
  });
});

describe('state', () => {
  test('INV-47: after a restart, what is older than what was served is refused, and the disk serves', async () => {
    const old = await stage.pack({ secrets: { A: 'old' }, packedAt: Date.now() - 60_000 });
    await stage.publish({ secrets: { A: 'new' } });
    const first = stage.run();
    await stage.until('/v1/ready', isReady);
    first.signal('SIGTERM');
    await first.exit;
    await writeFile(join(stage.folder, 'artifact.json'), old);
    const second = stage.run();
    await stage.until('/v1/ready', isReady);
    expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"new"}');
    expect(JSON.parse((await stage.ask('/v1/ready')).text)).toMatchObject({
      source: 'disk',
      problem: 'rollback',
      floor: 'durable',
    });
    expect(events(second.lines)).toContain('refused:rollback');
  });

  test('only ciphertext and the floor are on the disk, for us alone', async () => {
    await stage.publish();
    stage.run();
    await stage.until('/v1/ready', isReady);
    const state = join(stage.folder, 'state');
    expect((await readdir(state)).sort()).toEqual(['artifact.json', 'floor.json']);
    for (const name of await readdir(state)) {
      expect(await readFile(join(state, name), 'latin1')).not.toMatch(/canary|DB_URL/);
      expect((await stat(join(state, name))).mode & 0o777).toBe(0o600);
    }
  });

  test('none: said to be volatile', async () => {
    await stage.publish();
    stage.run({ CLEF_AGENT_STATE_DIR: 'none' });
    expect(JSON.parse((await stage.until('/v1/ready', isReady)).text).floor).toBe('volatile');
    expect(await exists(join(stage.folder, 'state'))).toBe(false);
  });

  test('H11: a named directory that others may write to ends the start; one nobody named does not', async () => {
    await mkdir(join(stage.folder, 'state'));
    await chmod(join(stage.folder, 'state'), 0o777);
    const refused = stage.run();
    expect(await refused.exit).toBe(8);
    expect(refused.lines.join()).toContain('state_directory');
    expect(await exists(join(stage.folder, 'token'))).toBe(false);
    await stage.publish();
    const parent = join(stage.folder, 'home');
    await writeFile(parent, 'a file');
    const served = stage.run({ CLEF_AGENT_STATE_DIR: undefined, XDG_STATE_HOME: parent });
    await stage.until('/v1/ready', isReady);
    expect(events(served.lines)[0]).toMatch(/^state_not_saved/);
  });
});

describe('the token', () => {
  test('a provided file: both lines, re-read on change, kept at the end', async () => {
    const [one, two, three] = ['a', 'b', 'c'].map((letter) => letter.repeat(43)) as [string, string, string];
    const path = join(stage.folder, 'token');
    await writeFile(path, `${one}\n${two}\n`, { mode: 0o400 });
    await stage.publish();
    const agent = stage.run();
    await stage.until('/v1/ready', isReady);
    expect((await stage.ask('/v1/keys', { token: one })).status).toBe(200);
    expect((await stage.ask('/v1/keys', { token: two })).status).toBe(200);
    await rm(path);
    await writeFile(path, `${three}\n${two}\n`, { mode: 0o400 });
    await stage.until('/v1/keys', isReady);
    expect((await stage.ask('/v1/keys', { token: two })).status).toBe(200);
    expect((await stage.ask('/v1/keys', { token: one })).status).toBe(401);
    agent.signal('SIGTERM');
    await agent.exit;
    expect(await exists(path)).toBe(true);
    expect(agent.lines.join('\n')).not.toMatch(/aaa|bbb|ccc/);
  });

  test('in a variable: works, with a warning', async () => {
    await stage.publish();
    const token = 'v'.repeat(43);
    const agent = stage.run({ CLEF_AGENT_TOKEN_FILE: undefined, CLEF_AGENT_TOKEN: token });
    await stage.until('/v1/ready', isReady);
    expect((await stage.ask('/v1/keys', { token })).status).toBe(200);
    expect(events(agent.lines)).toContain('token_in_environment');
    expect(agent.lines.join('\n')).not.toContain(token);
  });

  test.each([
    ['H06: a mode for others', 0o644, 'x'.repeat(43), 7],
    ['H06: too short', 0o400, 'short', 3],
    ['H06: empty', 0o400, '', 3],
  ])('%s ends the start', async (_, mode, text, code) => {
    await writeFile(join(stage.folder, 'token'), text);
    await chmod(join(stage.folder, 'token'), mode);
    const agent = stage.run();
    expect(await agent.exit).toBe(code);
    await expect(stage.ask('/v1/health')).rejects.toThrow('ECONNREFUSED');
  });

  test('INV-69, F56: a port in use: exit 8, no token file, never ready', async () => {
    await stage.publish();
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(stage.port, '127.0.0.1', resolve));
    const agent = stage.run();
    expect(await agent.exit).toBe(8);
    await new Promise((resolve) => squatter.close(resolve));
    expect(await exists(join(stage.folder, 'token'))).toBe(false);
    expect(events(agent.lines)).toEqual(['port_in_use']);
  });

  test('a token file that cannot be made: exit 8, and nothing listens', async () => {
    const agent = stage.run({ CLEF_AGENT_TOKEN_FILE: join(stage.folder, 'none', 'token') });
    expect(await agent.exit).toBe(8);
    await expect(stage.ask('/v1/health')).rejects.toThrow('ECONNREFUSED');
    expect(events(agent.lines)).toEqual(['token_file']);
  });
});

describe('the KMS asked at each request', () => {
  test('denied: 503 at once; allowed again after the pause; an outage goes on serving', async () => {
    await stage.publish();
    let elapsed = 1_000_000;
    stage.run({ CLEF_AGENT_REAUTHORIZE: 'each-request' }, { elapsed: () => elapsed });
    await stage.until('/v1/ready', isReady);
    const before = stage.kms.unwraps;
    expect((await stage.ask('/v1/secrets')).status).toBe(200);
    expect(stage.kms.unwraps).toBe(before + 1);
    stage.kms.state = 'unavailable';
    expect((await stage.ask('/v1/secrets')).status).toBe(200);
    elapsed += 13_000;
    stage.kms.state = 'denied';
    expect((await stage.ask('/v1/secrets')).status).toBe(503);
    stage.kms.state = 'ok';
    expect(JSON.parse((await stage.ask('/v1/secrets')).text).error.code).toBe('denied');
    elapsed += 61_000;
    expect((await stage.ask('/v1/secrets')).status).toBe(200);
  });
});

test('F31: while the KMS keeps a new artifact waiting, the old one is answered at once, and it is asked only once', async () => {
  await stage.publish({ secrets: { A: '1' } });
  let isSilent = false;
  let calls = 0;
  const openKms = () => ({
    ...stage.kms,
    unwrap: (...question: Parameters<Stage['kms']['unwrap']>) => {
      calls += 1;
      return isSilent ? new Promise<never>(() => undefined) : stage.kms.unwrap(...question);
    },
  });
  stage.run({}, { openKms });
  await stage.until('/v1/ready', isReady);
  isSilent = true;
  await stage.publish({ secrets: { A: '2' } });
  for (let tries = 0; tries < 200 && calls < 2; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 20));
  const asked = performance.now();
  for (let count = 0; count < 50; count += 1) expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"1"}');
  expect((performance.now() - asked) / 50).toBeLessThan(100);
  await stage.publish({ secrets: { A: '3' } });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(calls).toBe(2);
});

describe('starting', () => {
  test('wrong settings: all faults, exit 3; a person gets lines, a machine one JSON line', async () => {
    const machine = stage.run({ CLEF_AGENT_POLL: 'soon', CLEF_AGENT_SORCE: 'x' });
    expect(await machine.exit).toBe(3);
    expect(machine.lines).toHaveLength(1);
    expect(JSON.parse(machine.lines[0] as string)).toMatchObject({ event: 'config', level: 'error' });
    const person = stage.run({ CLEF_AGENT_POLL: 'soon', CLEF_AGENT_SORCE: 'x' }, { isTerminal: true });
    expect(await person.exit).toBe(3);
    expect(person.lines.join('\n')).toMatch(
      /CLEF_AGENT_SOURCE\?\n.*CLEF_AGENT_POLL: .*\nTry: clef service show/,
    );
  });

  test('wrong words: exit 2', async () => {
    const agent = stage.run({}, {}, ['--sorce', 'x']);
    expect(await agent.exit).toBe(2);
    expect(agent.lines.join('\n')).toContain('did you mean "--source"?');
  });

  test('INV-71, H10: started unsafely: exit 7', async () => {
    expect(await stage.run({}, { nodeOptions: ['--inspect'] }).exit).toBe(7);
    expect(await stage.run({ NODE_OPTIONS: '--insecure-http-parser' }).exit).toBe(7);
  });

  test('an age key file that is none: exit 3, and nothing of it is said', async () => {
    const path = join(stage.folder, 'bad.txt');
    await writeFile(path, 'AGE-SECRET-KEY-1CANARY\n', { mode: 0o600 });
    const agent = stage.run({ CLEF_AGENT_KMS_KEY: undefined, CLEF_AGENT_AGE_KEY_FILE: path });
    expect(await agent.exit).toBe(3);
    expect(agent.lines.join('\n')).not.toContain('CANARY');
    const absent = stage.run({ CLEF_AGENT_KMS_KEY: undefined, CLEF_AGENT_AGE_KEY_FILE: `${path}.none` });
    expect(await absent.exit).toBe(3);
  });

  test('help and version go to standard output', async () => {
    const help = stage.run({}, {}, ['--help']);
    expect([await help.exit, help.lines]).toEqual([0, []]);
    expect(help.printed.join('')).toContain('--max-stale DURATION');
    const version = stage.run({}, {}, ['--version']);
    expect([await version.exit, version.printed]).toEqual([0, [`${manifest.version}\n`]]);
  });

  test('as PID 1: a warning', async () => {
    await stage.publish();
    const agent = stage.run({}, { processId: 1 });
    await stage.until('/v1/ready', isReady);
    expect(events(agent.lines)[0]).toBe('pid_1');
  });

  test('for a person: "agent ready" and the address', async () => {
    await stage.publish();
    const agent = stage.run({}, { isTerminal: true });
    await stage.until('/v1/ready', isReady);
    expect(agent.lines.find((line) => line.startsWith('agent ready'))).toMatch(
      new RegExp(`^agent ready http://127.0.0.1:${stage.port} revision=[0-9]+ source=remote$`),
    );
  });
});

describe('ending', () => {
  test('F57: a request in progress is answered, a client that does not read is cut off, within 3 s', async () => {
    await stage.publish({ secrets: { BIG: 'x'.repeat(250_000) } });
    const agent = stage.run();
    await stage.until('/v1/ready', isReady);
    const token = await stage.token();
    const headers = { authorization: `Bearer ${token}` };
    const lazy = request({ host: '127.0.0.1', port: stage.port, path: '/v1/secrets', headers });
    lazy.on('error', () => undefined);
    lazy.end();
    await new Promise((resolve) => lazy.on('socket', (socket) => socket.on('connect', resolve)));
    const before = performance.now();
    agent.signal('SIGTERM');
    agent.signal('SIGTERM');
    expect(await agent.exit).toBe(0);
    expect(performance.now() - before).toBeLessThan(3_000);
  });

  test('INV-84: at its end no byte of a value that it made is left', async () => {
    await stage.publish({ secrets: { A: 'canary-at-the-end' } });
    const encoded = vi.spyOn(TextEncoder.prototype, 'encode');
    try {
      const agent = stage.run();
      await stage.until('/v1/ready', isReady);
      const held = () => encoded.mock.results.filter(({ value }) => Buffer.from(value).includes('canary'));
      expect(held().length).toBeGreaterThan(0);
      agent.signal('SIGTERM');
      expect(await agent.exit).toBe(0);
      expect(held()).toEqual([]);
    } finally {
      encoded.mockRestore();
    }
  });

  test('a KMS that does not answer does not hold it up', async () => {
    await stage.publish();
    const agent = stage.run(
      {},
      { openKms: () => ({ ...stage.kms, unwrap: () => new Promise(() => undefined) }) },
    );
    await stage.until('/v1/health', isReady);
    const before = performance.now();
    agent.signal('SIGTERM');
    expect(await agent.exit).toBe(0);
    expect(performance.now() - before).toBeLessThan(3_000);
  });
});

test('INV-78: a thousand wrong tokens make one line in the log, and the right one still works', async () => {
  await stage.publish();
  const agent = stage.run();
  await stage.until('/v1/ready', isReady);
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, () => stage.ask('/v1/secrets', { token: 'w'.repeat(54) })));
  }
  expect((await stage.ask('/v1/secrets')).status).toBe(200);
  expect(events(agent.lines).filter((event) => event.startsWith('request_refused')).length).toBe(1);
});
