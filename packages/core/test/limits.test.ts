// F-18: sizes that hardly anybody needs. They work in bounded time and memory, or are refused before anything is written.
import { describe, expect, it } from 'vitest';
import { syncMatrix } from '../src/matrix/sync.ts';
import { listKeys } from '../src/secrets/list-keys.ts';
import { fillCell, quietly, refused, repositoryWith, type TestRepository, yes } from './repository-with.ts';

const isFull = process.env['CLEF_FAULT_SWEEP'] === 'full';
const names = (prefix: string, count: number): string =>
  Array.from({ length: count }, (_, index) => `  - name: ${prefix}${index}\n`).join('');

/** A repository whose clef.yaml spans this many cells, none of which has a file. */
function matrixOf(namespaces: number, environments: number): Promise<TestRepository> {
  const manifest = (text: string): string =>
    text
      .replace(/^environments:\n(?: .*\n)+/m, `environments:\n${names('e', environments)}`)
      .replace('namespaces: []', `namespaces:\n${names('n', namespaces)}`);
  return repositoryWith({}, { manifest });
}

/** Seconds of a processor, which others on this machine do not lengthen. */
async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

describe('F-18: a matrix of 10,000 cells', () => {
  it('opens, takes a value, lists itself and plans all its files within seconds and 300 MB', async () => {
    const repository = await matrixOf(100, 100);
    const seconds = await secondsOf(async () => {
      await repository.set('n50/e50', 'A', 'x');
      expect(await repository.get('n50/e50', 'A')).toBe('x');
      const request = { confirm: yes, force: false, isDryRun: !isFull };
      const { cells } = await syncMatrix(await repository.open(), request);
      expect(cells).toHaveLength(9_999);
      expect(await repository.values('n50/e50')).toEqual({ A: 'x' });
      if (isFull) expect(await repository.values('n99/e99')).toEqual({});
    });
    expect(seconds).toBeLessThan(isFull ? 120 : 15);
    expect(process.memoryUsage().rss).toBeLessThan(300 * 1024 * 1024);
  }, 600_000);

  it('one of more than 20,000 is refused as it is read, and so is whatever would change it', async () => {
    const repository = await matrixOf(142, 142);
    expect(await refused(repository, () => repository.set('n1/e1', 'A', 'CANARY'))).toEqual(quietly('limit'));
  });
});

describe('F-18: large cells', () => {
  const cell = 'database/development';

  it('1,000 keys: a change of one is a change of one line, and a value of 1 MB is refused', async () => {
    const repository = await repositoryWith();
    const keys = Array.from({ length: 1_000 }, (_, index) => `K${index}`);
    await fillCell(repository, cell, Object.fromEntries(keys.map((key) => [key, `CANARY ${key}`])));
    const linesOf = () => new Set(repository.read(`secrets/${cell}.enc.yaml`).match(/^K\d+: .*$/gm));
    const before = linesOf();
    await repository.set(cell, 'K500', 'CANARY changed');
    expect([...linesOf()].filter((line) => !before.has(line))).toHaveLength(1);
    expect(await listKeys(await repository.open(), { cell })).toHaveLength(1_000);
    const large = new Uint8Array(1024 * 1024).fill(65);
    expect(await refused(repository, () => repository.set(cell, 'K1', large))).toEqual(
      quietly('value_too_large'),
    );
  });
});
