// Trouble on purpose, and what the real clients of Clef make of each kind: no answer of a disturbed KMS becomes a key.
import { randomBytes } from 'node:crypto';
import { type KmsCode, openKms, parseKeyReference } from '@clef/kms';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Emulator, emulatorVariables, type FaultKind, type FaultRule } from '../src/index.ts';
import { emulator } from './emulated.ts';
import { callAws } from './wire.ts';

let cloud: Emulator;
const wrapped: Record<string, Uint8Array> = {};
const secret = new Uint8Array(randomBytes(77));
const clouds = ['AWS', 'Google Cloud'] as const;

const keyOf = (name: string) =>
  parseKeyReference(name === 'AWS' ? cloud.awsKey.reference : cloud.gcpKey.reference);
const operationOf = (name: string): string => (name === 'AWS' ? 'aws.Decrypt' : 'gcp.decrypt');
const open = (settings: { attempts?: number; timeoutSeconds?: number } = {}) =>
  openKms({ environment: emulatorVariables(cloud), attempts: 1, random: () => 0, ...settings });
const unwrap = (name: string, settings = {}): Promise<Uint8Array> =>
  open(settings).unwrap(keyOf(name), wrapped[name] as Uint8Array);
const codeOf = (work: Promise<unknown>): Promise<KmsCode | 'ok'> =>
  work.then(
    () => 'ok' as const,
    (error: { code: KmsCode }) => error.code,
  );

beforeAll(async () => {
  cloud = await emulator();
  for (const name of clouds) wrapped[name] = await open().wrap(keyOf(name), secret);
});
afterEach(() => cloud.setFaults([]));

describe.each(clouds)('%s', (name) => {
  const rows: readonly (readonly [row: string, kind: FaultKind, code: KmsCode])[] = [
    ['F-32', 'throttle', 'throttled'],
    ['K02', 'error', 'unavailable'],
    ['F-31', 'hang', 'unavailable'],
    ['F-30', 'reset', 'unavailable'],
    ['K01', 'malformed', 'mismatch'],
    ['K01', 'empty', 'mismatch'],
  ];
  it.each(rows)('%s: %s is %s', async (_, kind, code) => {
    cloud.setFaults([{ operation: operationOf(name), kind }]);
    expect(await codeOf(unwrap(name, { timeoutSeconds: 1 }))).toBe(code);
  });

  it('K02: heals when the trouble ends within the tries', async () => {
    cloud.setFaults([{ operation: operationOf(name), kind: 'error', times: 2 }]);
    expect(await unwrap(name, { attempts: 3 })).toEqual(secret);
  });

  it('a delay is waited for', async () => {
    cloud.setFaults([{ operation: operationOf(name), delaySeconds: 0.3 }]);
    const before = performance.now();
    expect(await unwrap(name)).toEqual(secret);
    expect(performance.now() - before).toBeGreaterThan(290);
  });

  it('other bytes of the same length are not noticed by the client: what is inside has to be', async () => {
    cloud.setFaults([{ operation: operationOf(name), kind: 'wrong_plaintext' }]);
    const other = await unwrap(name);
    expect(other).toHaveLength(secret.length);
    expect(other).not.toEqual(secret);
  });

  it('INV-55: a wrap that names another key is refused', async () => {
    cloud.setFaults([{ operation: name === 'AWS' ? 'aws.*' : 'gcp.*', kind: 'wrong_key' }]);
    expect(await codeOf(open().wrap(keyOf(name), secret))).toBe('mismatch');
  });
});

it('K03: Google checksums that do not fit are asked for twice, and no more', async () => {
  cloud.setFaults([{ operation: 'gcp.decrypt', kind: 'bad_checksum' }]);
  const before = cloud.calls()['gcp.decrypt'] ?? 0;
  expect(await codeOf(unwrap('Google Cloud', { attempts: 3 }))).toBe('mismatch');
  expect((cloud.calls()['gcp.decrypt'] ?? 0) - before).toBe(2);
  cloud.setFaults([{ operation: 'gcp.encrypt', kind: 'bad_checksum' }]);
  expect(await codeOf(open().wrap(keyOf('Google Cloud'), secret))).toBe('mismatch');
});

it('K01: AWS naming another key is refused', async () => {
  cloud.setFaults([{ operation: 'aws.Decrypt', kind: 'wrong_key' }]);
  expect(await codeOf(unwrap('AWS'))).toBe('mismatch');
});

it('a rule is for its key and its operation only, and counts its calls', async () => {
  const other = await cloud.createKey();
  cloud.setFaults([{ operation: 'aws.Encrypt', key: other.arn, kind: 'throttle', times: 2 }]);
  const encrypt = async (KeyId: string) =>
    (await callAws(cloud, 'Encrypt', { KeyId, Plaintext: 'eA==' })).body['__type'];
  expect(await encrypt(cloud.awsKey.arn)).toBeUndefined();
  expect([await encrypt(other.arn), await encrypt(other.arn), await encrypt(other.arn)]).toEqual([
    'ThrottlingException',
    'ThrottlingException',
    undefined,
  ]);
  expect(await codeOf(unwrap('AWS'))).toBe('ok');
});

it('a hanging call does not keep the emulator from stopping', async () => {
  const own = await emulator({ faults: [{ operation: '*', kind: 'hang' }] });
  const call = callAws(own, 'ListKeys', {}).catch(() => 'cut off');
  await new Promise((resolve) => setTimeout(resolve, 100));
  await own.stop();
  expect(await call).toBe('cut off');
});

const bad: readonly (readonly [title: string, rule: object])[] = [
  ['an unknown operation', { operation: 'azure.decrypt' }],
  ['an unknown kind', { operation: '*', kind: 'explode' }],
  ['a negative delay', { operation: '*', delaySeconds: -1 }],
  ['half a call', { operation: '*', times: 0.5 }],
];
it.each(bad)('refuses a rule with %s', (_, rule) => {
  expect(() => cloud.setFaults([rule as FaultRule])).toThrow(expect.objectContaining({ code: 'argument' }));
});
