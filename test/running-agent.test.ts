// Artifacts that are wrong in one way each, put before an agent that runs and serves: each is refused under a code of its own, in
// the log and at /v1/ready, what is served stays, and no KMS is asked for whatever can be refused without.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import {
  type ArtifactHeader,
  artifactContext,
  createEd25519Signer,
  formatEnvelope,
  formatPayload,
  generateEd25519KeyPair,
  parseArtifact,
  payloadType,
  type Signer,
  sealArtifact,
  sealRevocation,
  signPayload,
} from '@clef/artifact';
import { openKms, parseKeyReference } from '@clef/kms';
import { formatTimestamp } from '@clef/strict';
import { Encrypter, generateHybridIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type Agent,
  administrator,
  bare,
  deploy,
  eventually,
  productionUrl,
  type Scene,
  setScene,
} from './scene.ts';

const hour = 3_600_000;
const served = JSON.stringify({ DB_URL: productionUrl });
const newSigner = (): Signer => createEd25519Signer(generateEd25519KeyPair().privateKeyPem);

let scene: Scene;
/** The key of the epoch before, and one that nobody trusts. */
const [oldSigner, stranger] = [newSigner(), newSigner()];
beforeAll(async () => {
  scene = await setScene('aws');
});
afterAll(() => scene?.close());

const base = Date.now();
const headerOf = (changes: Partial<ArtifactHeader> = {}): ArtifactHeader => ({
  version: 1,
  repository: scene.pinned['CLEF_AGENT_REPOSITORY'] ?? '',
  identity: 'api-gateway',
  environment: 'production',
  revision: base,
  packedAt: formatTimestamp(base),
  expiresAt: formatTimestamp(base + hour),
  ...changes,
});

/** Seals as `pack` does, with what is wanted in the header. */
const sealed = (changes: Partial<ArtifactHeader> = {}, signer = scene.signer, value = productionUrl) =>
  sealArtifact({
    header: headerOf(changes),
    secrets: new Map([['DB_URL', value]]),
    sealingKey: parseKeyReference(scene.sealingKey),
    kms: openKms({ environment: administrator(scene) }),
    signer,
  });

const revocation = (revision: number, signer: Signer) =>
  sealRevocation({ header: headerOf({ revision }), reason: 'canary-reason', signer });

/** An envelope around any text as payload, signed with the key that is trusted. */
async function signedText(payload: string): Promise<Uint8Array> {
  const bytes = Buffer.from(payload);
  return formatEnvelope({ payload: bytes, signatures: [await signPayload(bytes, scene.signer)] });
}

/** The payload of a newer artifact, changed as a text. */
async function resigned(change: (payload: string) => string): Promise<Uint8Array> {
  const text = Buffer.from(parseArtifact(await sealed({ revision: base + 5 })).envelope.payload).toString();
  const changed = change(text);
  if (changed === text) throw new Error('nothing was changed');
  return signedText(changed);
}

/** Built by hand: what whoever has all keys could put inside, and what becomes of the age file then. */
async function madeOf(
  plaintext: (header: ArtifactHeader) => string,
  damage: (file: Uint8Array) => Uint8Array = (file) => file,
): Promise<Uint8Array> {
  const header = headerOf({ revision: base + 7 });
  const identity = await generateHybridIdentity();
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(identity));
  const text = plaintext(header);
  const ciphertext = damage(await encrypter.encrypt(text.padEnd(Math.ceil(text.length / 4096) * 4096)));
  const key = parseKeyReference(scene.sealingKey);
  const digest = createHash('sha256').update(ciphertext).digest('hex');
  const wrappedIdentity = await openKms({ environment: administrator(scene) }).wrap(
    key,
    Buffer.from(identity),
    artifactContext({ ...header, digest }),
  );
  return signedText(
    Buffer.from(formatPayload({ header, seal: { key, wrappedIdentity }, ciphertext })).toString(),
  );
}

const inside = (header: ArtifactHeader, secrets: string): string =>
  `{"header":${JSON.stringify(header)},"secrets":${secrets}}`;
const doubled = (text: string): string => text.replace(/^\{/, '{"version":1,');

/** One bit of the payload, beneath its base64, with the signature of the whole. */
async function flipped(): Promise<Uint8Array> {
  const { envelope } = parseArtifact(await sealed({ revision: base + 9 }));
  const payload = Buffer.from(envelope.payload);
  payload[Math.floor(payload.length / 2)] = (payload[Math.floor(payload.length / 2)] as number) ^ 1;
  return formatEnvelope({ ...envelope, payload });
}

const february30 = (text: string): string =>
  text.replace(/"packedAt":"[^"]+"/, '"packedAt":"2026-02-30T00:00:00Z"');

/**
 * In each row: what is wrong, the code, and how often the KMS may be asked about it. An agent logs a reason when it changes, so
 * no two neighbours have the same.
 */
const rows: readonly (readonly [
  what: string,
  reason: string,
  calls: number,
  make: () => Promise<Uint8Array>,
])[] = [
  [
    'INV-46: its own revision with other bytes',
    'equivocation',
    0,
    () => sealed({}, scene.signer, 'canary other'),
  ],
  ['INV-47: an older revision', 'rollback', 0, () => sealed({ revision: base - 1 })],
  ['INV-54: a revocation by a stranger', 'signature', 0, () => revocation(base + 1, stranger)],
  [
    'a name twice in the envelope',
    'format',
    0,
    async () => {
      const text = Buffer.from(await sealed({ revision: base + 2 })).toString();
      return Buffer.from(text.replace('{', `{"payloadType":"${payloadType}",`));
    },
  ],
  [
    'INV-48: the last artifact of the epoch before',
    'rollback',
    0,
    () => sealed({ revision: base + 3 }, oldSigner),
  ],
  ['a name twice in the signed payload', 'format', 0, () => resigned(doubled)],
  [
    'a revocation that nobody signed',
    'unsigned',
    0,
    async () => {
      const { envelope } = parseArtifact(await revocation(base + 4, stranger));
      return formatEnvelope({ ...envelope, signatures: [] });
    },
  ],
  ['a date that no calendar has', 'format', 0, () => resigned(february30)],
  ['a revocation, signed, of an older revision', 'rollback', 0, () => revocation(base - 1, scene.signer)],
  [
    'a year that is over before it was packed',
    'format',
    0,
    () => resigned((text) => text.replace(/"expiresAt":"[^"]+"/, '"expiresAt":"0000-00-00T00:00:00Z"')),
  ],
  [
    'a tag of 4 bytes',
    'decrypt',
    3,
    () =>
      madeOf(
        (header) => inside(header, '{"DB_URL":"canary"}'),
        (file) => file.subarray(0, -12),
      ),
  ],
  ['INV-45: one bit of the payload', 'signature', 0, flipped],
  [
    'a name twice inside the encryption',
    'bad_content',
    3,
    () => madeOf((header) => inside(header, '{"DB_URL":"canary one","DB_URL":"canary two"}')),
  ],
];

/** Whatever the agent said: nothing of it may be a value, a token, a path or the name of a key. */
async function leaks(agent: Agent, answers: readonly string[]): Promise<readonly string[]> {
  const said = [agent.child.stderr(), agent.child.stdout()].map((bytes) => Buffer.from(bytes).toString());
  const text = [...said, ...answers].join('\n');
  return ['canary', 'AGE-SECRET', 'arn:aws', bare(scene.sealingKey), scene.folder].filter((one) =>
    text.includes(one),
  );
}

it('each has its own code at the running agent; kill -9 and a restart change nothing; a true revocation counts', async () => {
  expect(rows.some(([, reason], index) => reason === rows[index + 1]?.[1])).toBe(false);
  const role = await scene.roleFor('api-gateway', 'meets-them-all');
  const folder = await scene.newFolder();
  const source = join(folder, 'artifact.json');
  await deploy(source, await sealed());
  const variables = {
    ...(await scene.machine(role)),
    CLEF_AGENT_VERIFY_KEYS: `${oldSigner.verifyKey.text},${scene.signer.verifyKey.text}`,
  };
  const calls = (): number => scene.callsOf(role, 'aws.Decrypt').length;
  const first = await scene.startAgent({ source, folder, variables });
  await first.child.waitForLine(/"event":"ready"/, 30);
  expect(calls()).toBe(1);
  const answers: string[] = [];
  for (const [index, [what, reason, mostCalls, make]] of rows.entries()) {
    const before = calls();
    await deploy(source, await make());
    await eventually(first.refusals, (refusals) => refusals.length > index);
    const ready = await first.ask('/v1/ready');
    answers.push(ready.text);
    expect([what, first.refusals().at(-1), JSON.parse(ready.text).problem]).toEqual([what, reason, reason]);
    expect(ready.status).toBe(200);
    expect((await first.ask('/v1/secrets')).text).toBe(served);
    const asked = calls() - before;
    expect([what, asked <= mostCalls, asked > 0]).toEqual([what, true, mostCalls > 0]);
  }
  expect(first.refusals()).toEqual(rows.map(([, reason]) => reason));
  expect(await leaks(first, answers)).toEqual([]);

  await first.end('SIGKILL');
  for (const make of [
    () => sealed({ revision: base + 3 }, oldSigner),
    () => sealed({ revision: base - 1 }),
  ]) {
    await deploy(source, await make());
    const again = await scene.startAgent({ source, folder, variables });
    await again.child.waitForLine(/"event":"ready"/, 30);
    expect(again.refusals()).toEqual(['rollback']);
    expect((await again.ask('/v1/ready')).text).toContain(`"revision":${base},`);
    expect((await again.ask('/v1/secrets')).text).toBe(served);
    await again.end('SIGKILL');
  }

  const last = await scene.startAgent({ source, folder, variables });
  await last.child.waitForLine(/"event":"ready"/, 30);
  const before = calls();
  await deploy(source, await revocation(base + 10, scene.signer));
  const refused = await eventually(
    () => last.ask('/v1/secrets'),
    ({ status }) => status !== 200,
  );
  expect(refused).toMatchObject({ status: 503, code: 'revoked' });
  expect(calls()).toBe(before);
  expect(await leaks(last, [refused.text, (await last.ask('/v1/ready')).text])).toEqual([]);
}, 120_000);
