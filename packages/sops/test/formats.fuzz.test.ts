// Every parser on damaged text: corpora of real files, cut, doubled and spiked with words of the format's grammar.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { formatNamed } from '../src/formats/all.ts';
import { defaultLimits } from '../src/formats/format.ts';
import { type FormatName, SopsError } from '../src/index.ts';
import { parseMetadata } from '../src/metadata.ts';
import { manifest, vectorsFolder } from './vectors.ts';

const runsPerParser = 400;
const maxBytes = 64 * 1024;
// For YAML nearly all of it goes into the parser that we use: 64 KiB of "|\n" are 130,000 tokens.
const maxMilliseconds: Readonly<Record<FormatName, number>> = {
  yaml: 400,
  json: 100,
  dotenv: 100,
  ini: 100,
  binary: 100,
};

const words: Readonly<Record<FormatName, readonly string[]>> = {
  yaml: [
    '- ',
    '? ',
    ': ',
    '&a ',
    '*a',
    '!!binary ',
    '!x ',
    '|\n',
    '>-\n',
    '---\n',
    '...\n',
    '{',
    '}',
    '[',
    ']',
    '#',
    '"',
    "'",
    '<<: ',
    '%YAML 1.1\n',
    '\t',
    '    ',
    '\u2028',
    '\ufeff',
    'sops:\n',
    '\r\n',
  ],
  json: [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '\\u',
    '\\ud800',
    '-',
    '0',
    '1e400',
    '.5',
    'null',
    'true',
    '"sops":',
    '{"a":',
    '[[',
    '\ufeff',
    '\n',
    '\0',
  ],
  dotenv: [
    '=',
    '#',
    '\n',
    '\r\n',
    '\\n',
    'sops_',
    '__map_',
    '__list_',
    '0',
    'sops_age__list_0__map_enc=',
    'A=',
    '\0',
    '\ufeff',
  ],
  ini: [
    '[',
    ']',
    '=',
    ':',
    ';',
    '#',
    '"',
    '"""',
    '`',
    "'",
    '\\\n',
    '\n',
    '\r\n',
    '-',
    '[sops]\n',
    '[DEFAULT]\n',
    'k = ',
    '__map_',
    '__list_',
    '\u00a0',
  ],
  binary: ['{', '"data":', '"', 'ENC[AES256_GCM,data:', ',iv:', ',tag:', ',type:', ']', '\\', ','],
};

function corpusOf(format: FormatName): Uint8Array[] {
  const paths = manifest.cases.flatMap(({ format: name, file, source }) => {
    return name === format ? [file, source].filter((path) => path !== undefined) : [];
  });
  return paths
    .map((path) => new Uint8Array(readFileSync(vectorsFolder + path)))
    .filter(({ length }) => length <= maxBytes);
}

type Change =
  | { readonly kind: 'insert'; readonly at: number; readonly word: string; readonly times: number }
  | { readonly kind: 'cut' | 'double'; readonly at: number; readonly length: number }
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number };

// Places are shares of the text, so that a smaller text fails at the like place.
function anyChange(format: FormatName): fc.Arbitrary<Change> {
  const at = fc.double({ min: 0, max: 1, noNaN: true });
  const length = fc.oneof(fc.nat(8), fc.nat(2000));
  const times = fc.oneof(
    { arbitrary: fc.constant(1), weight: 8 },
    { arbitrary: fc.nat(maxBytes), weight: 1 },
  );
  return fc.oneof(
    fc.record({ kind: fc.constant('insert' as const), at, word: fc.constantFrom(...words[format]), times }),
    fc.record({ kind: fc.constantFrom('cut' as const, 'double' as const), at, length }),
    fc.record({ kind: fc.constant('flip' as const), at, bit: fc.nat(7) }),
  );
}

function changed(bytes: Uint8Array, change: Change): Uint8Array {
  const at = Math.floor(change.at * bytes.length);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  if (change.kind === 'insert') {
    const word = Buffer.from(change.word.repeat(Math.ceil(change.times / change.word.length)));
    return Buffer.concat([before, word, after]).subarray(0, maxBytes);
  }
  if (change.kind === 'cut') return Buffer.concat([before, after.subarray(change.length)]);
  if (change.kind === 'double') {
    return Buffer.concat([before, after.subarray(0, change.length), after]).subarray(0, maxBytes);
  }
  return bytes.map((byte, index) =>
    index === at && change.kind === 'flip' ? byte ^ (1 << change.bit) : byte,
  );
}

/** True when the text was taken; an error that is not ours comes through. */
function isTaken(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof SopsError) return false;
    throw error;
  }
}

function readAll(format: FormatName, bytes: Uint8Array): boolean {
  const { parse, parsePlain, typedMetadata } = formatNamed(format);
  const isPlain = isTaken(() => parsePlain(bytes, defaultLimits));
  const isFile = isTaken(() => {
    const { metadata } = parse(bytes, defaultLimits);
    if (metadata !== undefined) parseMetadata(metadata, { typed: typedMetadata });
  });
  return isPlain || isFile;
}

// Processor time, and the best of a few goes: what others do on the machine is not what is measured.
function costOf(format: FormatName, bytes: Uint8Array): number {
  let best = Number.POSITIVE_INFINITY;
  for (let go = 0; go < 5 && best > maxMilliseconds[format] / 4; go += 1) {
    const start = process.cpuUsage();
    readAll(format, bytes);
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, (user + system) / 1000);
  }
  // Both ways of reading were taken.
  return best / 2;
}

describe('damaged files', () => {
  const figures: string[] = [];
  afterAll(() => console.log(figures.join('\n')));

  it.each(Object.keys(words) as FormatName[])(
    'of %s are read or refused with an error of ours, in time',
    (format) => {
      const corpus = corpusOf(format);
      const file = fc.tuple(
        fc.nat(corpus.length - 1),
        fc.array(anyChange(format), { minLength: 1, maxLength: 4 }),
      );
      let [runs, taken, slowest, total] = [0, 0, 0, 0];
      fc.assert(
        fc.property(file, ([index, changes]) => {
          const bytes = changes.reduce(changed, corpus[index] ?? new Uint8Array());
          runs += 1;
          total += bytes.length;
          if (readAll(format, bytes)) taken += 1;
          const cost = costOf(format, bytes);
          slowest = Math.max(slowest, cost);
          expect(cost).toBeLessThan(maxMilliseconds[format]);
        }),
        { numRuns: runsPerParser },
      );
      figures.push(
        `${format}: ${runs} damaged files, ${taken} taken, ${(total / 1e6).toFixed(1)} MB, slowest ${slowest.toFixed(1)} ms`,
      );
    },
  );
});
