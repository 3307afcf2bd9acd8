// Several cells, some of their keys, a prefix: what exec and export take (J18, A20, A21, INV-92).
import { describe, expect, it } from 'vitest';
import { type Choice, chooseValues } from '../src/secrets/choose-values.ts';
import { exportSecrets } from '../src/secrets/export-secrets.ts';
import { quietly, refused, repositoryWith } from './repository-with.ts';

const first = 'database/development';
const second = 'payments/development';
const shared = repositoryWith({
  [first]: { A: 'CANARY 1', SHARED: 'CANARY 3', PRELOAD: 'x' },
  [second]: { B: 'CANARY 2', SHARED: 'CANARY 4' },
});

/** What is chosen, and what is said of it. */
async function chosen(choice: Partial<Choice>) {
  const repository = await shared;
  repository.notices.length = 0;
  const values = await chooseValues(await repository.open(), { cell: first, ...choice });
  return { values: Object.fromEntries(values), notices: repository.notices.map(({ message }) => message) };
}

describe('J18: several cells', () => {
  it('the later one counts, and what it replaces is noted by name', async () => {
    expect(await chosen({ also: [second], except: ['PRELOAD'] })).toEqual({
      values: { A: 'CANARY 1', SHARED: 'CANARY 4', B: 'CANARY 2' },
      notices: ['"SHARED" of "database/development" is replaced by that of "payments/development"'],
    });
    const turned = await chosen({ cell: second, also: [first], only: ['SHARED'] });
    expect(turned.values).toEqual({ SHARED: 'CANARY 3' });
  });

  it('a key that is not chosen is no conflict', async () => {
    expect(await chosen({ also: [second], only: ['A', 'B'], strict: true })).toEqual({
      values: { A: 'CANARY 1', B: 'CANARY 2' },
      notices: [],
    });
  });
});

describe('A20, A21: names', () => {
  it.each<readonly [string, Partial<Choice>, Record<string, string>]>([
    ['only', { only: ['A'] }, { A: 'CANARY 1' }],
    ['except', { except: ['SHARED', 'PRELOAD'] }, { A: 'CANARY 1' }],
    ['a prefix', { only: ['A'], prefix: 'APP_' }, { APP_A: 'CANARY 1' }],
    ['no prefix', { only: ['A'], prefix: '' }, { A: 'CANARY 1' }],
    ['the longest prefix', { only: ['A'], prefix: 'P'.repeat(127) }, { [`${'P'.repeat(127)}A`]: 'CANARY 1' }],
  ])('%s', async (_, choice, values) => {
    expect((await chosen(choice)).values).toEqual(values);
  });

  it.each<readonly [string, Partial<Choice>, Parameters<typeof quietly>[0]]>([
    ['a key that is nowhere', { only: ['A', 'NOPE'] }, 'unknown_key'],
    ['a key that is left out and is nowhere', { except: ['NOPE'] }, 'unknown_key'],
    ['only and except', { only: ['A'], except: ['SHARED'] }, 'usage'],
    ['a name that cannot be one', { except: ['A=B'] }, 'bad_name'],
    ['a prefix with "="', { prefix: 'A=' }, 'bad_name'],
    ['a prefix that begins with a digit', { prefix: '1' }, 'bad_name'],
    ['a prefix that makes a name too long', { only: ['SHARED'], prefix: 'P'.repeat(123) }, 'bad_name'],
    ['--strict and a key in two cells', { also: [second], strict: true }, 'key_conflict'],
    ['one cell twice', { also: [first] }, 'usage'],
    ['a cell that is not there', { also: ['payments/staging'] }, 'missing_cell'],
    ['a namespace that is not there', { also: ['nope/development'] }, 'unknown_namespace'],
  ])('%s is refused', async (_, choice, code) => {
    const repository = await shared;
    const work = async () => chooseValues(await repository.open(), { cell: first, ...choice });
    expect(await refused(repository, work)).toEqual(quietly(code));
  });

  it('A21, INV-93: the policy of names looks at the name with its prefix', async () => {
    const repository = await shared;
    const request = { cell: first, only: ['PRELOAD'], prefix: 'LD_', format: 'sh' } as const;
    expect(await refused(repository, async () => exportSecrets(await repository.open(), request))).toEqual(
      quietly('dangerous_name'),
    );
    const allowed = { ...request, allowedEnvironmentNames: ['LD_PRELOAD'] };
    expect(await exportSecrets(await repository.open(), allowed)).toBe("export LD_PRELOAD='x'\n");
  });
});
