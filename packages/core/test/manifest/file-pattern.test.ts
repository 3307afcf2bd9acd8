// INV-27: an accepted pattern keeps every cell inside of the repository and apart from every other.

import { posix } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allCells } from '../../src/manifest/access.ts';
import {
  cellPath,
  clashingCells,
  defaultFilePattern,
  filePatternFaults,
  sidecarPath,
} from '../../src/manifest/file-pattern.ts';
import { nameFault } from '../../src/manifest/names.ts';

const name = fc.stringMatching(/^[a-c][a-c-]{0,2}$/).filter((text) => nameFault(text) === undefined);
const names = fc.uniqueArray(name, { minLength: 1, maxLength: 4 });
const piece = fc.constantFrom(
  '{namespace}',
  '{environment}',
  '/',
  '-',
  '.',
  '..',
  '~',
  'a',
  'A',
  'B',
  '.git',
  '.clef',
  'secrets',
  'con',
  ' ',
  '\\',
  ':',
  '{',
  '}',
);
const pattern = fc.array(piece, { maxLength: 8 }).map((pieces) => `${pieces.join('')}.enc.yaml`);

describe('file_pattern', () => {
  it('INV-27: accepted means that all files are distinct, inside, and not of git or Clef', () => {
    let accepted = 0;
    fc.assert(
      fc.property(pattern, names, names, (text, namespaces, environments) => {
        const cells = allCells({
          namespaces: namespaces.map((one) => ({ name: one })),
          environments: environments.map((one) => ({ name: one })),
        });
        if (filePatternFaults(text).length > 0 || clashingCells(text, cells) !== undefined) return;
        accepted += 1;
        const files = cells.map((cell) => cellPath(text, cell)).flatMap((path) => [path, sidecarPath(path)]);
        expect(new Set(files.map((file) => file.toLowerCase())).size).toBe(cells.length * 2);
        for (const file of files) {
          expect(posix.normalize(file)).toBe(file);
          expect(posix.isAbsolute(file) || file.startsWith('../')).toBe(false);
          expect(file.toLowerCase().split('/')).not.toEqual(expect.arrayContaining(['.git']));
          expect(file.toLowerCase().split('/')).not.toEqual(expect.arrayContaining(['.clef']));
        }
      }),
      { numRuns: 3000 },
    );
    expect(accepted).toBeGreaterThan(20);
  });

  it('the default puts a cell and its sidecar side by side', () => {
    const path = cellPath(defaultFilePattern, { namespace: 'database', environment: 'production' });
    expect([path, sidecarPath(path)]).toEqual([
      'secrets/database/production.enc.yaml',
      'secrets/database/production.meta.yaml',
    ]);
  });

  it('a placeholder may be there twice', () => {
    const text = '{namespace}/{namespace}-{environment}.enc.yaml';
    expect(filePatternFaults(text)).toEqual([]);
    expect(cellPath(text, { namespace: 'a', environment: 'b' })).toBe('a/a-b.enc.yaml');
  });
});
