// Cells over time: many writers, many keys, and what a change leaves alone.
import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  emptySidecar,
  formatSidecar,
  parseSidecar,
  recordChanges,
  type Sidecar,
} from '../src/cells/sidecar.ts';
import { ClefError } from '../src/errors.ts';
import { keyNameFault, nameFault } from '../src/manifest/names.ts';
import { deleteSecrets } from '../src/secrets/delete-secrets.ts';
import { listKeys } from '../src/secrets/list-keys.ts';
import { setSecret } from '../src/secrets/set-secret.ts';
import { oddKeys } from './odd-values.ts';
import { quietly, refused, repositoryWith, setting, yes } from './repository-with.ts';

const cell = 'database/development';
const path = 'secrets/database/development.enc.yaml';
const sidecarPath = 'secrets/database/development.meta.yaml';

/** The lines that stand in only one of two texts, without those of the sops block. */
function changedLines(before: string, after: string): readonly string[] {
  const [a, b] = [before, after].map((text) => new Set(text.split('\n')));
  const only = [...(a ?? [])]
    .filter((line) => b?.has(line) !== true)
    .concat([...(b ?? [])].filter((line) => a?.has(line) !== true));
  return only.map((line) => line.replace(/^( *[A-Za-z0-9_]+:).*$/, '$1'));
}

describe('what a change leaves alone', () => {
  it('one key of 1,000: that line, lastmodified and mac; in the sidecar one line', async () => {
    const values = Object.fromEntries(
      Array.from({ length: 1000 }, (_, index) => [`KEY_${index}`, `value ${index}`]),
    );
    const repository = await repositoryWith({ [cell]: values });
    const before = [path, sidecarPath].map(repository.read);
    repository.clock.milliseconds += 60_000;
    await repository.set(cell, 'KEY_500', 'another');
    const after = [path, sidecarPath].map(repository.read);
    const block = ['    lastmodified:', '    mac:'];
    expect(changedLines(before[0] ?? '', after[0] ?? '')).toEqual([
      'KEY_500:',
      ...block,
      'KEY_500:',
      ...block,
    ]);
    expect(changedLines(before[1] ?? '', after[1] ?? '')).toEqual(['  KEY_500:', '  KEY_500:']);
    expect(await repository.values(cell)).toEqual({ ...values, KEY_500: 'another' });
  });

  it('INV-15: a value that is set to what it is changes nothing at all', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1', B: '2' } });
    const before = repository.snapshot();
    repository.clock.milliseconds += 60_000;
    expect(await repository.set(cell, 'A', '1')).toEqual({ cell, key: 'A', change: 'unchanged' });
    expect(repository.snapshot()).toEqual(before);
  });

  it('INV-15: every new ciphertext has an IV of its own, also of a value that was there before', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1', B: '1' } });
    const ivs = new Set<string>();
    let count = 0;
    for (const value of ['2', '1', '2', '1']) {
      await repository.set(cell, 'A', value);
      const line = /^A: .*iv:([^,]+),/m.exec(repository.read(path))?.[1] ?? '';
      ivs.add(line);
      count += 1;
    }
    expect(ivs.size).toBe(count);
    const [a, b] = ['A', 'B'].map(
      (key) => new RegExp(`^${key}: ENC\\[AES256_GCM,data:([^,]+)`, 'm').exec(repository.read(path))?.[1],
    );
    expect(a).not.toBe(b);
  });

  it('C16: comments stay where they are and are never listed', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1', B: '2' } });
    repository.write(path, `# about \u001b[31mA\n${repository.read(path).replace(/^B:/m, '# before B\nB:')}`);
    await repository.set(cell, 'B', '3');
    const text = repository.read(path);
    expect(text).toMatch(/^# about/);
    expect(text).toMatch(/^# before B\nB: ENC/m);
    expect(JSON.stringify(await listKeys(await repository.open(), { cell }))).not.toContain('about');
    expect(await repository.values(cell)).toEqual({ A: '1', B: '3' });
  });

  it('a delete takes out the key, its line in the sidecar, and no other line', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1', B: '2', C: '3' } });
    const before = [path, sidecarPath].map(repository.read);
    repository.clock.milliseconds += 60_000;
    await deleteSecrets(await repository.open(), { cell, keys: ['B'], confirm: yes });
    const after = [path, sidecarPath].map(repository.read);
    const block = ['    lastmodified:', '    mac:'];
    expect(changedLines(before[0] ?? '', after[0] ?? '')).toEqual(['B:', ...block, ...block]);
    expect(changedLines(before[1] ?? '', after[1] ?? '')).toEqual(['  B:']);
    expect(await repository.values(cell)).toEqual({ A: '1', C: '3' });
  });
});

describe('INV-102: concurrent writers', () => {
  it('20 sets at once, of one cell, of a new one and of a new namespace: all are there', async () => {
    const repository = await repositoryWith({ [cell]: { FIRST: 'x' } });
    const cells = [cell, 'database/staging', 'payments/development', 'queue/development'];
    const sets = Array.from(
      { length: 20 },
      (_, index) => [cells[index % 4] ?? cell, `KEY_${index}`, `value ${index}`] as const,
    );
    await Promise.all(sets.map(([target, key, value]) => repository.set(target, key, value)));
    for (const [target, key, value] of sets) expect(await repository.get(target, key)).toBe(value);
    expect((await listKeys(await repository.open(), { cell })).map(({ name }) => name).sort()).toEqual(
      ['FIRST', ...sets.filter(([target]) => target === cell).map(([, key]) => key)].sort(),
    );
  });

  it('INV-101: what somebody else writes while a person types stays', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    const value = async (): Promise<Uint8Array> => {
      await repository.set(cell, 'MEANWHILE', 'kept');
      return Buffer.from('typed');
    };
    await setSecret(await repository.open(), { ...setting(cell, 'B', ''), value });
    expect(await repository.values(cell)).toEqual({ A: '1', MEANWHILE: 'kept', B: 'typed' });
  });
});

const keyName = fc.oneof(
  fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/).filter((name) => keyNameFault(name) === undefined),
  fc.constantFrom(...oddKeys),
);
const person = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/).filter((name) => nameFault(name) === undefined);
const time = fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1000);
const sidecar: fc.Arbitrary<Sidecar> = fc
  .array(fc.record({ name: keyName, by: person, at: time }), { maxLength: 12 })
  .map((changes) =>
    changes.reduce(
      (all, { name, by, at }) => recordChanges(all, { set: [name], deleted: [] }, by, at),
      emptySidecar,
    ),
  )
  .chain((base) =>
    fc.uniqueArray(keyName, { maxLength: 4 }).map((pending) => ({ ...base, pending: new Set(pending) })),
  );

describe('the sidecar', () => {
  it('parse after format is identity', () => {
    fc.assert(
      fc.property(sidecar, (one) => {
        const read = parseSidecar(formatSidecar(one), 'x.meta.yaml');
        expect([...read.keys].sort()).toEqual([...one.keys].sort());
        expect([...read.pending].sort()).toEqual([...one.pending].sort());
        expect(formatSidecar(read)).toEqual(formatSidecar(one));
      }),
      { numRuns: 200 },
    );
  });

  it('whatever the bytes, it is a sidecar or a ClefError', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.string().map((text) => Buffer.from(`version: 1\n${text}`)),
        ),
        (bytes) => {
          try {
            parseSidecar(bytes, 'x.meta.yaml');
          } catch (error) {
            expect(error).toBeInstanceOf(ClefError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([
    ['another version', 'version: 2\n'],
    ['no version', 'keys: {}\n'],
    ['an unknown field', 'version: 1\nvalues: { A: CANARY }\n'],
    ['a value instead of a change', 'version: 1\nkeys: { A: CANARY }\n'],
    ['a time without its zone', 'version: 1\nkeys: { A: { changed: 2026-01-31T12:00:00, by: alice } }\n'],
    [
      'an unknown field of a change',
      'version: 1\nkeys: { A: { changed: 2026-01-31T12:00:00Z, by: alice, value: CANARY } }\n',
    ],
    ['a name that is no key', 'version: 1\nkeys: { A-B: { changed: 2026-01-31T12:00:00Z, by: alice } }\n'],
    ['a pending list of maps', 'version: 1\npending: [{ A: CANARY }]\n'],
    ['an anchor', 'version: 1\nkeys: &a {}\npending: *a\n'],
    ['a key twice', 'version: 1\nkeys: {}\nkeys: {}\n'],
    ['C26: a merge conflict', 'version: 1\n<<<<<<< ours\nkeys: {}\n=======\n>>>>>>> theirs\n'],
    ['a list', '- CANARY\n'],
    ['nothing', ''],
  ])('%s is refused, and nothing is written over it', async (_, text) => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    repository.write(sidecarPath, text);
    expect(await refused(repository, () => repository.set(cell, 'B', '2'))).toEqual(quietly('bad_format'));
    expect(await repository.get(cell, 'A')).toBe('1');
  });

  it('where it is missing it is made anew, and reading does not need it', async () => {
    const repository = await repositoryWith({ [cell]: { A: '1' } });
    rmSync(`${repository.root}/${sidecarPath}`);
    expect(await repository.get(cell, 'A')).toBe('1');
    await repository.set(cell, 'B', '2');
    expect(repository.read(sidecarPath)).toMatch(
      /^version: 1\nkeys:\n {2}B: \{ changed: 2026-01-31T12:00:00Z, by: alice \}\n$/,
    );
  });
});
