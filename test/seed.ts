// One seed for all property tests, so that a run can be had again: CLEF_TEST_SEED is another one, which a failure names.
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';

const seed = Number(process.env['CLEF_TEST_SEED'] ?? 20_261_126);
if (!Number.isSafeInteger(seed)) throw new Error('CLEF_TEST_SEED is not a whole number');

// Loading it takes a tenth of a second, and most test files have no properties.
const { testPath } = expect.getState();
if (testPath === undefined || readFileSync(testPath, 'utf8').includes("from 'fast-check'")) {
  const { default: fc } = await import('fast-check');
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
}
