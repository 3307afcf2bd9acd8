// The main job, end to end, with the installed command and real processes: a secret goes from a developer's `clef set`
// through git and CI to a program in production, and nobody stores a credential. Then everything that must not happen.
import { createHash } from 'node:crypto';
import { readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type ArtifactHeader,
  artifactContext,
  createEd25519Signer,
  formatEnvelope,
  formatPayload,
  generateEd25519KeyPair,
  parseArtifact,
  payloadType,
  type SealedPayload,
  sealArtifact,
  signPayload,
} from '@clef/artifact';
import type { InstanceKind } from '@clef/emulator';
import { openKms, parseKeyReference } from '@clef/kms';
import { formatTimestamp } from '@clef/strict';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  type Agent,
  administrator,
  bare,
  type CloudName,
  clef,
  clefKilledAfter,
  deploy,
  type Environment,
  eventually,
  git,
  installClient,
  pause,
  productionUrl,
  type Ran,
  run,
  type Scene,
  setScenes,
} from './scene.ts';

// Most of the time of most of the tests is an agent's, waiting to look at its source again.
vi.setConfig({ maxConcurrency: 6, testTimeout: 60_000 });

const root = fileURLToPath(new URL('..', import.meta.url));
const DB_URL = productionUrl;

let aws: Scene;
let gcp: Scene;
beforeAll(async () => {
  ({ aws, gcp } = await setScenes());
});
afterAll(() => Promise.all([aws, gcp].map((scene) => scene?.close())));

const sceneOf = (cloud: CloudName): Scene => ({ aws, gcp })[cloud];

type Machine = readonly [kind: InstanceKind, cloud: CloudName];
const machines: readonly Machine[] = [
  ['ec2', 'aws'],
  ['ecs', 'aws'],
  ['gce', 'gcp'],
];

/** The operation that opens something, as the emulator counts it. */
const decrypt = { aws: 'aws.Decrypt', gcp: 'gcp.decrypt' } as const;

/** An artifact in a file of its own, and an agent on a machine of a new role that may open it, ready. */
async function serving(
  scene: Scene,
  role: string,
  options: {
    readonly artifact?: Uint8Array;
    readonly kind?: InstanceKind;
    readonly variables?: Environment;
  } = {},
): Promise<Agent> {
  const agent = await startOn(scene, await scene.roleFor('api-gateway', role), options);
  await agent.child.waitForLine(/"event":"ready"/, 30);
  return agent;
}

async function startOn(
  scene: Scene,
  role: string,
  options: { artifact?: Uint8Array; kind?: InstanceKind; variables?: Environment; folder?: string } = {},
): Promise<Agent> {
  const folder = options.folder ?? (await scene.newFolder());
  const source = join(folder, 'artifact.json');
  const artifact = options.artifact ?? (await scene.pack('api-gateway'));
  if (options.folder === undefined) await deploy(source, artifact);
  const machine = await scene.machine(role, options.kind);
  return scene.startAgent({ source, folder, variables: { ...machine, ...options.variables } });
}

/** Every file below a folder. */
async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

function sealedPayload(artifact: Uint8Array): SealedPayload {
  const { payload } = parseArtifact(artifact);
  if ('revoked' in payload) throw new Error('a revocation');
  return payload;
}

/** What whoever holds the signing key could make of a payload. */
async function signed(scene: Scene, payload: SealedPayload): Promise<Uint8Array> {
  const bytes = formatPayload(payload);
  return formatEnvelope({ payload: bytes, signatures: [await signPayload(bytes, scene.signer)] });
}

describe('production is on a KMS key and on nobody’s age key', () => {
  describe.concurrent('it is written, read and packed by roles of machines', () => {
    it.each(machines)('%s: set, list and get by role alone, with no age key at all', async (kind, cloud) => {
      const scene = sceneOf(cloud);
      const repository = await scene.copyOfRepository();
      const home = await scene.newFolder();
      const environment = {
        PATH: process.env['PATH'],
        HOME: home,
        CLEF_KEYCHAIN: 'off',
        ...(await scene.machine('writer', kind)),
      };
      const before = scene.callsOf('writer', decrypt[cloud]).length;
      const put = await clef(
        repository,
        environment,
        ['set', 'database/production', 'API_KEY', '--yes'],
        `by ${kind}`,
      );
      expect(put).toMatchObject({ exitCode: 0 });
      expect((await clef(repository, environment, ['list', 'database/production'])).stdout).toBe(
        'DB_URL\nAPI_KEY\n',
      );
      const got = await clef(repository, environment, ['get', 'database/production', 'API_KEY']);
      expect(got).toMatchObject({ exitCode: 0, stdout: `by ${kind}` });
      expect(scene.callsOf('writer', decrypt[cloud]).length).toBeGreaterThanOrEqual(before + 2);
      expect(await filesBelow(home)).toEqual([]);
      const cell = await readFile(join(repository, 'secrets/database/production.enc.yaml'), 'utf8');
      expect(cell).toContain(bare(scene.cellKey));
      expect(cell).not.toMatch(/age1|canary|by (ec2|ecs|gce)/);
    });

    it.each(['aws', 'gcp'] as const)(
      '%s: INV-34, INV-41: CI packs by its role, with no age key; nothing of a value is printed or readable',
      async (cloud) => {
        const scene = sceneOf(cloud);
        const file = join(await scene.newFolder(), 'artifact.json');
        const job = { ...scene.ci, ...(await scene.machine('ci-runner')) };
        const packed = await clef(scene.repository, job, ['pack', 'api-gateway', 'production', '--to', file]);
        expect(packed).toMatchObject({ exitCode: 0, stdout: '' });
        expect(packed.stderr).toMatch(/Packed 1 keys? of database\/production for api-gateway\/production/);
        const bytes = await readFile(file);
        const { header, seal } = sealedPayload(bytes);
        expect(header).toMatchObject({ identity: 'api-gateway', environment: 'production' });
        expect(seal.key.text).toBe(scene.sealingKey);
        const readable = `${packed.stderr}${bytes.toString()}${Buffer.from(formatPayload(sealedPayload(bytes))).toString()}`;
        expect(readable).not.toMatch(/canary|postgres|DB_URL|SMTP_KEY|AGE-SECRET-KEY/);
        expect((await stat(file)).mode & 0o777).toBe(0o600);
        expect(await filesBelow(scene.ci['HOME'] as string)).toEqual([]);
      },
    );

    it.each(['aws', 'gcp'] as const)(
      '%s: a person without a role that the key allows reads nothing (exit 10)',
      async (cloud) => {
        const scene = sceneOf(cloud);
        const stranger = await scene.machine((await scene.emulator.createRole('stranger')).name);
        const asked = await clef(scene.repository, { ...scene.alice, ...stranger }, [
          'get',
          'database/production',
          'DB_URL',
        ]);
        expect(asked).toMatchObject({ exitCode: 10, stdout: '' });
        expect(scene.callsOf('stranger', decrypt[cloud]).map(({ outcome }) => outcome)).not.toContain('ok');
      },
    );
  });
});

/** The only JavaScript in the README that fetches, with the program's import before it. */
async function articleSnippet(port: number, tokenFile: string): Promise<string> {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const snippet = /```js\n(const token = [\s\S]*?fetch\([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  expect(snippet.match(/127\.0\.0\.1:7779/g)).toHaveLength(1);
  expect(snippet.match(/\/run\/clef\/token/g)).toHaveLength(1);
  const placed = snippet.replace(':7779', `:${port}`).replace('/run/clef/token', tokenFile);
  return `import { readFile } from 'node:fs/promises';\n${placed}console.log(DB_URL);\n`;
}

async function runProgram(folder: string, source: string, environment: Environment = {}): Promise<Ran> {
  await writeFile(join(folder, 'program.mjs'), source);
  return run(process.execPath, ['program.mjs'], { cwd: folder, environment });
}

describe.concurrent('the agent with nothing but the role of its machine', () => {
  it.each(machines)(
    '%s: env -i: it opens in one KMS call; the article’s fetch and @clef/client get the value',
    async (kind, cloud) => {
      const scene = sceneOf(cloud);
      const role = `reader-on-${kind}`;
      const agent = await serving(scene, role, { kind });
      const { port, tokenFile } = agent;
      const folder = await scene.newFolder();
      expect(await runProgram(folder, await articleSnippet(port, tokenFile))).toEqual({
        exitCode: 0,
        stdout: `${DB_URL}\n`,
        stderr: '',
      });
      await installClient(folder);
      const program = `import { get, secrets } from '@clef/client';
        console.log(JSON.stringify([await get('DB_URL'), { ...(await secrets()) }]));`;
      const variables = { CLEF_AGENT_URL: `http://127.0.0.1:${port}`, CLEF_AGENT_TOKEN_FILE: tokenFile };
      const asked = await runProgram(folder, program, variables);
      expect(asked).toMatchObject({ exitCode: 0, stderr: '' });
      expect(JSON.parse(asked.stdout)).toEqual([DB_URL, { DB_URL }]);
      expect(scene.callsOf(role, decrypt[cloud]).map(({ outcome }) => outcome)).toEqual(['ok']);
      const kept = await filesBelow(join(agent.folder, 'state'));
      expect(kept.length).toBeGreaterThan(0);
      for (const file of kept) expect(await readFile(file, 'utf8')).not.toMatch(/canary|DB_URL|AGE-SECRET/);
      expect(await agent.end()).toBe(0);
      expect(await readdir(agent.folder)).not.toContain('token');
    },
  );

  it('INV-47: the next pack is served without a restart', async () => {
    const agent = await serving(aws, 'sees-the-next');
    const first = (await agent.ask('/v1/ready')).text;
    await deploy(agent.source, await aws.pack('api-gateway'));
    await agent.child.waitForLine(/"event":"refreshed"/, 20);
    expect((await agent.ask('/v1/ready')).text).not.toBe(first);
    expect((await agent.ask('/v1/secrets/DB_URL')).text).toBe(JSON.stringify({ value: DB_URL }));
  });

  it('INV-69: on a taken port it ends with 8, is never ready, and leaves no token file', async () => {
    const squatter = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
    const { port } = squatter.address() as { port: number };
    try {
      const agent = await startOn(aws, await aws.roleFor('api-gateway', 'too-late'), {
        variables: { CLEF_AGENT_LISTEN: `127.0.0.1:${port}` },
      });
      expect((await agent.child.exited).exitCode).toBe(8);
      expect(agent.log().map(({ event }) => event)).toEqual(['port_in_use']);
      expect(await readdir(agent.folder)).not.toContain('token');
      expect(aws.callsOf('too-late', 'aws.Decrypt')).toEqual([]);
    } finally {
      squatter.close();
    }
  });
});

/** Asks AWS KMS directly, with Amazon's own SDK and the credentials of a machine. */
async function askKms(
  machine: Environment,
  request: { key: string; blob: Uint8Array; context: object },
): Promise<string> {
  const program = `
    const { DecryptCommand, KMSClient } = require('@aws-sdk/client-kms');
    const { key, blob, context } = JSON.parse(process.argv[1]);
    new KMSClient({ maxAttempts: 1 })
      .send(new DecryptCommand({ KeyId: key, CiphertextBlob: Buffer.from(blob, 'base64'), EncryptionContext: context }))
      .then(() => console.log('opened'), (error) => console.log(error.name));`;
  const argument = JSON.stringify({ ...request, blob: Buffer.from(request.blob).toString('base64') });
  return (
    await run(process.execPath, ['-e', program, argument], { cwd: root, environment: machine })
  ).stdout.trim();
}

/** The context that an opener of this artifact gives, if it takes itself for that identity. */
function contextOf(artifact: Uint8Array, identity: string): Record<string, string> {
  const { header, ciphertext } = sealedPayload(artifact);
  const { repository, environment, revision } = header;
  const digest = createHash('sha256').update(ciphertext).digest('hex');
  return Object.fromEntries(artifactContext({ repository, identity, environment, revision, digest }).entries);
}

describe.concurrent('INV-36: a sister service cannot open the artifact', () => {
  it('aws: although both use one KMS key: the key policy refuses the victim’s context, the cipher its own', async () => {
    const artifact = await aws.pack('api-gateway');
    const thief = await aws.machine(await aws.roleFor('sister', 'a-thief'), 'ecs');
    const victim = await aws.machine(await aws.roleFor('api-gateway', 'a-victim'), 'ecs');
    const blob = sealedPayload(artifact).seal.wrappedIdentity as Uint8Array;
    const ask = (machine: Environment, context: object): Promise<string> =>
      askKms(machine, { key: bare(aws.sealingKey), blob, context });
    expect(await ask(victim, contextOf(artifact, 'api-gateway'))).toBe('opened');
    expect(await ask(thief, contextOf(artifact, 'api-gateway'))).toBe('AccessDeniedException');
    expect(await ask(thief, contextOf(artifact, 'sister'))).toBe('InvalidCiphertextException');
    expect(await ask(thief, {})).toBe('AccessDeniedException');
    expect(aws.callsOf('a-thief', 'aws.Decrypt').map(({ outcome }) => outcome)).toEqual([
      'AccessDeniedException',
      'InvalidCiphertextException',
      'AccessDeniedException',
    ]);
    expect(aws.callsOf('a-victim', 'aws.Decrypt').map(({ outcome }) => outcome)).toEqual(['ok']);
  });

  it.each(['aws', 'gcp'] as const)(
    '%s: its agent, set up as the victim’s: the KMS denies, and it serves nothing',
    async (cloud) => {
      const scene = sceneOf(cloud);
      const agent = await startOn(scene, await scene.roleFor('sister', 'in-disguise'));
      await agent.child.waitForLine(/"reason":"kms_denied"/, 30);
      expect(await agent.ask('/v1/secrets')).toMatchObject({ status: 503, code: 'denied' });
      const outcomes = scene.callsOf('in-disguise', decrypt[cloud]).map(({ outcome }) => outcome);
      expect(outcomes).toEqual([cloud === 'aws' ? 'AccessDeniedException' : 'PERMISSION_DENIED']);
    },
  );

  it.each(['aws', 'gcp'] as const)(
    '%s: INV-50: its agent, set up as its own: the artifact is for another, and no KMS is asked',
    async (cloud) => {
      const scene = sceneOf(cloud);
      const agent = await startOn(scene, await scene.roleFor('sister', 'as-itself'), {
        variables: { CLEF_AGENT_IDENTITY: 'sister' },
      });
      await agent.child.waitForLine(/"reason":"binding"/, 30);
      expect(await agent.ask('/v1/secrets')).toMatchObject({ status: 503, code: 'not_loaded' });
      expect(scene.callsOf('as-itself', decrypt[cloud])).toEqual([]);
    },
  );
});

type Broken = readonly [what: string, artifact: Uint8Array, reason: 'format' | 'signature'];

const headerFields = ['version', 'repository', 'identity', 'environment', 'revision', 'commit', 'packedAt'];
const payloadFields = [...headerFields, 'expiresAt', 'key', 'wrappedIdentity', 'ciphertext'];

/** One byte changed in the value of each field of the payload, and in the signature: the JSON stays JSON. */
function changedInside(artifact: Uint8Array): readonly Broken[] {
  const { envelope } = parseArtifact(artifact);
  const payload = Buffer.from(envelope.payload).toString('latin1');
  const withByte = (at: number): Uint8Array => {
    const bytes = Buffer.from(payload, 'latin1');
    bytes[at] = (bytes[at] as number) ^ 1;
    return formatEnvelope({ ...envelope, payload: bytes });
  };
  const fields = payloadFields.map((field): Broken => {
    const start = payload.indexOf(`"${field}":`) + field.length + 3;
    if (start < field.length + 3) throw new Error(`the payload has no ${field}`);
    const at = field === 'ciphertext' ? Math.floor((start + payload.length) / 2) : start + 1;
    return [field, withByte(field === 'version' ? start : at), 'signature'];
  });
  const [signature] = envelope.signatures;
  if (signature === undefined) throw new Error('not signed');
  const bytes = signature.bytes.map((byte, index) => (index === 20 ? byte ^ 1 : byte));
  const keyId = signature.keyId.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
  const resigned = (changed: object): Uint8Array =>
    formatEnvelope({ ...envelope, signatures: [{ ...signature, ...changed }] });
  return [
    ...fields,
    ['the last byte of the payload', withByte(payload.length - 4), 'signature'],
    ['sig', resigned({ bytes }), 'signature'],
    ['keyid', resigned({ keyId }), 'signature'],
  ];
}

/** One byte changed in the file itself, in each part of the envelope that is no base64. */
function changedOutside(artifact: Uint8Array): readonly Broken[] {
  const text = Buffer.from(artifact).toString('latin1');
  const places = ['{', 'payloadType', payloadType, 'payload"', '":"ey', 'signatures', '[', 'keyid', '}]}'];
  return places
    .filter((place) => place !== 'keyid')
    .map((place): Broken => {
      const at = text.indexOf(place) + (place === '":"ey' ? 1 : 0);
      const bytes = Buffer.from(artifact);
      bytes[at] = (bytes[at] as number) ^ 1;
      return [`byte ${at}`, bytes, 'format'];
    });
}

/** Both kinds in turn, because an agent logs a reason only when it changes. */
function alternating(artifact: Uint8Array): readonly Broken[] {
  const outside = changedOutside(artifact);
  return changedInside(artifact).flatMap((inside, index) => [
    inside,
    outside[index % outside.length] as Broken,
  ]);
}

describe.concurrent('one byte of an artifact is changed', () => {
  it.each([0, 1, 2, 3])(
    'INV-45, F45, E10: each part in turn (%s of 4): refused with its code, the good revision stays, no KMS call',
    async (part) => {
      const artifact = await aws.pack('api-gateway');
      const all = alternating(artifact);
      const share = all.slice(Math.ceil((all.length * part) / 4), Math.ceil((all.length * (part + 1)) / 4));
      expect(share.length).toBeGreaterThanOrEqual(6);
      const role = `steadfast-${part}`;
      const agent = await serving(aws, role, { artifact });
      const expected: string[] = [];
      for (const [what, bytes, reason] of share) {
        await deploy(agent.source, bytes);
        expected.push(reason);
        await eventually(agent.refusals, (refusals) => refusals.length >= expected.length);
        expect([what, ...agent.refusals()]).toEqual([what, ...expected]);
        expect((await agent.ask('/v1/secrets')).text).toBe(JSON.stringify({ DB_URL }));
      }
      expect(aws.callsOf(role, 'aws.Decrypt')).toHaveLength(1);
      await deploy(agent.source, artifact);
      await eventually(
        () => agent.ask('/v1/ready'),
        ({ text }) => !text.includes('"problem"'),
      );
      expect(aws.callsOf(role, 'aws.Decrypt')).toHaveLength(1);
    },
  );

  it('F40: an agent that is started on it, with no state: 503 not_loaded, and the KMS is never asked', async () => {
    const artifact = await aws.pack('api-gateway');
    const [, flipped] = changedInside(artifact).at(-4) as Broken;
    const agent = await startOn(aws, await aws.roleFor('api-gateway', 'empty-handed'), {
      artifact: flipped,
      variables: { CLEF_AGENT_STATE_DIR: 'none' },
    });
    await agent.child.waitForLine(/"reason":"signature"/, 30);
    for (const path of ['/v1/secrets', '/v1/secrets/DB_URL', '/v1/keys', '/v1/ready'])
      expect(await agent.ask(path)).toMatchObject({ status: 503, code: 'not_loaded' });
    expect((await agent.ask('/v1/health')).status).toBe(200);
    expect(aws.callsOf('empty-handed', 'aws.Decrypt')).toEqual([]);
    expect(agent.log().map(({ event }) => event)).not.toContain('ready');
  });

  it('F41, INV-56: an agent that is restarted on it, with its state: it serves the good copy of its disk', async () => {
    const artifact = await aws.pack('api-gateway');
    const agent = await serving(aws, 'has-a-copy', { artifact });
    expect(await agent.end()).toBe(0);
    const [, flipped] = changedInside(artifact)[2] as Broken;
    await deploy(agent.source, flipped);
    const again = await startOn(aws, 'has-a-copy', { folder: agent.folder });
    await again.child.waitForLine(/"event":"ready"/, 30);
    expect(again.refusals()).toEqual(['signature']);
    expect(await again.ask('/v1/secrets')).toMatchObject({ status: 200, text: JSON.stringify({ DB_URL }) });
    expect((await again.ask('/v1/ready')).text).toContain('"source":"disk"');
  });
});

/** Seals as `pack` does, but with what the test wants in the header. */
async function sealed(
  scene: Scene,
  changes: Partial<ArtifactHeader> = {},
  options: { sealingKey?: string; isSigned?: boolean } = {},
): Promise<Uint8Array> {
  const now = Date.now();
  const { CLEF_AGENT_REPOSITORY: repository = '' } = scene.pinned;
  return sealArtifact({
    header: {
      version: 1,
      repository,
      identity: 'api-gateway',
      environment: 'production',
      revision: now,
      packedAt: formatTimestamp(now),
      expiresAt: formatTimestamp(now + 3_600_000),
      ...changes,
    },
    secrets: new Map([['DB_URL', DB_URL]]),
    sealingKey: parseKeyReference(options.sealingKey ?? scene.sealingKey),
    kms: openKms({ environment: administrator(scene) }),
    ...(options.isSigned !== false && { signer: scene.signer }),
  });
}

describe.concurrent('an artifact that is whole, but not the one to serve', () => {
  it('INV-45, INV-50, INV-53, INV-55: each is refused with a code of its own, and no KMS is asked', async () => {
    const hour = 3_600_000;
    const now = Date.now();
    const foreignKey = (await aws.emulator.createKey()).reference;
    const foreignPair = generateEd25519KeyPair();
    const foreignSigner = createEd25519Signer(foreignPair.privateKeyPem);
    const at = (milliseconds: number): string => formatTimestamp(milliseconds);
    const refused: readonly (readonly [reason: string, artifact: Uint8Array])[] = [
      ['binding', await aws.pack('sister')],
      ['expired', await sealed(aws, { packedAt: at(now - 2 * hour), expiresAt: at(now - hour) })],
      ['binding', await sealed(aws, { environment: 'staging' })],
      ['unsigned', await sealed(aws, {}, { isSigned: false })],
      ['binding', await sealed(aws, { repository: '5f0c6a3e-0000-4000-8000-000000000000' })],
      ['key_not_pinned', await sealed(aws, {}, { sealingKey: foreignKey })],
      ['fast_forward', await sealed(aws, { revision: now + 48 * hour })],
      ['not_yet_valid', await sealed(aws, { packedAt: at(now + hour), expiresAt: at(now + 2 * hour) })],
      ['signature', await signed({ ...aws, signer: foreignSigner }, sealedPayload(await sealed(aws)))],
      ['format', Buffer.from('<html><title>Sign in</title></html>')],
    ];
    const [[, first] = ['', new Uint8Array()]] = refused;
    const agent = await startOn(aws, await aws.roleFor('api-gateway', 'choosy'), { artifact: first });
    for (const [index, [, artifact]] of refused.entries()) {
      await deploy(agent.source, artifact);
      await eventually(agent.refusals, (refusals) => refusals.length > index);
      expect((await agent.ask('/v1/secrets')).status).toBe(503);
    }
    expect(agent.refusals()).toEqual(refused.map(([reason]) => reason));
    expect(aws.callsOf('choosy', 'aws.Decrypt')).toEqual([]);
  });

  const resigned: readonly (readonly [
    what: string,
    change: (own: SealedPayload, other: SealedPayload, sister: SealedPayload) => SealedPayload,
    reason: string,
    outcome: string,
  ])[] = [
    [
      'INV-36: the wrapped key of another revision',
      (own, other) => ({ ...own, seal: other.seal }),
      'kms_denied',
      'InvalidCiphertextException',
    ],
    [
      'INV-36: the ciphertext of another revision',
      (own, other) => ({ ...own, ciphertext: other.ciphertext }),
      'kms_denied',
      'InvalidCiphertextException',
    ],
    [
      'INV-36: all of a sister’s but the names',
      (own, _, sister) => ({ ...sister, header: { ...sister.header, identity: own.header.identity } }),
      'kms_denied',
      'InvalidCiphertextException',
    ],
    [
      'INV-37: a later end',
      (own) => ({ ...own, header: { ...own.header, expiresAt: formatTimestamp(Date.now() + 1e10) } }),
      'header_mismatch',
      'ok',
    ],
  ];
  it.each(resigned)(
    '%s, signed anew by a thief of the signing key: refused',
    async (what, change, reason, outcome) => {
      const [own, other, sister] = await Promise.all(
        ['api-gateway', 'api-gateway', 'sister'].map((service) => aws.pack(service)),
      );
      const parts = [own, other, sister].map((bytes) => sealedPayload(bytes as Uint8Array));
      const artifact = await signed(aws, change(...(parts as [SealedPayload, SealedPayload, SealedPayload])));
      const role = await aws.roleFor(
        'api-gateway',
        `meets-${resigned.findIndex(([title]) => title === what)}`,
      );
      const agent = await startOn(aws, role, { artifact });
      await eventually(agent.refusals, (refusals) => refusals.length > 0);
      expect(agent.refusals()).toEqual([reason]);
      expect((await agent.ask('/v1/secrets')).status).toBe(503);
      const outcomes = aws.callsOf(role, 'aws.Decrypt').map((call) => call.outcome);
      expect(new Set(outcomes)).toEqual(new Set([outcome]));
    },
  );

  it('INV-47: an older one after a newer: refused, also after kill -9 and a restart, and without the disk copy', async () => {
    const older = await aws.pack('api-gateway');
    const newer = await aws.pack('api-gateway');
    const { revision } = sealedPayload(newer).header;
    const agent = await serving(aws, 'no-way-back', { artifact: newer });
    await deploy(agent.source, older);
    await agent.child.waitForLine(/"reason":"rollback"/, 20);
    expect((await agent.ask('/v1/ready')).text).toContain(`"revision":${revision}`);
    await agent.end('SIGKILL');

    const second = await startOn(aws, 'no-way-back', { folder: agent.folder });
    await second.child.waitForLine(/"event":"ready"/, 30);
    expect(second.refusals()).toEqual(['rollback']);
    expect((await second.ask('/v1/ready')).text).toContain(`"revision":${revision}`);
    await second.end('SIGKILL');

    const copies = (await filesBelow(join(agent.folder, 'state'))).filter((file) => !file.includes('floor'));
    expect(copies).toHaveLength(1);
    await unlink(copies[0] as string);
    const third = await startOn(aws, 'no-way-back', { folder: agent.folder });
    await third.child.waitForLine(/"reason":"rollback"/, 30);
    expect(await third.ask('/v1/secrets')).toMatchObject({ status: 503, code: 'not_loaded' });
  });

  it('F47: one that expires while it is served: 503 expired from then on, and the next pack is served', async () => {
    const expiresAt = formatTimestamp(Date.now() + 6_000);
    const agent = await serving(aws, 'until-the-end', { artifact: await sealed(aws, { expiresAt }) });
    expect((await agent.ask('/v1/secrets')).status).toBe(200);
    await pause(Math.max(0, Date.parse(expiresAt) - Date.now()));
    expect(await agent.ask('/v1/secrets')).toMatchObject({ status: 503, code: 'expired' });
    await deploy(agent.source, await aws.pack('api-gateway'));
    await eventually(
      () => agent.ask('/v1/secrets'),
      ({ status }) => status === 200,
    );
  });

  it.each(['aws', 'gcp'] as const)(
    '%s: F33: the role is revoked: within the time of CLEF_AGENT_REAUTHORIZE nothing is served any more',
    async (cloud) => {
      const scene = sceneOf(cloud);
      const agent = await serving(scene, 'the-leaver', { variables: { CLEF_AGENT_REAUTHORIZE: '1s' } });
      expect((await agent.ask('/v1/secrets')).status).toBe(200);
      const revokedAt = performance.now();
      await scene.emulator.revokeRole('the-leaver');
      const last = await eventually(
        () => agent.ask('/v1/secrets'),
        ({ status }) => status !== 200,
      );
      expect(last).toMatchObject({ status: 503, code: 'denied' });
      // One second, one of the heartbeat, and what a busy machine takes.
      expect(performance.now() - revokedAt).toBeLessThan(6_000);
      expect(last.text).not.toContain('canary');
    },
  );
});

/** Packs api-gateway with the role of CI, in this copy of the repository. */
async function packIn(
  scene: Scene,
  repository: string,
  file: string,
  variables: Environment = {},
): Promise<Ran> {
  const job = { ...scene.ci, ...(await scene.machine('ci-runner')), ...variables };
  return clef(repository, job, ['--json', 'pack', 'api-gateway', 'production', '--to', file]);
}

async function edit(file: string, change: (text: string) => string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const changed = change(text);
  if (changed === text) throw new Error(`nothing was changed in ${file}`);
  await writeFile(file, changed);
}

type Damage = (repository: string, scene: Scene) => Promise<Environment | undefined>;

/** Changes a file of the repository. */
const editing =
  (name: string, change: (text: string) => string): Damage =>
  async (repository) => {
    await edit(join(repository, name), change);
    return undefined;
  };

/** Then it is committed, so that nothing differs from HEAD. */
const committed =
  (damage: Damage): Damage =>
  async (repository, scene) => {
    const variables = await damage(repository, scene);
    await git(repository, scene.alice, 'commit', '--quiet', '--all', '--message', 'A change');
    return variables;
  };

const cellFile = 'secrets/database/production.enc.yaml';
const sidecarFile = 'secrets/database/production.meta.yaml';

/** In each row: what is wrong; in which cloud; the exit code and the code of the error; how it came about. */
const refusals: readonly (readonly [
  what: string,
  cloud: CloudName,
  exitCode: number,
  code: string,
  damage: Damage,
])[] = [
  ['a pending key', 'aws', 3, 'pending_key', editing(sidecarFile, (text) => `${text}pending: [API_KEY]\n`)],
  [
    'a missing cell',
    'aws',
    4,
    'missing_cell',
    committed(async (repository) => {
      await unlink(join(repository, cellFile));
      return undefined;
    }),
  ],
  ['clef.yaml differs from HEAD', 'aws', 7, 'dirty_tree', editing('clef.yaml', (text) => `${text}# more\n`)],
  [
    'a cell differs from HEAD',
    'aws',
    7,
    'dirty_tree',
    editing(cellFile, (text) => text.replace('lastmodified', '# mine\n    lastmodified')),
  ],
  [
    'the recipients of a file are not those of clef.yaml',
    'aws',
    7,
    'recipients_differ',
    committed(editing('clef.yaml', (text) => text.replace('[development, staging]', '["*"]'))),
  ],
  [
    'a cell was tampered with',
    'aws',
    6,
    'cell_tampered',
    committed(
      editing(cellFile, (text) =>
        text.replace(/data:(.)/, (_, first) => `data:${first === 'A' ? 'B' : 'A'}`),
      ),
    ),
  ],
  [
    'INV-39: two namespaces define one name',
    'aws',
    3,
    'key_conflict',
    async (repository, scene) => {
      const writer = { ...scene.ci, ...(await scene.machine('writer')) };
      const put = ['set', 'mail/production', 'DB_URL', '--yes'];
      expect(await clef(repository, writer, put, 'another')).toMatchObject({ exitCode: 0 });
      return committed(
        editing('clef.yaml', (text) =>
          text.replace('namespaces: [database]', 'namespaces: [database, mail]'),
        ),
      )(repository, scene);
    },
  ],
  ['no signing key', 'aws', 3, 'signing_key', async () => ({ CLEF_SIGNING_KEY_FILE: undefined })],
  [
    'a signing key that its agent does not trust',
    'aws',
    3,
    'signing_key',
    async (_, scene) => {
      const file = join(await scene.newFolder(), 'other.pem');
      await writeFile(file, generateEd25519KeyPair().privateKeyPem, { mode: 0o600 });
      return { CLEF_SIGNING_KEY_FILE: file };
    },
  ],
  [
    'F39: a role that may not',
    'aws',
    10,
    'kms_denied',
    async (_, scene) => scene.machine('sister-service', 'ecs'),
  ],
  [
    'F39: a KMS that does not answer',
    'aws',
    10,
    'kms_unavailable',
    async () => ({ AWS_ENDPOINT_URL_KMS: 'http://127.0.0.1:1' }),
  ],
  [
    'on Google Cloud, two services on one sealing key',
    'gcp',
    3,
    'manifest_invalid',
    committed(editing('clef.yaml', (text) => text.replace('sister-production', 'api-gateway-production'))),
  ],
  [
    'a sealing key that opens cells too',
    'gcp',
    3,
    'manifest_invalid',
    committed(
      editing('clef.yaml', (text) => text.replace(/cryptoKeys\/api-gateway-production/, 'cryptoKeys/clef')),
    ),
  ],
];

describe.concurrent('INV-40: a pack that is refused writes nothing', () => {
  it.each(refusals)('%s (%s): exit %i, %s', async (_what, cloud, exitCode, code, damage) => {
    const scene = sceneOf(cloud);
    const repository = await scene.copyOfRepository();
    const folder = await scene.newFolder();
    const old = join(folder, 'old.json');
    expect((await packIn(scene, repository, old)).exitCode).toBe(0);
    const before = { bytes: await readFile(old), ...(await facts(old)) };
    const variables = await damage(repository, scene);

    for (const file of [join(folder, 'new.json'), old]) {
      const refused = await packIn(scene, repository, file, variables);
      expect(refused).toMatchObject({ exitCode, stdout: '' });
      expect(JSON.parse(refused.stderr.trim().split('\n').at(-1) ?? '')).toMatchObject({ error: { code } });
      expect(refused.stderr).not.toContain('canary');
    }
    expect(await readdir(folder)).toEqual(['old.json']);
    expect({ bytes: await readFile(old), ...(await facts(old)) }).toEqual(before);
  });

  it.each([
    ['INV-43: a file that is no artifact', async () => Buffer.from('DB_URL=mine\n')],
    ['INV-43: the artifact of another service identity', () => aws.pack('sister')],
    ['INV-43: an empty file', async () => Buffer.from('')],
  ] as const)('%s where the artifact is to go: exit 9, and it stays as it is', async (_what, make) => {
    const file = join(await aws.newFolder(), 'there.json');
    const there = Buffer.from(await make());
    await writeFile(file, there);
    const before = await facts(file);
    const refused = await packIn(aws, aws.repository, file);
    expect(refused).toMatchObject({ exitCode: 9, stdout: '' });
    expect(refused.stderr).toContain('"already_exists"');
    expect((await readFile(file)).equals(there)).toBe(true);
    expect(await facts(file)).toEqual(before);
  });

  it('killed at any moment, it has written all of the artifact or nothing', async () => {
    const folder = await aws.newFolder();
    const file = join(folder, 'artifact.json');
    const first = await packIn(aws, aws.repository, file);
    expect(first.exitCode).toBe(0);
    const revisions = new Set([sealedPayload(await readFile(file)).header.revision]);
    const job = { ...aws.ci, ...(await aws.machine('ci-runner')) };
    const args = ['pack', 'api-gateway', 'production', '--to', file];
    const startedAt = performance.now();
    await clef(aws.repository, job, args);
    const wholeMilliseconds = performance.now() - startedAt;
    for (let step = 1; step <= 8; step++) {
      await clefKilledAfter((wholeMilliseconds * step) / 8, aws.repository, job, args);
      revisions.add(sealedPayload(await readFile(file)).header.revision);
    }
    const all = [...revisions];
    expect(all).toEqual(all.toSorted((a, b) => a - b));
    for (const name of await readdir(folder))
      expect(await readFile(join(folder, name), 'utf8')).not.toMatch(/canary|DB_URL|AGE-SECRET-KEY/);
  });
});

async function facts(file: string): Promise<{ readonly inode: number; readonly changedAt: number }> {
  const { ino, mtimeMs } = await stat(file);
  return { inode: ino, changedAt: mtimeMs };
}

describe('INV-44: packs race for one file', () => {
  it('ten at once: each that succeeds has a revision of its own, the last is the highest, and the file is always whole', async () => {
    const file = join(await aws.newFolder(), 'artifact.json');
    expect((await packIn(aws, aws.repository, file)).exitCode).toBe(0);
    const job = { ...aws.ci, ...(await aws.machine('ci-runner')) };
    const args = ['--json', 'pack', 'api-gateway', 'production', '--to', file];
    let isOver = false;
    const seen: number[] = [];
    const reader = (async () => {
      for (; !isOver; await pause(2)) {
        const { revision } = sealedPayload(await readFile(file)).header;
        if (revision !== seen.at(-1)) seen.push(revision);
      }
    })();
    const packs = await Promise.all(Array.from({ length: 10 }, () => clef(aws.repository, job, args)));
    isOver = true;
    await reader;
    const last = sealedPayload(await readFile(file)).header.revision;
    const winners = packs
      .filter(({ exitCode }) => exitCode === 0)
      .map(({ stdout }) => JSON.parse(stdout).revision);
    const losers = packs.filter(({ exitCode }) => exitCode !== 0);
    expect(winners.length).toBeGreaterThan(0);
    expect(new Set(winners).size).toBe(winners.length);
    for (const { exitCode, stderr } of losers) {
      expect(exitCode).toBe(9);
      expect(stderr).toMatch(/"(changed_meanwhile|lock_held)"/);
    }
    expect(last).toBe(Math.max(...winners));
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });

  it('three that read the same revision and publish at one moment: one wins, two say that they lost', async () => {
    const repository = await aws.copyOfRepository();
    const file = join(await aws.newFolder(), 'artifact.json');
    expect((await packIn(aws, repository, file)).exitCode).toBe(0);
    const before = await readFile(file);
    // A lock whose holder nobody can judge stops the three at the last step.
    const lock = join(repository, '.clef/lock');
    await writeFile(lock, '');
    const sealed = (): number => aws.callsOf('ci-runner', 'aws.Encrypt').length;
    const already = sealed();
    const packs = Promise.all([1, 2, 3].map(() => packIn(aws, repository, file)));
    await eventually(sealed, (count) => count >= already + 3);
    await pause(300);
    expect((await readFile(file)).equals(before)).toBe(true);
    await unlink(lock);
    const results = (await packs).toSorted((a, b) => a.exitCode - b.exitCode);
    expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 9, 9]);
    for (const { stderr } of results.slice(1)) expect(stderr).toContain('"changed_meanwhile"');
    const { revision } = JSON.parse(results[0]?.stdout ?? '') as { revision: number };
    expect(sealedPayload(await readFile(file)).header.revision).toBe(revision);
  });
});
