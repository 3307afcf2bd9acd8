// A folder with an artifact sealed by real cryptography, keys for it, a KMS in memory, and agents that serve it: within
// the test, where world and KMS are the test's, or as a process of their own.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  createEd25519Signer,
  formatEnvelope,
  formatPayload,
  generateEd25519KeyPair,
  sealArtifact,
  signPayload,
} from '@clef/artifact';
import { type ChildHandle, startChild } from '@clef/host';
import { type Kms, KmsError, parseKeyReference } from '@clef/kms';
import { formatTimestamp } from '@clef/strict';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { type AgentWorld, runAgent } from '../src/index.ts';

export const repository = '5f0c6a3e-0000-4000-8000-000000000000';
export const kmsKeyText =
  'awskms:///arn:aws:kms:eu-west-1:111122223333:key/5f0c6a3e-0000-4000-8000-000000000001';

type KmsState = 'ok' | 'denied' | 'unavailable';

export type MemoryKms = Kms & { state: KmsState; unwraps: number };

/** A KMS that gives back what it was given, under the same key and context only. */
export function memoryKms(): MemoryKms {
  const held = new Map<string, { readonly plaintext: Uint8Array; readonly bound: string }>();
  const kms: MemoryKms = {
    state: 'ok',
    unwraps: 0,
    wrap: async (key, plaintext, context) => {
      const handle = randomBytes(16).toString('hex');
      held.set(handle, { plaintext: new Uint8Array(plaintext), bound: JSON.stringify([key.text, context]) });
      return new TextEncoder().encode(handle);
    },
    unwrap: async (key, wrapped, context) => {
      kms.unwraps++;
      if (kms.state !== 'ok') throw new KmsError(kms.state, 'as the test wants');
      const entry = held.get(new TextDecoder().decode(wrapped));
      if (entry === undefined || entry.bound !== JSON.stringify([key.text, context])) {
        throw new KmsError('denied', 'another key or context');
      }
      return new Uint8Array(entry.plaintext);
    },
  };
  return kms;
}

export type PackRequest = {
  readonly secrets?: Readonly<Record<string, string>>;
  readonly revision?: number;
  readonly identity?: string;
  readonly environment?: string;
  readonly repository?: string;
  readonly expiresInSeconds?: number;
  readonly packedAt?: number;
  readonly seal?: string;
  /** A revocation, for this reason. */
  readonly revoked?: string;
  readonly signer?: 'first' | 'second' | 'none';
  /** What wraps; by default the stage's own. */
  readonly kms?: Pick<Kms, 'wrap'>;
};

export type RunningAgent = {
  readonly lines: string[];
  readonly printed: string[];
  readonly exit: Promise<number>;
  signal(name: string): void;
};

export type Stage = {
  readonly folder: string;
  readonly port: number;
  readonly kms: MemoryKms;
  /** The recipient of the age key in `key.txt`. */
  readonly ageRecipient: string;
  readonly verifyKeys: readonly [string, string];
  readonly variables: Record<string, string>;
  pack(request?: PackRequest): Promise<Uint8Array>;
  /** Packs and puts it where the source is. */
  publish(request?: PackRequest): Promise<Uint8Array>;
  run(
    changes?: Record<string, string | undefined>,
    world?: Partial<AgentWorld>,
    argv?: readonly string[],
  ): RunningAgent;
  spawn(
    changes?: Record<string, string | undefined>,
    argv?: readonly string[],
    nodeOptions?: readonly string[],
  ): Promise<ChildHandle>;
  token(): Promise<string>;
  ask(path: string, options?: { readonly token?: string; readonly port?: number }): Promise<Answer>;
  /** Asks until the answer is as wanted. */
  until(path: string, isWanted: (answer: Answer) => boolean): Promise<Answer>;
  close(): Promise<void>;
};

export type Answer = {
  readonly status: number;
  readonly text: string;
  readonly headers: Record<string, unknown>;
};

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Sets the stage. Everything it started ends with `close`. */
export async function setStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'clef-agent-'));
  const port = await freePort();
  const pairs = [generateEd25519KeyPair(), generateEd25519KeyPair()] as const;
  const kms = memoryKms();
  const ends: (() => Promise<unknown>)[] = [];
  const identity = await generateIdentity();
  await writeFile(join(folder, 'key.txt'), `# made for a test\n${identity}\n`, { mode: 0o600 });
  const ageRecipient = await identityToRecipient(identity);
  const variables = {
    CLEF_AGENT_SOURCE: join(folder, 'artifact.json'),
    CLEF_AGENT_REPOSITORY: repository,
    CLEF_AGENT_IDENTITY: 'api-gateway',
    CLEF_AGENT_ENVIRONMENT: 'production',
    CLEF_AGENT_KMS_KEY: kmsKeyText,
    CLEF_AGENT_VERIFY_KEYS: pairs[0].verifyKey,
    CLEF_AGENT_LISTEN: `127.0.0.1:${port}`,
    CLEF_AGENT_TOKEN_FILE: join(folder, 'token'),
    CLEF_AGENT_STATE_DIR: join(folder, 'state'),
    CLEF_AGENT_POLL: '1s',
  };

  const pack = async (wanted: PackRequest = {}): Promise<Uint8Array> => {
    const packedAt = wanted.packedAt ?? Date.now();
    const signer = { first: pairs[0], second: pairs[1], none: undefined }[wanted.signer ?? 'first'];
    const header = {
      version: 1,
      repository: wanted.repository ?? repository,
      identity: wanted.identity ?? 'api-gateway',
      environment: wanted.environment ?? 'production',
      revision: wanted.revision ?? packedAt,
      packedAt: formatTimestamp(packedAt),
      expiresAt: formatTimestamp(packedAt + (wanted.expiresInSeconds ?? 3_600) * 1_000),
    } as const;
    const signing = signer === undefined ? undefined : createEd25519Signer(signer.privateKeyPem);
    if (wanted.revoked !== undefined) {
      const payload = formatPayload({ header, revoked: { reason: wanted.revoked } });
      return formatEnvelope({
        payload,
        signatures: signing === undefined ? [] : [await signPayload(payload, signing)],
      });
    }
    return sealArtifact({
      header,
      secrets: new Map(Object.entries(wanted.secrets ?? { DB_URL: 'postgres://canary-value' })),
      sealingKey: parseKeyReference(wanted.seal ?? kmsKeyText),
      kms: wanted.kms ?? kms,
      ...(signing === undefined ? {} : { signer: signing }),
    });
  };

  const token = async (): Promise<string> =>
    (await readFile(join(folder, 'token'), 'utf8')).split('\n')[0] as string;
  const ask: Stage['ask'] = async (path, options = {}) =>
    get(options.port ?? port, path, options.token ?? (await token().catch(() => '')));

  return {
    folder,
    port,
    kms,
    ageRecipient,
    verifyKeys: [pairs[0].verifyKey, pairs[1].verifyKey],
    variables,
    pack,
    publish: async (wanted) => {
      const bytes = await pack(wanted);
      await writeFile(join(folder, 'artifact.json'), bytes);
      return bytes;
    },
    run: (changes = {}, world = {}, argv = []) => {
      const agent = runInside({ ...variables, ...changes }, kms, world, argv);
      ends.push(async () => {
        agent.signal('SIGTERM');
        await agent.exit;
      });
      return agent;
    },
    spawn: async (changes = {}, argv = [], nodeOptions = []) => {
      const command = fileURLToPath(new URL('../bin/clef-agent.js', import.meta.url));
      const environment = { PATH: process.env['PATH'], ...variables, ...changes };
      const child = await startChild({
        command: process.execPath,
        args: [...nodeOptions, command, ...argv],
        environment,
      });
      ends.push(async () => {
        child.kill('SIGKILL');
        await child.exited;
      });
      return child;
    },
    token,
    ask,
    until: async (path, isWanted) => {
      for (let tries = 0; ; tries++) {
        const answer = await ask(path).catch((error: Error) => ({
          status: 0,
          text: error.message,
          headers: {},
        }));
        if (isWanted(answer)) return answer;
        if (tries === 200) throw new Error(`gave up; the last answer was ${answer.status} ${answer.text}`);
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    },
    close: async () => {
      for (const end of ends) await end();
      // An agent in a hurry may end while it still writes its state.
      await rm(folder, { recursive: true, maxRetries: 5 });
    },
  };
}

/** How much faster the durations of an agent within the test pass. */
const haste = 20;

/** Options of Node with which the durations of an agent in a process of its own pass as fast. */
export function hurry({ folder }: Pick<Stage, 'folder'>): readonly string[] {
  const file = join(folder, 'hurry.cjs');
  const clock = `const os = require('node:os'); const { uptime } = os; os.uptime = () => uptime() * ${haste};`;
  const timers = `const wait = setTimeout; globalThis.setTimeout = (task, delay, ...more) => wait(task, delay / ${haste}, ...more);`;
  writeFileSync(file, `${clock}\n${timers}\n`);
  return ['--require', file];
}

function runInside(
  environment: Record<string, string | undefined>,
  kms: Kms,
  changes: Partial<AgentWorld>,
  argv: readonly string[],
): RunningAgent {
  const lines: string[] = [];
  const printed: string[] = [];
  const signals = new Map<string, () => void>();
  const world: AgentWorld = {
    environment,
    nodeOptions: [],
    platform: process.platform,
    processId: 4_711,
    userId: process.getuid?.(),
    isTerminal: false,
    now: Date.now,
    elapsed: () => performance.now() * haste,
    instant: () => performance.now() * haste,
    after: (delay, task) => {
      const timer = setTimeout(task, delay / haste);
      return () => clearTimeout(timer);
    },
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    collectGarbage: () => undefined,
    openKms: () => kms,
    print: (text) => void printed.push(text),
    talk: (text) => void lines.push(text.trimEnd()),
    limits: async () => '',
    onSignal: (name, task) => {
      signals.set(name, task);
      return () => void signals.delete(name);
    },
    ...changes,
  };
  const exit = runAgent(argv, world);
  return { lines, printed, exit, signal: (name) => signals.get(name)?.() };
}

export function get(port: number, path: string, token: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
    request({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers });
      });
    })
      .on('error', reject)
      .end();
  });
}
