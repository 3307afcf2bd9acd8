// The agent's requests per second as a part of those of a bare node:http server that checks the same token and sends the
// same bytes and headers. Both are driven by the same small client, in turns.
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChildHandle, runChild, startChild } from '@clef/host';
import { medianRatio } from './measure.ts';
import type { Scene } from './scene.ts';

const rounds = 5;
const secondsPerRound = '2';
const connections = '16';
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const tsx = file('../node_modules/tsx/dist/cli.mjs');
const token = 'b'.repeat(64);

export type AgentFigures = {
  readonly agentPerSecond: readonly number[];
  readonly barePerSecond: readonly number[];
  readonly ratio: number;
};

/** Packs the scene's cell for an age key, starts both servers and lets them answer in turns. */
export async function raceAgent(scene: Scene): Promise<AgentFigures> {
  const agent = await startAgent(scene);
  const bare = await startBare(scene, agent.port);
  try {
    const agentPerSecond: number[] = [];
    const barePerSecond: number[] = [];
    for (let round = -1; round < rounds; round += 1) {
      const [agentRate, bareRate] = [await load(agent.port), await load(bare.port)];
      if (round < 0) continue;
      agentPerSecond.push(agentRate);
      barePerSecond.push(bareRate);
    }
    return { agentPerSecond, barePerSecond, ratio: medianRatio(agentPerSecond, barePerSecond) };
  } finally {
    agent.child.kill('SIGTERM');
    bare.child.kill('SIGTERM');
    await Promise.all([agent.child.exited, bare.child.exited]);
  }
}

type Server = { readonly child: ChildHandle; readonly port: number };

async function startAgent(scene: Scene): Promise<Server> {
  const { folder, environment } = scene;
  const clef = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await runChild({
      command: process.execPath,
      args: [scene.clef, ...args],
      cwd: folder,
      environment,
      stdio: 'capture',
    });
    const decoder = new TextDecoder();
    if (exitCode !== 0) throw new Error(`clef ${args.join(' ')}: ${decoder.decode(stderr)}`);
    return decoder.decode(stdout);
  };
  const keyFile = environment['SOPS_AGE_KEY_FILE'] as string;
  const [, recipient = ''] = /(age1[a-z0-9]+)\.txt$/.exec(keyFile) ?? [];
  await clef('service', 'create', 'web', '--namespaces', 'database', '--seal', `development=${recipient}`);
  await clef('pack', 'web', 'development', '--to', 'web.json');
  const settings = (await clef('service', 'show', 'web', 'development', '--agent-env')).trim().split('\n');
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, `${token}\n`, { mode: 0o400 });
  const child = await startChild({
    command: process.execPath,
    args: [scene.clef, 'agent'],
    environment: {
      ...Object.fromEntries(
        settings.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      ),
      CLEF_AGENT_SOURCE: join(folder, 'web.json'),
      CLEF_AGENT_AGE_KEY_FILE: keyFile,
      CLEF_AGENT_TOKEN_FILE: tokenFile,
      CLEF_AGENT_STATE_DIR: join(folder, 'state'),
      CLEF_AGENT_LISTEN: `127.0.0.1:${await freePort()}`,
    },
  });
  const ready = await child.waitForLine(/"event":"ready"/, 20);
  return { child, port: Number(/127\.0\.0\.1:([0-9]+)/.exec(ready)?.[1]) };
}

async function startBare({ folder, environment }: Scene, agentPort: number): Promise<Server> {
  const answer = await fetchOnce(agentPort);
  const path = join(folder, 'answer.json');
  await writeFile(path, JSON.stringify(answer));
  const child = await startChild({
    command: process.execPath,
    args: [tsx, file('bare-server.ts'), token, path],
    environment,
  });
  const line = await child.waitForLine(/^listening /, 20);
  return { child, port: Number(line.split(' ')[1]) };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** One answer of the agent: what the bare server must send as well. */
function fetchOnce(
  port: number,
): Promise<{ readonly headers: Record<string, string>; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path: '/v1/secrets', headers: { authorization: `Bearer ${token}` } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const ownHeaders = ['date', 'connection', 'keep-alive', 'content-length', 'transfer-encoding'];
          const headers = Object.fromEntries(
            Object.entries(response.headers).filter(([name]) => !ownHeaders.includes(name)),
          ) as Record<string, string>;
          resolve({ headers, body: Buffer.concat(chunks).toString('utf8') });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
}

async function load(port: number): Promise<number> {
  const { exitCode, stdout, stderr } = await runChild({
    command: process.execPath,
    args: [tsx, file('load.ts'), String(port), token, connections, secondsPerRound],
    environment: {},
    stdio: 'capture',
  });
  if (exitCode !== 0)
    throw new Error(`The load generator failed: ${new TextDecoder().decode(stderr).slice(0, 400)}`);
  return Number(new TextDecoder().decode(stdout));
}
