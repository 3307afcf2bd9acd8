// No plaintext on disk (INV-18): every system call that puts bytes into a descriptor or names a file is watched while
// clef works, and afterwards everything that is on the disk is searched, git's objects too.
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { inflateSync } from 'node:zlib';
import { startChild } from '@clef/host';
import { describe, expect, it } from 'vitest';
import { clefPath, type Sandbox, sandbox, succeed } from '../packages/cli/test/run-clef.ts';
import { hasPeer, runPeer } from './peers.ts';

const cell = 'database/development';
const canary = 'CANARY-7f3a9c-plaintext';
const calls =
  'execve,openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mmap,copy_file_range,sendfile,splice,close,dup,dup2,dup3,fcntl,pipe2,socketpair';

type Write = { readonly target: string; readonly line: string };

/** Runs clef under strace; returns what was written and where to, and what clef printed. */
async function watched(box: Sandbox, args: readonly string[], input?: string) {
  const log = join(box.home, 'strace.log');
  const { exitCode, stdout, stderr } = await runPeer(
    'strace',
    ['-f', '-y', '-s', '1000000', '-e', `trace=${calls}`, '-o', log, process.execPath, clefPath, ...args],
    { cwd: box.folder, environment: box.environment, ...(input !== undefined && { input }) },
  );
  const lines = readFileSync(log, 'utf8').split('\n');
  return { exitCode, stdout, stderr, lines, writes: lines.flatMap(writeOf) };
}

/** `-y` shows what a descriptor is: a path, or pipe:[…], socket:[…], anon_inode:[…]. */
function writeOf(line: string): readonly Write[] {
  const match = /^\d+ +(?:write|pwrite64|writev|pwritev2?|sendto|sendmsg)\(\d+<([^>]*)>/.exec(line);
  return match === null ? [] : [{ target: match[1] ?? '', line }];
}

const isFile = ({ target }: Write): boolean => target.startsWith('/');

/** The pieces of the canary in any order of bytes that a careless writer would use. */
const traces = [
  canary,
  Buffer.from(canary).toString('base64').slice(0, 20),
  Buffer.from(canary).toString('hex'),
];
const holds = (text: string): boolean => traces.some((trace) => text.includes(trace));

/** Everything on the disk below a folder, with git's objects inflated. */
function everythingBelow(folder: string): readonly { readonly path: string; readonly text: string }[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
    const path = join(folder, name);
    if (!lstatSync(path).isFile() || name.endsWith('strace.log')) return [];
    const bytes = readFileSync(path);
    const isObject = /\.git\/objects\/[0-9a-f]{2}\//.test(path);
    return [{ path, text: (isObject ? inflateSync(bytes) : bytes).toString('latin1') }];
  });
}

describe.runIf(hasPeer('strace'))('INV-18: under strace', () => {
  it('set from a pipe, get, exec, export and delete: files get ciphertext alone', async () => {
    const box = sandbox();
    await succeed(box.shell('git init --quiet .'));
    await succeed(box.clef(['init']));

    const set = await watched(box, ['set', cell, 'SECRET'], canary);
    expect(set.exitCode).toBe(0);
    const toFiles = set.writes.filter(isFile).map(({ line }) => line);
    // The watch itself works: the ciphertext is seen on its way into the file.
    expect(toFiles.some((line) => line.includes('SECRET: ENC[AES256_GCM'))).toBe(true);
    expect(toFiles.filter(holds)).toEqual([]);
    expect(
      set.lines.filter(holds).filter((line) => /^\d+ +(?:open|creat|rename|link|symlink)/.test(line)),
    ).toEqual([]);

    const get = await watched(box, ['get', cell, 'SECRET']);
    expect(get.stdout).toBe(canary);
    // … and the canary is recognised where it must be: in the pipe to us.
    expect(
      get.writes.filter(({ line }) => holds(line)).map(({ target }) => target.replace(/\d+/, 'N')),
    ).toEqual([expect.stringMatching(/^(pipe|socket):\[N\]$/)]);

    const exec = await watched(box, [
      'exec',
      cell,
      '--',
      process.execPath,
      '-e',
      'process.exitCode = process.env.SECRET.length',
    ]);
    expect(exec.exitCode).toBe(canary.length);
    expect(
      exec.writes
        .filter(isFile)
        .map(({ line }) => line)
        .filter(holds),
    ).toEqual([]);

    for (const format of ['dotenv', 'sh', 'json']) {
      const exported = await watched(box, ['export', cell, '--format', format]);
      expect(exported.stdout).toContain(canary);
      expect(
        exported.writes
          .filter(isFile)
          .map(({ line }) => line)
          .filter(holds),
      ).toEqual([]);
    }
    await succeed(
      box.shell(
        'git add --all && git -c user.name=A -c user.email=a@example.test commit --quiet --message all',
      ),
    );
    expect(
      everythingBelow(join(box.folder, '..'))
        .filter(({ text }) => holds(text))
        .map(({ path }) => path),
    ).toEqual([]);
  });

  it('import, copy, rotate, recipients, sync and renames: neither in a file, nor in the name of one, nor in an argument', async () => {
    const box = sandbox();
    await succeed(box.shell('git init --quiet .'));
    await succeed(box.clef(['init']));
    const other = 'age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj';
    const steps: readonly (readonly [args: readonly string[], input?: string])[] = [
      [['import', cell, '-', '--format', 'dotenv'], `SECRET='${canary}'\n`],
      [['copy', cell, 'payments/development']],
      [['recipients', 'add', 'bob', other, '--environments', 'development']],
      [['rotate', '--all', '--yes']],
      [['recipients', 'remove', 'bob', '--yes']],
      [['sync', '--yes']],
      [['namespace', 'rename', 'payments', 'billing', '--yes']],
      [['environment', 'rename', 'development', 'dev', '--yes']],
    ];
    for (const [args, input] of steps) {
      const ran = await watched(box, args, input);
      expect([args[0], ran.exitCode, ran.stderr]).toEqual([args[0], 0, expect.not.stringContaining(canary)]);
      // The watch itself works: arguments are seen.
      expect(ran.lines.some((line) => /^\d+ +execve\(.*clef\.js/.test(line))).toBe(true);
      expect(ran.writes.filter(isFile).filter(({ line }) => holds(line))).toEqual([]);
      expect(
        ran.lines.filter(holds).filter((line) => /^\d+ +(?:exec|open|creat|rename|link|symlink)/.test(line)),
      ).toEqual([]);
      await succeed(
        box.shell(
          'git add --all && git -c user.name=A -c user.email=a@b.test commit --quiet --allow-empty -m all',
        ),
      );
    }
    // It went through all of them, and nothing but Clef can read it.
    expect((await succeed(box.clef(['get', 'billing/dev', 'SECRET']))).stdout).toBe(canary);
    const everything = everythingBelow(join(box.folder, '..'));
    expect(everything.length).toBeGreaterThan(50);
    expect(everything.filter(({ text }) => holds(text)).map(({ path }) => path)).toEqual([]);
  });

  it('pack: the artifact on its way to the disk is ciphertext', async () => {
    const box = sandbox();
    await succeed(box.clef(['init']));
    await succeed(box.clef(['set', cell, 'SECRET'], { input: canary }));
    const { stdout } = await succeed(sandbox().clef(['init', '--json']));
    const { recipient } = JSON.parse(stdout) as { recipient: string };
    await succeed(
      box.clef([
        'service',
        'create',
        'api',
        '--namespaces',
        'database',
        '--seal',
        `development=${recipient}`,
      ]),
    );
    const pack = await watched(box, ['pack', 'api', 'development', '--to', 'api.json']);
    expect(pack.exitCode).toBe(0);
    // The code cache holds the program's own words, AGE-SECRET-KEY- among them.
    const toFiles = pack.writes
      .filter(isFile)
      .map(({ line }) => line)
      .filter((line) => !line.includes('/dist/.new-'));
    expect(toFiles.some((line) => line.includes('application/vnd.clef.artifact'))).toBe(true);
    expect(toFiles.filter((line) => holds(line) || line.includes('AGE-SECRET-KEY-'))).toEqual([]);
    expect(
      everythingBelow(box.folder)
        .filter(({ text }) => holds(text))
        .map(({ path }) => path),
    ).toEqual([]);
  });

  it('agent: what it opens and serves reaches sockets alone', async () => {
    const box = sandbox();
    await succeed(box.clef(['init']));
    await succeed(box.clef(['set', cell, 'SECRET'], { input: canary }));
    // An artifact for a workload without KMS: the agent's own age key opens it.
    const workload = sandbox();
    const { recipient } = JSON.parse((await succeed(workload.clef(['init', '--json']))).stdout) as {
      recipient: string;
    };
    const seal = `development=${recipient}`;
    await succeed(box.clef(['service', 'create', 'api', '--namespaces', 'database', '--seal', seal]));
    await succeed(box.clef(['pack', 'api', 'development', '--to', 'api.json']));
    const shown = await succeed(box.clef(['service', 'show', 'api', 'development', '--agent-env']));
    const log = join(box.home, 'strace.log');
    const tokenFile = join(box.home, 'token');
    const agent = await startChild({
      command: 'strace',
      args: [
        '-f',
        '-y',
        '-s',
        '1000000',
        '-e',
        `trace=${calls}`,
        '-o',
        log,
        process.execPath,
        clefPath,
        'agent',
      ],
      environment: {
        PATH: process.env['PATH'],
        ...Object.fromEntries(
          shown.stdout
            .trim()
            .split('\n')
            .map((line) => line.split(/=(.*)/s).slice(0, 2)),
        ),
        CLEF_AGENT_SOURCE: join(box.folder, 'api.json'),
        CLEF_AGENT_AGE_KEY_FILE: join(workload.home, '.config/clef/keys', `${recipient}.txt`),
        CLEF_AGENT_TOKEN_FILE: tokenFile,
        CLEF_AGENT_STATE_DIR: join(box.home, 'state'),
        CLEF_AGENT_LISTEN: `unix:${join(box.home, 'agent.sock')}`,
      },
    });
    await agent.waitForLine(/"event":"ready"/, 60);
    const served = await askSocket(join(box.home, 'agent.sock'), readFileSync(tokenFile, 'utf8').trim());
    const [traced = ''] = readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8').split(' ');
    process.kill(Number(traced), 'SIGTERM');
    await agent.exited;
    const writes = readFileSync(log, 'utf8').split('\n').flatMap(writeOf);
    expect(JSON.parse(served)).toEqual({ SECRET: canary });
    // The watch itself works: the value is seen on its way into the socket.
    expect(writes.filter(({ line }) => holds(line)).every((write) => !isFile(write))).toBe(true);
    expect(writes.some(({ line }) => holds(line))).toBe(true);
    expect(everythingBelow(box.home).filter(({ text }) => holds(text))).toEqual([]);
  });
});

/** One request for all secrets over a Unix socket; the body. */
function askSocket(socketPath: string, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, host: 'localhost' };
    get({ socketPath, path: '/v1/secrets', headers }, (response) => {
      text(response).then(resolve, reject);
    }).on('error', reject);
  });
}
