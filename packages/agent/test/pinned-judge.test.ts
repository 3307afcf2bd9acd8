// The judge on real artifacts: what each of the artifact's faults means for the agent, and what it costs.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { formatEnvelope, parseArtifact } from '@clef/artifact';
import { type Kms, KmsError } from '@clef/kms';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readConfig } from '../src/config.ts';
import { type Judge, Refusal } from '../src/judge.ts';
import { createJudge } from '../src/pinned-judge.ts';
import { type PackRequest, type Stage, setStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await setStage();
});
afterAll(() => stage.close());

async function judgeWith(
  changes: Record<string, string | undefined> = {},
  unwrap: Kms['unwrap'] = stage.kms.unwrap,
): Promise<Judge> {
  const environment = { ...stage.variables, ...changes };
  const result = readConfig(new Map(), {
    environment,
    nodeOptions: [],
    isTerminal: false,
    platform: 'linux',
  });
  if ('faults' in result) throw new Error(JSON.stringify(result.faults));
  return createJudge(result.config, { now: Date.now, openKms: () => ({ ...stage.kms, unwrap }) });
}

async function refusalOf(opening: Promise<unknown>): Promise<Refusal> {
  const error = await opening.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Refusal);
  return error as Refusal;
}

test('a good artifact: what it says, and the digest of its payload', async () => {
  const judge = await judgeWith();
  const revision = Date.now();
  const bytes = await stage.pack({ revision, secrets: { A: 'a', B: 'b' } });
  const judged = await judge.open(bytes, undefined);
  const payloadDigest = createHash('sha256').update(parseArtifact(bytes).envelope.payload).digest('hex');
  expect(judged).toMatchObject({ epoch: 0, revision, payloadDigest });
  expect([...judged.secrets]).toEqual([
    ['A', 'a'],
    ['B', 'b'],
  ]);
  expect(judge.payloadDigest(bytes)).toBe(payloadDigest);
  expect(judge.payloadDigest(bytes.slice(1))).toBeUndefined();
  const { envelope } = parseArtifact(bytes);
  const signatures = envelope.signatures.map((one) => ({ ...one, bytes: one.bytes.map((byte) => byte ^ 1) }));
  expect(judge.payloadDigest(formatEnvelope({ ...envelope, signatures }))).toBeUndefined();
});

test('INV-84: the bytes of an age key file are wiped when it has been read', async () => {
  const reading = vi.spyOn(TextDecoder.prototype, 'decode');
  try {
    const file = join(stage.folder, 'key.txt');
    await judgeWith({ CLEF_AGENT_KMS_KEY: undefined, CLEF_AGENT_AGE_KEY_FILE: file });
    const { calls, results } = reading.mock;
    const read = calls.flatMap(([bytes], index) =>
      String(results[index]?.value).includes('AGE-SECRET-KEY-') ? [bytes as Uint8Array] : [],
    );
    expect(read.length).toBeGreaterThan(0);
    expect(read.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
  } finally {
    reading.mockRestore();
  }
});

describe('what a refusal means', () => {
  test.each<[string, PackRequest, string, string]>([
    ['INV-53: unsigned', { signer: 'none' }, 'forged', 'unsigned'],
    ['INV-53: another signer', { signer: 'second' }, 'forged', 'signature'],
    ['INV-50: another identity', { identity: 'other' }, 'forged', 'binding'],
    ['INV-52: from the future', { packedAt: Date.now() + 600_000, revision: 1 }, 'other', 'not_yet_valid'],
    ['F47: expired', { packedAt: Date.now() - 7_200_000 }, 'expired', 'expired'],
  ])('%s: no KMS call', async (_, request, kind, reason) => {
    const judge = await judgeWith();
    const before = stage.kms.unwraps;
    expect(await refusalOf(judge.open(await stage.pack(request), undefined))).toMatchObject({ kind, reason });
    expect(stage.kms.unwraps).toBe(before);
  });

  test.each([
    ['denied', 'denied', 'kms_denied'],
    ['not_found', 'denied', 'kms_denied'],
    ['unavailable', 'outage', 'kms_unavailable'],
    ['throttled', 'outage', 'kms_unavailable'],
    ['no_credentials', 'outage', 'kms_no_credentials'],
    ['mismatch', 'wrong', 'kms_mismatch'],
  ] as const)('F30…F36: the KMS says %s: %s', async (code, kind, reason) => {
    const bytes = await stage.pack();
    const judge = await judgeWith({}, () => Promise.reject(new KmsError(code, 'canary arn:aws')));
    const refusal = await refusalOf(judge.open(bytes, undefined));
    expect(refusal).toMatchObject({ kind, reason });
    expect(refusal.message).not.toMatch(/canary|arn/);
    expect(refusal.cause).toBeUndefined();
  });

  test('F34, K01: the KMS gives something that is not the key', async () => {
    const bytes = await stage.pack();
    const answers = [new Uint8Array(), new Uint8Array(4_097), new TextEncoder().encode('AGE-SECRET-KEY-1')];
    for (const wrong of answers) {
      const judge = await judgeWith({}, () => Promise.resolve(wrong));
      expect(await refusalOf(judge.open(bytes, undefined))).toMatchObject({ kind: 'wrong' });
    }
  });
});

test('INV-50: nine artifacts, nine agents: each opens its own only', async () => {
  const names = ['a', 'b', 'c'].flatMap((identity) =>
    ['x', 'y', 'z'].map((environment) => ({ identity, environment })),
  );
  const artifacts = await Promise.all(names.map((name) => stage.pack(name)));
  for (const [own, { identity, environment }] of names.entries()) {
    const judge = await judgeWith({ CLEF_AGENT_IDENTITY: identity, CLEF_AGENT_ENVIRONMENT: environment });
    for (const [index, bytes] of artifacts.entries()) {
      if (index === own) await judge.open(bytes, undefined);
      else expect(await refusalOf(judge.open(bytes, undefined))).toMatchObject({ reason: 'binding' });
    }
  }
});

test('INV-49: the position of the signing key is the epoch; a later one starts below', async () => {
  const judge = await judgeWith({ CLEF_AGENT_VERIFY_KEYS: stage.verifyKeys.join() });
  const floor = await judge.open(await stage.pack({ revision: 5_000 }), undefined);
  const recovered = await judge.open(await stage.pack({ revision: 10, signer: 'second' }), floor);
  expect(recovered).toMatchObject({ epoch: 1, revision: 10 });
  expect(await refusalOf(judge.open(await stage.pack({ revision: 6_000 }), recovered))).toMatchObject({
    reason: 'rollback',
  });
});

test('INV-48: the least revision holds in every epoch', async () => {
  const both = stage.verifyKeys.join();
  const judge = await judgeWith({ CLEF_AGENT_VERIFY_KEYS: both, CLEF_AGENT_MIN_REVISION: '100' });
  const refusal = await refusalOf(
    judge.open(await stage.pack({ revision: 99, signer: 'second' }), undefined),
  );
  expect(refusal.reason).toBe('rollback');
});

test('INV-46: the same revision with other content is equivocation', async () => {
  const judge = await judgeWith();
  const floor = await judge.open(await stage.pack({ revision: 7 }), undefined);
  expect(await refusalOf(judge.open(await stage.pack({ revision: 7 }), floor))).toMatchObject({
    reason: 'equivocation',
  });
});

test('a verifying key that signed nothing opens nothing', async () => {
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
    type: 'spki',
    format: 'der',
  });
  const judge = await judgeWith({ CLEF_AGENT_VERIFY_KEYS: `p256:${stranger.toString('base64')}` });
  expect(await refusalOf(judge.open(await stage.pack(), undefined))).toMatchObject({ reason: 'signature' });
});
