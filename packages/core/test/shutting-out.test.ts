// Shutting people out and rotating: every cell concerned gets a new data key in one transaction, recipients come from
// clef.yaml alone, and what a removed key held opens nothing new.
import {
  dataKeyBytes,
  decryptTree,
  parseAgeIdentities,
  parseSopsFile,
  unwrapDataKey,
  useDataKey,
} from '@clef/sops';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renameName } from '../src/matrix/change-names.ts';
import { syncMatrix } from '../src/matrix/sync.ts';
import type { Review } from '../src/people/change-readers.ts';
import { addRecipient, type Grant } from '../src/people/recipients.ts';
import { type Removal, type RemovedRecipient, removeRecipient } from '../src/people/remove-recipient.ts';
import { type RotatedCells, rotateCells } from '../src/people/rotate.ts';
import { openRepository } from '../src/repository.ts';
import { deleteSecrets } from '../src/secrets/delete-secrets.ts';
import { getSecret } from '../src/secrets/get-secret.ts';
import {
  no,
  type Person,
  person,
  quietly,
  refused,
  repositoryWith,
  strangersKey,
  type TestRepository,
  yes,
} from './repository-with.ts';

const cell = 'database/development';
const staging = 'database/staging';
const pathOf = (name: string): string => `secrets/${name}.enc.yaml`;

async function add(
  repository: TestRepository,
  grant: Omit<Grant, 'person'> & { readonly person?: string },
): Promise<void> {
  await addRecipient(await repository.open(), {
    person: 'bob',
    environments: ['development'],
    ...grant,
    confirm: yes,
  });
}

const remove = async (
  repository: TestRepository,
  removal: Partial<Removal> = {},
  review: Partial<Review> = {},
): Promise<RemovedRecipient> =>
  removeRecipient(await repository.open(), { person: 'bob', ...removal, confirm: no, ...review });

const rotate = async (
  repository: TestRepository,
  targets: readonly string[] | 'all' = 'all',
  review: Partial<Review> = {},
): Promise<RotatedCells> => rotateCells(await repository.open(), { targets, confirm: no, ...review });

const asPerson = async ({ world }: Person, repository: TestRepository, target: string, key = 'A') =>
  getSecret(await openRepository(world, repository.root), { cell: target, key });

/** A repository in which bob reads development and staging of `database`. */
async function withBob(more: Record<string, Record<string, string>> = {}): Promise<{
  readonly repository: TestRepository;
  readonly bob: Person;
}> {
  const repository = await repositoryWith({
    [cell]: { A: 'one', B: 'two' },
    [staging]: { A: 'three' },
    ...more,
  });
  const bob = await person({ cwd: repository.root });
  await add(repository, { keys: [bob.recipient], environments: ['development', 'staging'] });
  return { repository, bob };
}

const stanzaOf = (text: string, recipient: string): string =>
  new RegExp(` +- recipient: ${recipient}\\n[\\s\\S]*?-----END AGE ENCRYPTED FILE-----\\n`).exec(text)?.[0] ??
  '';
const ivsOf = (text: string): readonly string[] => text.match(/iv:[^,]+/g) ?? [];

async function dataKeyOf(text: string, { identity }: Pick<Person, 'identity'>): Promise<Uint8Array> {
  const file = parseSopsFile(new TextEncoder().encode(text), 'yaml');
  return dataKeyBytes(await unwrapDataKey(file, { ageIdentities: async () => parseAgeIdentities(identity) }));
}

/** What somebody opens with a data key that he kept. */
async function openWith(text: string, dataKey: Uint8Array): Promise<unknown> {
  const file = parseSopsFile(new TextEncoder().encode(text), 'yaml');
  return decryptTree(file, await useDataKey(file, dataKey));
}

describe('recipients remove', () => {
  it('INV-08: neither the old stanza nor the old data key opens what is there after', async () => {
    const { repository, bob } = await withBob();
    const before = repository.read(pathOf(cell));
    const kept = await dataKeyOf(before, bob);
    const result = await remove(repository);
    expect(result).toMatchObject({ changed: true, keys: [bob.recipient], cells: [cell, staging] });
    const after = repository.read(pathOf(cell));
    expect(ivsOf(after).filter((iv) => ivsOf(before).includes(iv))).toEqual([]);
    await expect(openWith(after, kept)).rejects.toThrow();
    repository.write(
      pathOf(cell),
      after.replace('    age:\n', `    age:\n${stanzaOf(before, bob.recipient)}`),
    );
    await expect(asPerson(bob, repository, cell)).rejects.toMatchObject({ code: 'cell_tampered' });
    repository.write(pathOf(cell), after);
    await expect(asPerson(bob, repository, cell)).rejects.toMatchObject({ code: 'cannot_decrypt' });
    expect(await repository.values(cell)).toEqual({ A: 'one', B: 'two' });
  });

  it('names the cells and how many keys must be changed, and who loses what', async () => {
    const { repository, bob } = await withBob();
    const { exposed, changes } = await remove(repository);
    expect(exposed).toEqual([
      { cell, keys: 2 },
      { cell: staging, keys: 1 },
    ]);
    expect(changes).toEqual(
      [cell, staging].map((label) => ({ cell: label, change: 'loses', person: 'bob', key: bob.recipient })),
    );
  });

  it('INV-107: of any operation that writes there is no second copy of anything, and after a removal none that names the removed key', async () => {
    const { repository, bob } = await withBob();
    const open = repository.open;
    const writers: Record<string, () => Promise<unknown>> = {
      set: () => repository.set(cell, 'A', 'changed'),
      'set, a new namespace': () => repository.set('payments/staging', 'C', 'x'),
      delete: async () => deleteSecrets(await open(), { cell, keys: ['B'], confirm: yes }),
      sync: async () => syncMatrix(await open(), { force: false, confirm: yes }),
      rotate: () => rotate(repository, 'all', { confirm: yes }),
      remove: () => remove(repository),
      'rename a namespace': async () =>
        renameName(await open(), { axis: 'namespace', from: 'payments', to: 'billing', confirm: yes }),
    };
    for (const [name, write] of Object.entries(writers)) {
      await write();
      const { manifest } = await open();
      const known = manifest.namespaces.flatMap((namespace) =>
        manifest.environments.flatMap((environment) =>
          ['enc', 'meta'].map((kind) => `secrets/${namespace.name}/${environment.name}.${kind}.yaml`),
        ),
      );
      const files = Object.keys(repository.snapshot()).filter((path) => !path.endsWith('/'));
      expect([name, files.filter((path) => !['clef.yaml', '.sops.yaml', ...known].includes(path))]).toEqual([
        name,
        [],
      ]);
    }
    const hex = Buffer.from(bob.recipient).toString('hex');
    expect(Object.entries(repository.snapshot()).filter(([, content]) => content.includes(hex))).toEqual([]);
  });

  it('cells that the person never read keep their bytes', async () => {
    const { repository } = await withBob({ 'database/production': { A: 'four' } });
    const before = repository.read(pathOf('database/production'));
    await remove(repository);
    expect(repository.read(pathOf('database/production'))).toBe(before);
  });

  it('a cell that has the key although no rule grants it any more is made anew too', async () => {
    const { repository, bob } = await withBob();
    repository.write(
      'clef.yaml',
      repository
        .read('clef.yaml')
        .replace('environments: [development, staging]', 'environments: [development]'),
    );
    const question = (await refused(repository, () => remove(repository))).code;
    expect(question).toBe('not_confirmed');
    expect((await remove(repository, {}, { confirm: yes })).cells).toEqual([cell, staging]);
    await expect(asPerson(bob, repository, staging)).rejects.toMatchObject({ code: 'cannot_decrypt' });
  });

  it('one key of two: the other one goes on', async () => {
    const { repository, bob } = await withBob();
    const laptop = await person({ cwd: repository.root });
    await add(repository, { keys: [laptop.recipient] });
    await remove(repository, { key: laptop.recipient });
    await expect(asPerson(laptop, repository, cell)).rejects.toMatchObject({ code: 'cannot_decrypt' });
    expect(await asPerson(bob, repository, cell)).toBe('one');
  });

  it('access to one environment: the rule is narrowed, the other environment goes on', async () => {
    const { repository, bob } = await withBob();
    expect((await remove(repository, { environments: ['staging'] })).cells).toEqual([staging]);
    await expect(asPerson(bob, repository, staging)).rejects.toMatchObject({ code: 'cannot_decrypt' });
    expect(await asPerson(bob, repository, cell)).toBe('one');
  });

  it('membership of a group', async () => {
    const repository = await repositoryWith(
      { [cell]: { A: 'one' } },
      {
        manifest: (text) =>
          `${text}groups:\n  platform: [alice]\n`.replace('allow: [alice]', 'allow: [alice, platform]'),
      },
    );
    const bob = await person({ cwd: repository.root });
    await addRecipient(await repository.open(), {
      person: 'bob',
      keys: [bob.recipient],
      groups: ['platform'],
      confirm: yes,
    });
    expect(await asPerson(bob, repository, cell)).toBe('one');
    const one = () => remove(repository, { environments: ['development'] });
    expect(await refused(repository, one)).toEqual(quietly('in_use'));
    expect((await remove(repository, { groups: ['platform'] })).cells).toEqual([cell]);
    await expect(asPerson(bob, repository, cell)).rejects.toMatchObject({ code: 'cannot_decrypt' });
  });

  it('D16: what is not there', async () => {
    const { repository } = await withBob();
    for (const removal of [
      { person: 'carol' },
      { key: strangersKey().recipient },
      { key: repository.recipient },
      { environments: ['production'] },
      { groups: ['platform'] },
    ]) {
      expect(await refused(repository, () => remove(repository, removal))).toEqual(
        quietly('unknown_recipient'),
      );
    }
  });

  it('D15: the last who reads a cell cannot be removed, not even confirmed', async () => {
    const repository = await repositoryWith({ [cell]: { A: 'CANARY' } });
    const work = () => remove(repository, { person: 'alice' }, { confirm: yes });
    expect(await refused(repository, work)).toEqual(quietly('no_recipients'));
    const one = () => remove(repository, { person: 'alice', environments: ['staging'] }, { confirm: yes });
    expect(await refused(repository, one)).toEqual(quietly('no_recipients'));
  });

  it('D15: removing yourself asks', async () => {
    const { repository, bob } = await withBob();
    await add(repository, { keys: [bob.recipient], environments: ['production'] });
    const leave = () => remove(repository, { person: 'alice' });
    expect(await refused(repository, leave)).toEqual(quietly('not_confirmed'));
    await remove(repository, { person: 'alice' }, { confirm: yes });
    await expect(repository.get(cell, 'A')).rejects.toMatchObject({ code: 'cannot_decrypt' });
    expect(await asPerson(bob, repository, cell)).toBe('one');
  });

  it('D02: a private key as --key is refused and not echoed', async () => {
    const { repository } = await withBob();
    const { identity } = strangersKey();
    const found = await refused(
      repository,
      () => remove(repository, { key: identity }),
      identity.slice(8, 30),
    );
    expect(found).toEqual(quietly('private_key_given'));
  });

  it('protected cells ask first, with a preview; a dry run writes nothing', async () => {
    const { repository, bob } = await withBob({ 'database/production': { A: 'four' } });
    await add(repository, { keys: [bob.recipient], environments: ['production'] });
    const shown: unknown[] = [];
    const work = () => remove(repository, {}, { show: (changes) => shown.push(changes) });
    expect(await refused(repository, work)).toEqual(quietly('protected'));
    const before = repository.snapshot();
    const dry = await remove(repository, {}, { isDryRun: true });
    expect(repository.snapshot()).toEqual(before);
    expect(shown).toEqual([dry.changes]);
    expect(dry).toMatchObject({ changed: false, cells: [cell, staging, 'database/production'] });
  });

  it('one transaction: where one cell cannot be opened, nothing changes', async () => {
    const { repository } = await withBob();
    const path = pathOf(staging);
    repository.write(path, repository.read(path).replace(/^( +mac: ENC\[AES256_GCM,data:)./m, '$1AAAA'));
    expect(await refused(repository, () => remove(repository))).toMatchObject({ changed: [] });
  });

  it('somebody who lets himself in while a person confirms stops it', async () => {
    const { repository } = await withBob({ 'database/production': { A: 'four' } });
    const confirm = async (): Promise<boolean> => {
      addStanza(repository, pathOf(cell), strangersKey().recipient);
      return true;
    };
    const work = () => rotate(repository, 'all', { confirm });
    expect((await refused(repository, work)).code).toBe('changed_meanwhile');
  });
});

/** What an attacker does: his own recipient with rubbish, so that an honest rotation would let him in (1.3 #15). */
function addStanza(repository: TestRepository, path: string, recipient: string): void {
  const stanza = `        - recipient: ${recipient}\n          enc: rubbish\n`;
  repository.write(path, repository.read(path).replace(/^( {4}age:\n)/m, `$1${stanza}`));
}

describe('rotate', () => {
  it('every IV, ciphertext and stanza is new; the values, the keys and the sidecar are not', async () => {
    const { repository, bob } = await withBob();
    const before = repository.read(pathOf(cell));
    const sidecar = repository.read('secrets/database/development.meta.yaml');
    expect(await rotate(repository, [cell])).toEqual({ cells: [cell], changes: [], changed: true });
    const after = repository.read(pathOf(cell));
    expect(ivsOf(after)).toHaveLength(3);
    for (const pattern of [/iv:[^,]+/g, /data:[^,]+/g, /tag:[^,]+/g, /BEGIN AGE[\s\S]*?END AGE/g]) {
      const old: readonly string[] = before.match(pattern) ?? [];
      expect((after.match(pattern) ?? []).filter((part) => old.includes(part))).toEqual([]);
    }
    expect(Buffer.compare(await dataKeyOf(before, bob), await dataKeyOf(after, bob))).not.toBe(0);
    expect(await repository.values(cell)).toEqual({ A: 'one', B: 'two' });
    expect(await asPerson(bob, repository, cell)).toBe('one');
    expect(repository.read('secrets/database/development.meta.yaml')).toBe(sidecar);
  });

  it('C02, 1.3 #15, INV-07: a stanza that somebody wrote into a file is named, never kept, and opens nothing', async () => {
    const { repository } = await withBob();
    const mallory = await person({ cwd: repository.root });
    addStanza(repository, pathOf(cell), mallory.recipient);
    expect(await refused(repository, () => rotate(repository))).toEqual(quietly('not_confirmed'));
    await expect(rotate(repository)).rejects.toThrow(mallory.recipient.slice(0, 12));
    const { changes } = await rotate(repository, 'all', { confirm: yes });
    expect(changes).toEqual([{ cell, change: 'loses', key: mallory.recipient }]);
    expect(repository.read(pathOf(cell))).not.toContain(mallory.recipient);
    await expect(asPerson(mallory, repository, cell)).rejects.toMatchObject({ code: 'cannot_decrypt' });
  });

  it('the repair after clef.yaml was edited by hand: who gains is shown and asked about', async () => {
    const { repository } = await withBob();
    const carol = await person({ cwd: repository.root });
    repository.write(
      'clef.yaml',
      repository
        .read('clef.yaml')
        .replace('recipients:\n', `recipients:\n  - { name: carol, keys: [${carol.recipient}] }\n`)
        .replace('allow: [alice]', 'allow: [alice, carol]'),
    );
    expect(await refused(repository, () => rotate(repository, [cell]))).toEqual(quietly('not_confirmed'));
    const { changes } = await rotate(repository, [cell], { confirm: yes });
    expect(changes).toEqual([{ cell, change: 'gains', person: 'carol', key: carol.recipient }]);
    expect(await asPerson(carol, repository, cell)).toBe('one');
    await expect(asPerson(carol, repository, staging)).rejects.toMatchObject({ code: 'cannot_decrypt' });
  });

  it('a file that was changed without a key is refused, and nothing is written', async () => {
    const { repository } = await withBob();
    const text = repository.read(pathOf(staging));
    repository.write(pathOf(staging), text.replace(/^A: /m, 'Z: '));
    expect(await refused(repository, () => rotate(repository))).toEqual(quietly('cell_tampered'));
  });

  it('protected cells ask; a cell without a file is missing', async () => {
    const { repository } = await withBob({ 'database/production': { A: 'CANARY' } });
    expect(await refused(repository, () => rotate(repository))).toEqual(quietly('protected'));
    expect(await refused(repository, () => rotate(repository, ['database/stagin']))).toEqual(
      quietly('unknown_environment'),
    );
    const repositoryOfNone = await repositoryWith({ [cell]: { A: '1' } });
    expect(await refused(repositoryOfNone, () => rotate(repositoryOfNone, [staging]))).toEqual(
      quietly('missing_cell'),
    );
  });

  it('tells how far it is', async () => {
    const { repository } = await withBob();
    const told = new Set<string>();
    const progress = ({ what, done, total }: { what: string; done: number; total: number }) =>
      void told.add(`${what} ${done}/${total}`);
    await rotateCells(await repository.open({ progress }), { targets: [cell, staging], confirm: no });
    expect(told).toContain('Making new data keys 2/2');
  });
});

describe('INV-08 over any sequence', () => {
  it('whoever is not granted a cell opens it with nothing that he ever had', async () => {
    const step = fc.record({
      who: fc.constantFrom('bob', 'carol'),
      what: fc.constantFrom('add', 'remove', 'narrow', 'rotate'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 6 }), async (steps) => {
        const repository = await repositoryWith({ [cell]: { A: 'one' }, [staging]: { A: 'two' } });
        const people = {
          bob: await person({ cwd: repository.root }),
          carol: await person({ cwd: repository.root }),
        };
        const granted = { bob: new Set<string>(), carol: new Set<string>() };
        const kept = { bob: new Map<string, Uint8Array>(), carol: new Map<string, Uint8Array>() };
        for (const { who, what } of steps) {
          await takeStep(repository, people, granted, who as 'bob' | 'carol', what);
          for (const name of ['bob', 'carol'] as const) {
            for (const label of [cell, staging]) {
              const text = repository.read(pathOf(label));
              const mine = await dataKeyOf(text, people[name]).catch(() => undefined);
              expect(mine !== undefined).toBe(granted[name].has(label));
              if (mine !== undefined) kept[name].set(label, mine);
              const old = kept[name].get(label);
              if (mine === undefined && old !== undefined)
                await expect(openWith(text, old)).rejects.toThrow();
            }
          }
        }
      }),
      { numRuns: 6 },
    );
  });

  async function takeStep(
    repository: TestRepository,
    people: Record<'bob' | 'carol', Person>,
    granted: Record<'bob' | 'carol', Set<string>>,
    who: 'bob' | 'carol',
    what: string,
  ): Promise<void> {
    const isKnown = granted[who].size > 0;
    if (what === 'add') {
      await add(repository, {
        person: who,
        keys: [people[who].recipient],
        environments: ['development', 'staging'],
      });
      granted[who] = new Set([cell, staging]);
    } else if (what === 'rotate') {
      await rotate(repository);
    } else if (what === 'remove' && isKnown) {
      await remove(repository, { person: who });
      granted[who].clear();
    } else if (what === 'narrow' && granted[who].has(staging)) {
      await remove(repository, { person: who, environments: ['staging'] });
      granted[who].delete(staging);
    }
  }
});
