// The separation that is the default posture: development on people's age keys, production on a key of a KMS. A leaver
// never had what opens production, and what he had opens nothing new.
import { randomBytes } from 'node:crypto';
import { type Emulator, emulatorVariables, startEmulator } from '@clef/emulator';
import { dataKeyBytes, parseAgeIdentities, parseSopsFile, recipientsOf, unwrapDataKey } from '@clef/sops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addRecipient } from '../src/people/recipients.ts';
import { removeRecipient } from '../src/people/remove-recipient.ts';
import { rotateCells } from '../src/people/rotate.ts';
import { openRepository } from '../src/repository.ts';
import { getSecret } from '../src/secrets/get-secret.ts';
import { setSecret } from '../src/secrets/set-secret.ts';
import type { World } from '../src/world.ts';
import {
  no,
  type Person,
  person,
  repositoryWith,
  setting,
  type TestRepository,
  withVariables,
  yes,
} from './repository-with.ts';

let emulator: Emulator;
beforeAll(async () => {
  emulator = await startEmulator({ now: Date.now, randomBytes });
});
afterAll(() => emulator.stop());

const development = 'database/development';
const production = 'database/production';
const pathOf = (cell: string): string => `secrets/${cell}.enc.yaml`;

type Scene = { readonly repository: TestRepository; readonly bob: Person; readonly ci: World };

/** Alice and bob read development with age keys; production is written and read through the KMS alone. */
async function scene(): Promise<Scene> {
  const repository = await repositoryWith(
    { [development]: { A: 'of development' } },
    {
      manifest: (text) =>
        text
          .replace('environments: ["*"]', 'environments: [development, staging]')
          .replace(
            'protected: true # writing asks first',
            `protected: true\n    encrypt_to: ${emulator.awsKey.reference}`,
          ),
    },
  );
  const ci = withVariables(repository.world, {
    ...emulatorVariables(emulator),
    CLEF_CONFIG_DIR: '/nonexistent',
  });
  await setSecret(await openRepository(ci, repository.root), setting(production, 'A', 'of production'));
  const bob = await person({ cwd: repository.root });
  const grant = { person: 'bob', keys: [bob.recipient], environments: ['development'], confirm: no };
  await addRecipient(await repository.open(), grant);
  return { repository, bob, ci };
}

const read = async (world: World, { root }: TestRepository, cell: string, key = 'A'): Promise<string> =>
  getSecret(await openRepository(world, root), { cell, key });

const parsed = (repository: TestRepository, cell: string) =>
  parseSopsFile(new TextEncoder().encode(repository.read(pathOf(cell))), 'yaml');
const dataKeyOf = async (repository: TestRepository, { identity }: Person): Promise<string> => {
  const keyring = { ageIdentities: async () => parseAgeIdentities(identity) };
  return Buffer.from(dataKeyBytes(await unwrapDataKey(parsed(repository, development), keyring))).toString(
    'hex',
  );
};

describe('development on age keys, production on encrypt_to', () => {
  it('no age key opens production, and no stanza is made for one', async () => {
    const { repository, bob, ci } = await scene();
    expect(recipientsOf(parsed(repository, production)).map(({ type }) => type)).toEqual(['kms']);
    expect(await read(ci, repository, production)).toBe('of production');
    for (const world of [bob.world, repository.world]) {
      await expect(read(world, repository, production)).rejects.toMatchObject({
        errorClass: expect.stringMatching(/^kms_/),
      });
    }
  });

  it('adding a teammate wraps the data key that is there: nobody is locked out, production is not touched', async () => {
    const { repository, bob } = await scene();
    const [before, sealed, calls] = [
      await dataKeyOf(repository, bob),
      repository.read(pathOf(production)),
      JSON.stringify(emulator.calls()),
    ];
    const carol = await person({ cwd: repository.root });
    await addRecipient(await openRepository(bob.world, repository.root), {
      person: 'carol',
      keys: [carol.recipient],
      environments: ['development'],
      confirm: no,
    });
    expect([await dataKeyOf(repository, bob), await dataKeyOf(repository, carol)]).toEqual([before, before]);
    for (const world of [repository.world, bob.world, carol.world])
      expect(await read(world, repository, development)).toBe('of development');
    expect(repository.read(pathOf(production))).toBe(sealed);
    expect(JSON.stringify(emulator.calls())).toBe(calls);
  });

  it('INV-08: a leaver’s key opens nothing new and never opened production, which is not touched', async () => {
    const { repository, bob, ci } = await scene();
    const [sealed, old] = [repository.read(pathOf(production)), await dataKeyOf(repository, bob)];
    const result = await removeRecipient(await repository.open(), { person: 'bob', confirm: no });
    expect(result.cells).toEqual([development]);
    await repository.set(development, 'NEW', 'written after');
    for (const cell of [development, production])
      await expect(read(bob.world, repository, cell)).rejects.toThrow();
    expect(await dataKeyOf(repository, repository)).not.toBe(old);
    expect(repository.read(pathOf(production))).toBe(sealed);
    expect(await read(ci, repository, production)).toBe('of production');
    expect(await read(repository.world, repository, development, 'NEW')).toBe('written after');
  });

  it('rotating asks the KMS to unwrap each data key once, and to wrap each new one once', async () => {
    const { repository, ci } = await scene();
    await setSecret(await openRepository(ci, repository.root), setting('payments/production', 'B', 'more'));
    const before = { ...emulator.calls() };
    await rotateCells(await openRepository({ ...ci }, repository.root), {
      targets: [production, 'payments/production'],
      confirm: yes,
    });
    const count = (operation: string): number =>
      (emulator.calls()[operation] ?? 0) - (before[operation] ?? 0);
    expect({ unwrapped: count('aws.Decrypt'), wrapped: count('aws.Encrypt') }).toEqual({
      unwrapped: 2,
      wrapped: 2,
    });
    expect(await read(ci, repository, production)).toBe('of production');
  });

  it('where KMS refuses, nothing is changed', async () => {
    const { repository, ci } = await scene();
    const before = repository.snapshot();
    await emulator.setKeyEnabled(emulator.awsKey.arn, false);
    const work = rotateCells(await openRepository({ ...ci }, repository.root), {
      targets: [production],
      confirm: yes,
    });
    await expect(work).rejects.toMatchObject({ errorClass: 'kms_denied' });
    await emulator.setKeyEnabled(emulator.awsKey.arn, true);
    expect(repository.snapshot()).toEqual(before);
  });
});
