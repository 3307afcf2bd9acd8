// The export for shells, evaluated by each shell that people use (INV-96).
import { describe, expect, it } from 'vitest';
import { hasPeer } from '../../../test/peers.ts';
import { evaluated, exported, manyValues } from './exports.ts';
import { oddValues } from './odd-values.ts';

const odd = Object.fromEntries(Object.values(oddValues).map((value, index) => [`K${index}`, value]));

describe.each(['bash', 'dash', 'zsh'] as const)('%s', (shell) => {
  it.runIf(hasPeer(shell))('gives back every odd value', async () => {
    expect(await evaluated(shell, await exported(odd, 'sh'))).toEqual(odd);
  });

  it.runIf(hasPeer(shell))('gives back 1,000 random values', async () => {
    for (const values of manyValues)
      expect(await evaluated(shell, await exported(values, 'sh'))).toEqual(values);
  });
});
