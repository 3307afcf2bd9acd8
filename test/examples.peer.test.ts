// The files of examples/ against a real agent, each in its language. A language that is not on the machine is listed;
// in CI those that Debian gives cheaply have to be there.

import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stage, setStage } from '../packages/agent/test/stage.ts';
import { repositoryRoot } from './import-graph.ts';
import { findPeer, hasPeer, type Peer, type PeerRun, runPeer } from './peers.ts';

const nasty = 'it\'s "CANARY" \\ $HOME `x`\n\t<ü> \u{1F511} \u2028 \u0001end ';
const secrets = { DB_URL: nasty, B: 'b', constructor: 'c' };

type Language = {
  /** What runs the example, or compiles it. */
  readonly program: Peer;
  /** With a compiler: its arguments, and what it makes. */
  readonly compile?: { readonly args: readonly string[]; readonly makes: string };
  /** Arguments before the key; after a compiler, the whole command. */
  readonly run: readonly string[];
  readonly isRequired: boolean;
};

const at = (path: string): string => join(repositoryRoot, 'examples', path);

/** CI installs those that are required (.ci/run); the others are tried where they happen to be. */
const languages: Readonly<Record<string, Language>> = {
  shell: { program: 'dash', run: [at('shell/secrets.sh')], isRequired: true },
  python: { program: 'python3', run: [at('python/secrets_from_clef.py')], isRequired: true },
  ruby: { program: 'ruby', run: [at('ruby/secrets.rb')], isRequired: true },
  java: {
    program: 'javac',
    compile: { args: ['-d', '.', at('java/Secrets.java')], makes: 'Secrets.class' },
    run: ['java', '-cp', '.', 'Secrets'],
    isRequired: false,
  },
  go: { program: 'go', run: ['run', at('go/main.go')], isRequired: false },
  rust: {
    program: 'rustc',
    compile: { args: ['--edition=2021', '-o', 'rust-example', at('rust/main.rs')], makes: 'rust-example' },
    run: ['./rust-example'],
    isRequired: false,
  },
  node: { program: 'node', run: ['node-example.mjs'], isRequired: true },
};

let stage: Stage;
/** Another server, which gives whoever asks what he wants. */
const elsewhere = { port: 0, asked: [] as string[], server: createServer() };
let environment: Record<string, string | undefined>;

beforeAll(async () => {
  stage = await setStage();
  await stage.publish({ secrets });
  stage.run();
  await stage.until('/v1/ready', ({ status }) => status === 200);
  environment = {
    CLEF_AGENT_URL: `http://127.0.0.1:${stage.port}`,
    CLEF_AGENT_TOKEN_FILE: join(stage.folder, 'token'),
    HOME: process.env['HOME'],
    GOCACHE: join(stage.folder, 'go-cache'),
    // None of them may ask it.
    http_proxy: 'http://127.0.0.1:1',
    HTTP_PROXY: 'http://127.0.0.1:1',
  };
  const outfile = join(stage.folder, 'node-example.mjs');
  const entryPoints = [at('node/secrets.mjs')];
  await build({
    entryPoints,
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['clef-source'],
    outfile,
  });
});
beforeAll(async () => {
  elsewhere.server.on('request', ({ url = '' }, response) => {
    elsewhere.asked.push(url);
    response.end('{"value":"x"}');
  });
  await once(elsewhere.server.listen(0, 'localhost'), 'listening');
  ({ port: elsewhere.port } = elsewhere.server.address() as { port: number });
});
afterAll(() => elsewhere.server.close());
afterAll(() => stage?.close());

it('every folder of examples/ is a language that is tried here', () => {
  const folders = readdirSync(at(''), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map(({ name }) => name).sort()).toEqual(Object.keys(languages).sort());
});

const ran = Object.keys(languages).filter((name) => isHere(name, languages[name] as Language));
const absent = Object.keys(languages).filter((name) => !ran.includes(name));
const said = `Examples run here: ${ran.join(', ')}. Not on this machine: ${absent.join(', ') || 'none'}.\n`;
process.stderr.write(said);
if (process.env['GITHUB_STEP_SUMMARY']) appendFileSync(process.env['GITHUB_STEP_SUMMARY'], said);

function isHere(name: string, { program, isRequired }: Language): boolean {
  if (name === 'shell') return [hasPeer('curl'), hasPeer('jq'), hasPeer(program)].every(Boolean);
  return isRequired ? hasPeer(program) : findPeer(program) !== undefined;
}

describe.each(ran)('%s', (name) => {
  const { program, compile, run } = languages[name] as Language;
  const start = async (...args: readonly string[]): Promise<PeerRun> => {
    const options = { cwd: stage.folder, environment };
    if (compile === undefined) return runPeer(program, [...run, ...args], options);
    if (!existsSync(join(stage.folder, compile.makes)))
      expect(await runPeer(program, compile.args, options)).toMatchObject({ exitCode: 0 });
    return runPeer('env', [...run, ...args], options);
  };

  it('gives one value byte for byte, and all names', async () => {
    expect(await start('DB_URL')).toEqual({ exitCode: 0, stdout: nasty, stderr: '' });
    expect(await start()).toEqual({ exitCode: 0, stdout: 'B\nDB_URL\nconstructor\n', stderr: '' });
  });

  it('INV-69: fails where the agent refuses, and sends the token to no other host', async () => {
    expect((await start('NO_SUCH_KEY')).exitCode).not.toBe(0);
    elsewhere.asked.length = 0;
    const before = environment;
    for (const host of ['localhost', '127.0.0.1:1@localhost', '127.0.0.1.localhost']) {
      environment = { ...before, CLEF_AGENT_URL: `http://${host}:${elsewhere.port}` };
      const refused = await start('DB_URL').finally(() => {
        environment = before;
      });
      expect(refused).toMatchObject({ stdout: '' });
      expect(refused.exitCode).not.toBe(0);
    }
    expect(elsewhere.asked).toEqual([]);
  });
});
