// Reads the text format of Prometheus, and fails where it is not to the letter.
import { expect } from 'vitest';

export type Samples = ReadonlyMap<string, number>;

/** A strict reader of the format: HELP, TYPE, then the samples of that family, each name and label set once. */
export function readMetrics(text: string): Samples {
  expect(text.endsWith('\n')).toBe(true);
  const samples = new Map<string, number>();
  let family = '';
  let expected: 'HELP' | 'TYPE' | 'sample' = 'HELP';
  for (const line of text.slice(0, -1).split('\n')) {
    const [, kind, name, rest] = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      family = name as string;
      expected = 'TYPE';
      continue;
    }
    if (kind === 'TYPE') {
      expect([expected, name]).toEqual(['TYPE', family]);
      expect(rest).toMatch(family.endsWith('_total') ? /^counter$/ : /^gauge$/);
      expected = 'sample';
      continue;
    }
    const [, sample, labels = '', value] =
      /^([a-z_]+)(\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})? (-?[0-9.e+]+)$/.exec(line) ?? [];
    expect([expected, sample, line]).toEqual(['sample', family, line]);
    expect(samples.has(sample + labels)).toBe(false);
    samples.set(sample + labels, Number(value));
  }
  return samples;
}
