// The agent against its budgets: requests per second and latency beside a bare node:http server that checks the same token
// and sends the same bytes and headers, in turns; its start beside bare node; its memory; and honest clients among slow ones.
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild, startChild } from '@clef/host';
import { processorMilliseconds, residentMegabytes, type Server, stageAgent, token } from './agent-process.ts';
import { median, medianOver, medianRatio } from './measure.ts';
import type { Scene } from './scene.ts';

const rounds = 9;
const starts = 5;
/** Requests. */
const warmUp = '100000';
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const tsx = file('../node_modules/tsx/dist/cli.mjs');
/** For a process that is measured: without one of tsx in front of it. */
const tsxLoader = file('../node_modules/tsx/dist/loader.mjs');

type Load = {
  readonly answers: number;
  readonly perSecond: number;
  /** Microseconds that the server spent on the processor for each request. */
  readonly processorMicroseconds: number;
  readonly p50: number;
  readonly p99: number;
  readonly failures: number;
};

export type AgentFigures = {
  readonly agent: readonly Load[];
  readonly bare: readonly Load[];
  readonly ratio: number;
  /** The same by the time that both spent on the processor, which other load moves less. */
  readonly processorRatio: number;
  readonly p99Ratio: number;
  /** Beyond bare node, until it is ready: time that passed, and time on the processor. */
  readonly startMilliseconds: number;
  readonly startProcessorMilliseconds: number;
  readonly rssAtStart: number;
  readonly rssAfterLoad: number;
  readonly rssGrowth: number;
  readonly answersAfterWarmUp: number;
  /** The 99th percentile of honest clients, on connections they keep and on new ones, in the best of three windows. */
  readonly honestP99: number;
  readonly honestFailures: number;
};

export async function raceAgent(scene: Scene): Promise<AgentFigures> {
  const stage = await stageAgent(scene);
  try {
    const start = await measureStarts(() => stage.start(), scene);
    const agent = await stage.start();
    const bare = await startBare(scene, agent.port);
    try {
      const rates = await raceLoad(agent, bare);
      return { ...start, ...rates, ...(await measureMemory(agent)), ...(await measureAmongSlow(agent)) };
    } finally {
      await Promise.all([agent, bare].map(({ child }) => end({ child })));
    }
  } finally {
    await stage.close();
  }
}

async function end({ child }: Pick<Server, 'child'>): Promise<void> {
  child.kill('SIGTERM');
  await child.exited;
}

async function measureStarts(startAgent: () => Promise<Server>, { environment }: Scene) {
  const [passed, spent, bare, bareSpent]: number[][] = [[], [], [], []];
  for (let round = -1; round < starts; round += 1) {
    const before = performance.now();
    const idle = await startChild({
      command: process.execPath,
      args: ['-e', 'process.stdout.write("up\\n"); setInterval(() => {}, 1000)'],
      environment,
    });
    await idle.waitForLine(/^up$/, 20);
    const between = performance.now();
    const idleSpent = processorMilliseconds(idle.pid);
    await end({ child: idle });
    const again = performance.now();
    const agent = await startAgent();
    const ready = performance.now() - again;
    if (round >= 0) {
      bare?.push(between - before);
      bareSpent?.push(idleSpent);
      passed?.push(ready);
      spent?.push(processorMilliseconds(agent.child.pid));
    }
    await end(agent);
  }
  return {
    startMilliseconds: medianOver(passed ?? [], bare ?? []),
    startProcessorMilliseconds: medianOver(spent ?? [], bareSpent ?? []),
  };
}

async function raceLoad(agent: Server, bare: Server) {
  const [ofAgent, ofBare]: [Load[], Load[]] = [[], []];
  // Not by the clock: on a busy machine a second is over before either is compiled.
  for (const each of [agent, bare]) await load(each, 16, warmUp);
  for (let round = 0; round < rounds; round += 1) {
    // Who goes first changes, so that neither always has the quieter machine.
    const first = round % 2 === 0 ? agent : bare;
    const one = await load(first, 16, '1s');
    const other = await load(first === agent ? bare : agent, 16, '1s');
    ofAgent.push(first === agent ? one : other);
    ofBare.push(first === agent ? other : one);
  }
  const of = (loads: readonly Load[], what: 'perSecond' | 'p99' | 'processorMicroseconds'): number[] =>
    loads.map((each) => each[what]);
  return {
    agent: ofAgent,
    bare: ofBare,
    ratio: medianRatio(of(ofAgent, 'perSecond'), of(ofBare, 'perSecond')),
    processorRatio: medianRatio(of(ofBare, 'processorMicroseconds'), of(ofAgent, 'processorMicroseconds')),
    p99Ratio: medianRatio(of(ofAgent, 'p99'), of(ofBare, 'p99')),
  };
}

async function measureMemory(agent: Server) {
  const { pid } = agent.child;
  await load(agent, 16, warmUp);
  const before = residentMegabytes(pid);
  // A few more than are wanted: the last answer of each connection is shorter by a header, and not counted.
  const { answers } = await load(agent, 16, '1005000');
  const rssAfterLoad = residentMegabytes(pid);
  return {
    rssAtStart: before,
    rssAfterLoad,
    rssGrowth: rssAfterLoad - before,
    answersAfterWarmUp: answers,
  };
}

async function measureAmongSlow(agent: Server) {
  const slow = await startChild({
    command: process.execPath,
    args: [tsx, file('slow-clients.ts'), String(agent.port), '5000'],
    environment: {},
  });
  try {
    await slow.waitForLine(/^open$/, 60);
    const windows: { p99: number; failures: number }[] = [];
    for (let window = 0; window < 3; window += 1) {
      const [kept, fresh] = await Promise.all([load(agent, 2, '1s', 'keep'), load(agent, 2, '1s', 'fresh')]);
      windows.push({ p99: Math.max(kept.p99, fresh.p99), failures: kept.failures + fresh.failures });
    }
    return {
      honestP99: Math.min(...windows.map(({ p99 }) => p99)),
      honestFailures: median(windows.map(({ failures }) => failures)),
    };
  } finally {
    slow.kill('SIGTERM');
    await slow.exited;
  }
}

async function startBare({ folder, environment }: Scene, agentPort: number): Promise<Server> {
  const answer = await fetchOnce(agentPort);
  const path = join(folder, 'answer.json');
  await writeFile(path, JSON.stringify(answer));
  const child = await startChild({
    command: process.execPath,
    args: ['--import', tsxLoader, file('bare-server.ts'), token, path],
    environment,
  });
  const line = await child.waitForLine(/^listening /, 20);
  return { child, port: Number(line.split(' ')[1]) };
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

async function load(
  { port, child }: Server,
  connections: number,
  limit: string,
  kind: 'keep' | 'fresh' = 'keep',
): Promise<Load> {
  const before = processorMilliseconds(child.pid);
  const { exitCode, stdout, stderr } = await runChild({
    command: process.execPath,
    args: [tsx, file('load.ts'), String(port), token, String(connections), limit, kind],
    environment: {},
    stdio: 'capture',
  });
  if (exitCode !== 0)
    throw new Error(`The load generator failed: ${new TextDecoder().decode(stderr).slice(0, 400)}`);
  const figures = JSON.parse(new TextDecoder().decode(stdout)) as Omit<Load, 'processorMicroseconds'>;
  const spent = processorMilliseconds(child.pid) - before;
  return { ...figures, processorMicroseconds: (spent * 1_000) / figures.answers };
}
