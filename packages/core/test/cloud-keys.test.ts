// What a run asks of the KMS: each wrapped key once, however many cells share it, and a failure again.
import { randomBytes } from 'node:crypto';
import { type Emulator, emulatorVariables, startEmulator } from '@clef/emulator';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCloudKeys, sopsCloudKeys } from '../src/keys/cloud-keys.ts';
import type { World } from '../src/world.ts';

let emulator: Emulator;
let world: World;
let notices: string[];

beforeEach(async () => {
  emulator = await startEmulator({ now: Date.now, randomBytes });
  notices = [];
  world = {
    environment: emulatorVariables(emulator),
    cwd: '/',
    homeDirectory: '/nonexistent',
    platform: 'linux',
    userName: 'alice',
    now: Date.now,
    randomBytes,
    notify: ({ message }) => notices.push(message),
  };
});
afterEach(() => emulator.stop());

const decrypts = (): number => emulator.calls()['aws.Decrypt'] ?? 0;
const dataKey = new Uint8Array(32).fill(7);

describe('the KMS of one run', () => {
  const recipient = (context: readonly (readonly [string, string])[] = []) =>
    ({ type: 'kms', arn: emulator.awsKey.arn, context }) as const;

  it('one wrapped key that several cells ask for at once costs one call', async () => {
    const keys = sopsCloudKeys(world);
    const wrapped = await keys.wrap(recipient(), dataKey);
    const answers = await Promise.all([1, 2, 3].map(() => sopsCloudKeys(world).unwrap(recipient(), wrapped)));
    expect(answers).toEqual([dataKey, dataKey, dataKey]);
    expect(await keys.unwrap(recipient(), wrapped)).toEqual(dataKey);
    expect(decrypts()).toBe(1);
  });

  it('gives each its own bytes', async () => {
    const keys = sopsCloudKeys(world);
    const wrapped = await keys.wrap(recipient(), dataKey);
    (await keys.unwrap(recipient(), wrapped)).fill(0);
    expect(await keys.unwrap(recipient(), wrapped)).toEqual(dataKey);
  });

  it('another wrapped key, or another context, is another question', async () => {
    const keys = sopsCloudKeys(world);
    const wrapped = await keys.wrap(recipient([['a', 'b']]), dataKey);
    await keys.unwrap(recipient([['a', 'b']]), wrapped);
    await expect(keys.unwrap(recipient(), wrapped)).rejects.toMatchObject({ code: 'denied' });
    await expect(keys.unwrap(recipient([['a', 'c']]), wrapped)).rejects.toMatchObject({ code: 'denied' });
    expect(decrypts()).toBe(3);
  });

  it('a failure is shared by those who asked at once, and asked again by who comes later', async () => {
    const keys = sopsCloudKeys(world);
    const wrapped = await keys.wrap(recipient(), dataKey);
    await emulator.setKeyEnabled(emulator.awsKey.arn, false);
    const first = await Promise.allSettled([1, 2].map(() => keys.unwrap(recipient(), wrapped)));
    expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(decrypts()).toBe(1);
    await emulator.setKeyEnabled(emulator.awsKey.arn, true);
    expect(await keys.unwrap(recipient(), wrapped)).toEqual(dataKey);
    expect(decrypts()).toBe(2);
  });

  it('a role or a profile of a cell is refused before any call; a file that the person names may ask for them', async () => {
    const wrapped = await sopsCloudKeys(world).wrap(recipient(), dataKey);
    for (const more of [{ role: 'arn:aws:iam::111122223333:role/a' }, { profile: 'team' }]) {
      const asking = { ...recipient(), ...more };
      await expect(sopsCloudKeys(world).unwrap(asking, wrapped)).rejects.toMatchObject({
        code: 'unsupported',
      });
      await expect(sopsCloudKeys(world).wrap(asking, dataKey)).rejects.toMatchObject({ code: 'unsupported' });
    }
    expect(decrypts()).toBe(0);
    const one = openCloudKeys(world, { profile: 'team' });
    expect(openCloudKeys(world, { profile: 'team' })).toBe(one);
    expect(openCloudKeys(world)).not.toBe(one);
  });

  it('warns once that the calls go elsewhere', async () => {
    const wrapped = await sopsCloudKeys(world).wrap(recipient(), dataKey);
    await sopsCloudKeys(world).unwrap(recipient(), wrapped);
    expect(notices).toEqual([expect.stringContaining('AWS_ENDPOINT_URL_KMS')]);
    expect(openCloudKeys(world)).toBe(openCloudKeys(world));
  });
});
