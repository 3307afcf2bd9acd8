// Every parser on damaged text: corpora of real files, cut, doubled, crossed with each other and spiked with words of their
// grammar; and on text that is nothing but such words. CLEF_FUZZ_SECONDS=300 looks on for as long, CLEF_TEST_SEED elsewhere.
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { isTaken, maxBytes, parsers, type TextParser } from './parsers.ts';

const maxMilliseconds = 100;
const runsPerParser = 250;
const secondsPerParser = Number(process.env['CLEF_FUZZ_SECONDS'] ?? 0) / Object.keys(parsers).length;
const figures: string[] = [];

type Change =
  | {
      readonly kind: 'insert' | 'replace';
      readonly at: number;
      readonly word: string;
      readonly times: number;
    }
  | { readonly kind: 'cut' | 'double' | 'swap'; readonly at: number; readonly length: number }
  | { readonly kind: 'cross'; readonly at: number; readonly other: number }
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number };

// Places are shares of the text, so that a smaller text fails at the like place. Made of integers: of the doubles below 1
// nearly all are next to 0, and all damage would be done to the first byte.
function anyChange({ words, corpus }: TextParser): fc.Arbitrary<Change> {
  const at = fc.nat(0xfffff).map((share) => share / 0x100000);
  const length = fc.oneof(fc.nat(8), fc.nat(2000));
  const times = fc.oneof(
    { arbitrary: fc.constant(1), weight: 8 },
    { arbitrary: fc.nat(maxBytes), weight: 1 },
  );
  const kind = fc.constantFrom('insert' as const, 'replace' as const);
  return fc.oneof(
    fc.record({ kind, at, word: fc.constantFrom(...words), times }),
    fc.record({ kind: fc.constantFrom('cut' as const, 'double' as const, 'swap' as const), at, length }),
    fc.record({ kind: fc.constant('cross' as const), at, other: fc.nat(corpus.length - 1) }),
    fc.record({ kind: fc.constant('flip' as const), at, bit: fc.nat(7) }),
  );
}

function changed(bytes: Uint8Array, change: Change, { words, corpus }: TextParser): Uint8Array {
  const at = Math.floor(change.at * bytes.length);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (change.kind) {
    case 'insert':
      return bytesOf(before, repeated(change.word, change.times), after);
    case 'replace':
      return bytesOf(
        before,
        Buffer.from(replaced(Buffer.from(after).toString('latin1'), change.word, words), 'latin1'),
      );
    case 'cut':
      return bytesOf(before, after.subarray(change.length));
    case 'double':
      return bytesOf(before, after.subarray(0, change.length), after);
    case 'swap':
      return bytesOf(before, after.subarray(change.length), after.subarray(0, change.length));
    case 'cross': {
      const other = corpus[change.other] ?? after;
      return bytesOf(before, other.subarray(Math.floor(change.at * other.length)));
    }
    case 'flip':
      return bytes.map((byte, index) => (index === at ? byte ^ (1 << change.bit) : byte));
  }
}

function bytesOf(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts).subarray(0, maxBytes);
}

function repeated(word: string, characters: number): Uint8Array {
  return Buffer.from(word.repeat(Math.max(1, Math.ceil(characters / word.length))));
}

// The first word of the grammar that stands there becomes another.
function replaced(text: string, word: string, words: readonly string[]): string {
  const places = words.map((old) => [text.indexOf(old), old] as const).filter(([place]) => place !== -1);
  const [place, old = ''] = places.sort(([a], [b]) => a - b)[0] ?? [0];
  return text.slice(0, place) + word + text.slice(place + old.length);
}

function damagedText(parser: TextParser): fc.Arbitrary<Uint8Array> {
  const changes = fc.array(anyChange(parser), { minLength: 1, maxLength: 4 });
  return fc.tuple(fc.constantFrom(...parser.corpus), changes).map(([bytes, list]) => {
    return list.reduce((text, change) => changed(text, change, parser), bytes);
  });
}

// As much as there may be of a few words, behind a beginning of its own.
function wordyText({ words }: TextParser): fc.Arbitrary<Uint8Array> {
  const some = (maxLength: number) =>
    fc.array(fc.constantFrom(...words), { minLength: 1, maxLength }).map((list) => list.join(''));
  return fc
    .tuple(some(2), some(4))
    .map(([start, phrase]) => bytesOf(Buffer.from(start), repeated(phrase, maxBytes)));
}

async function isRead(parser: TextParser, bytes: Uint8Array): Promise<boolean> {
  let taken = false;
  const error: unknown = await Promise.resolve()
    .then(async () => {
      taken = await parser.read(bytes);
    })
    .catch((thrown: unknown) => thrown);
  return isTaken(() => {
    if (error !== undefined) throw error;
  })
    ? taken
    : false;
}

// Processor time, and the best of a few goes where one would be a record: what others do on the machine is not measured.
async function measured(
  parser: TextParser,
  bytes: Uint8Array,
  record: number,
): Promise<{ taken: boolean; cost: number }> {
  let [taken, cost] = [false, Number.POSITIVE_INFINITY];
  for (let go = 0; go < 6 && cost > record; go += 1) {
    const start = process.cpuUsage();
    taken = await isRead(parser, bytes);
    const { user, system } = process.cpuUsage(start);
    cost = Math.min(cost, (user + system) / 1000 / (parser.passes ?? 1));
  }
  return { taken, cost };
}

describe('damaged text', () => {
  afterAll(() => console.log(figures.join('\n')));

  it.each(Object.keys(parsers))(
    'of the kind %s is read or refused with an error of ours, in time',
    async (name) => {
      const parser = parsers[name] as TextParser;
      const text = fc.oneof(
        { arbitrary: damagedText(parser), weight: 9 },
        { arbitrary: wordyText(parser), weight: 1 },
      );
      let [runs, taken, slowest, total] = [0, 0, 0, 0];
      for (const bytes of [...parser.corpus, ...parser.words.map((word) => repeated(word, maxBytes))]) {
        const { cost } = await measured(parser, bytes.subarray(0, maxBytes), maxMilliseconds);
        slowest = Math.max(slowest, cost);
        expect(cost).toBeLessThan(maxMilliseconds);
      }
      await fc.assert(
        fc.asyncProperty(text, async (bytes) => {
          runs += 1;
          total += bytes.length;
          const found = await measured(parser, bytes, slowest);
          taken += found.taken ? 1 : 0;
          slowest = Math.max(slowest, found.cost);
          expect(found.cost).toBeLessThan(maxMilliseconds);
        }),
        secondsPerParser > 0
          ? { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: secondsPerParser * 1000 }
          : { numRuns: runsPerParser },
      );
      figures.push(
        `${name}: ${runs} texts, ${taken} taken, ${(total / 1e6).toFixed(1)} MB, slowest ${slowest.toFixed(1)} ms`,
      );
    },
    30_000 + secondsPerParser * 2000,
  );
});
