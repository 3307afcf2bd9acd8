// The agent as a process for the benchmarks: the artifact of the scene behind an AWS KMS on this machine, and what the
// kernel says of the process.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Emulator, emulatorVariables, startEmulator } from '@clef/emulator';
import { type ChildHandle, runChild, startChild } from '@clef/host';
import type { Scene } from './scene.ts';

const agent = fileURLToPath(new URL('../packages/agent/bin/clef-agent.js', import.meta.url));

export const token = 'b'.repeat(64);

export type Server = { readonly child: ChildHandle; readonly port: number };

export type AgentStage = {
  /** Starts an agent and waits until it serves. */
  start(): Promise<Server>;
  close(): Promise<void>;
};

/** Packs the scene's cell for a service identity whose artifacts are sealed by an emulated KMS. */
export async function stageAgent(scene: Scene, flags: readonly string[] = []): Promise<AgentStage> {
  const { folder } = scene;
  const emulator = await startEmulator({
    now: Date.now,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
  });
  const settings = await packWith(scene, emulator);
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, `${token}\n`, { mode: 0o400 });
  const { port } = await freePort();
  return {
    start: async () => {
      const child = await startChild({
        command: process.execPath,
        args: [...flags, agent],
        environment: {
          ...settings,
          ...emulatorVariables(emulator),
          CLEF_AGENT_SOURCE: join(folder, 'web.json'),
          CLEF_AGENT_TOKEN_FILE: tokenFile,
          CLEF_AGENT_STATE_DIR: join(folder, 'state'),
          CLEF_AGENT_LISTEN: `127.0.0.1:${port}`,
        },
      });
      await child.waitForLine(/"event":"ready"/, 30);
      return { child, port };
    },
    close: () => emulator.stop(),
  };
}

async function packWith(scene: Scene, emulator: Emulator): Promise<Record<string, string>> {
  const clef = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await runChild({
      command: process.execPath,
      args: [scene.clef, ...args],
      cwd: scene.folder,
      environment: { ...scene.environment, ...emulatorVariables(emulator) },
      stdio: 'capture',
    });
    const decoder = new TextDecoder();
    if (exitCode !== 0) throw new Error(`clef ${args.join(' ')}: ${decoder.decode(stderr)}`);
    return decoder.decode(stdout);
  };
  await clef(
    'service',
    'create',
    'web',
    '--namespaces',
    'database',
    '--seal',
    `development=${emulator.awsKey.reference}`,
  );
  await clef('pack', 'web', 'development', '--to', 'web.json');
  const lines = (await clef('service', 'show', 'web', 'development', '--agent-env')).trim().split('\n');
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

function freePort(): Promise<{ readonly port: number }> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve({ port }));
    });
  });
}

/** Megabytes of memory that the kernel holds for a process. Linux. */
export function residentMegabytes(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+([0-9]+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kilobytes) / 1024;
}

/** Milliseconds that a process has spent on the processor, all its threads together. Linux, in steps of 10. */
export function processorMilliseconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
