// How much memory the parsers take for the texts that cost them most: each is read in a thread with a bounded heap, and a
// thread that wants more ends with an error. How long a text may be is bounded apart; here it is the shape that counts.
import { Worker } from 'node:worker_threads';
import { buildSync } from 'esbuild';
import { afterAll, describe, expect, it } from 'vitest';
import { formatPlainTree, parsePlainTree } from '../src/index.ts';

const mebibyte = 1024 * 1024;
const figures: string[] = [];
afterAll(() => console.log(figures.join('\n')));

// A thread loads no TypeScript by itself.
const program = buildSync({
  stdin: {
    contents: `
      import { parentPort, workerData } from 'node:worker_threads';
      import { getHeapStatistics } from 'node:v8';
      import { decodeArmor, parseAgeFile } from '../src/age/age-file.ts';
      import { formatNamed } from '../src/formats/all.ts';
      import { defaultLimits } from '../src/formats/format.ts';
      import { parseSopsConfig, SopsError } from '../src/index.ts';
      import { parseMetadata } from '../src/metadata.ts';

      function read(kind: string, bytes: Uint8Array): unknown {
        if (kind === '.sops.yaml') return parseSopsConfig(bytes);
        if (kind === 'armor') return decodeArmor(Buffer.from(bytes).toString('latin1'));
        if (kind === 'age') return parseAgeFile(bytes);
        const { parse, typedMetadata } = formatNamed(kind as never);
        const parsed = parse(bytes, defaultLimits);
        return parsed.metadata === undefined ? parsed : [parsed, parseMetadata(parsed.metadata, { typed: typedMetadata })];
      }

      let [said, kept]: [string, unknown] = ['taken', undefined];
      try {
        kept = read(workerData.kind, workerData.bytes);
      } catch (error) {
        said = error instanceof SopsError ? error.code : String(error);
      }
      parentPort?.postMessage({ said, heapBytes: getHeapStatistics().total_heap_size, kept: kept !== undefined });
    `,
    resolveDir: new URL('.', import.meta.url).pathname,
    loader: 'ts',
  },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  conditions: ['clef-source'],
  write: false,
}).outputFiles[0]?.text;

type Outcome = { readonly said: string; readonly heapBytes: number };

async function outcomeOf(kind: string, text: string, maxMegabytes: number): Promise<Outcome> {
  const thread = new Worker(program ?? '', {
    eval: true,
    workerData: { kind, bytes: new TextEncoder().encode(text) },
    resourceLimits: { maxOldGenerationSizeMb: maxMegabytes, maxYoungGenerationSizeMb: 32 },
  });
  return await new Promise((resolve) => {
    thread.once('message', resolve);
    thread.once('error', (error: { code?: string }) =>
      resolve({ said: error.code ?? String(error), heapBytes: 0 }),
    );
  });
}

function filled(bytes: number, word: string, head = '', tail = ''): string {
  return head + word.repeat((bytes - head.length - tail.length) / word.length) + tail;
}

function numbered(bytes: number, line: (index: number) => string, head = '', tail = ''): string {
  const lines: string[] = [];
  for (let [index, length] = [0, head.length + tail.length]; length < bytes; index += 1) {
    lines.push(line(index));
    length += lines.at(-1)?.length ?? 0;
  }
  return head + lines.join('') + tail;
}

// Ten times ten times ten …: 10^30 values in 1,500 characters, and comments to the end.
function laughing(bytes: number): string {
  const levels = Array.from({ length: 30 }, (_, level) => {
    return `a${level}: &a${level} [${Array(10).fill(level === 0 ? 'x' : `*a${level - 1}`)}]\n`;
  });
  return filled(bytes, '# c\n', levels.join(''));
}

type Row = readonly [kind: string, what: string, text: string, said: string];

describe('memory is bounded', () => {
  it.each<Row>([
    ['yaml', 'a list', filled(mebibyte / 4, '- a\n', 'a:\n'), 'taken'],
    ['yaml', 'a list in brackets', filled(mebibyte / 2, 'a,', 'a: [', ']\n'), 'taken'],
    ['yaml', 'keys with question marks', numbered(mebibyte / 4, (index) => `? k${index}\n`), 'taken'],
    ['yaml', 'a longer list', filled(2 * mebibyte, '- a\n', 'a:\n'), 'limit'],
    ['yaml', 'a longer list in brackets', filled(mebibyte, '[],', 'a: [', ']\n'), 'limit'],
    ['yaml', 'anchors', numbered(2 * mebibyte, (index) => `- &a${index} x\n`, 'a:\n'), 'limit'],
    ['yaml', 'aliases of aliases', laughing(mebibyte), 'limit'],
    ['yaml', 'brackets without end', filled(4 * mebibyte, '[', 'a: '), 'limit'],
    ['yaml', 'dashes without end', filled(4 * mebibyte, '- '), 'limit'],
    ['yaml', 'documents', filled(4 * mebibyte, '---\n'), 'limit'],
    ['yaml', 'a value without its quote', filled(mebibyte, 'a ', 'a: "'), 'parse_error'],
    ['.sops.yaml', 'rules', filled(mebibyte / 4, '- age: a\n', 'creation_rules:\n'), 'taken'],
    ['json', 'a list', filled(mebibyte / 2, '0,', '{"a":[', '0]}'), 'taken'],
    ['json', 'objects', filled(mebibyte, '{},', '{"a":[', '{}]}'), 'taken'],
    ['json', 'brackets without end', filled(4 * mebibyte, '[', '{"a":'), 'limit'],
    ['dotenv', 'keys', filled(mebibyte / 2, 'A=\n'), 'taken'],
    ['dotenv', 'a list of one far element', 'sops_age__list_999999999__map_enc=x\n', 'bad_metadata'],
    ['ini', 'keys', numbered(mebibyte / 2, (index) => `k${index}=\n`), 'taken'],
    ['ini', 'sections', filled(mebibyte / 2, '[a]\n'), 'taken'],
    ['age', 'stanzas', filled(mebibyte, '-> a\n\n', 'age-encryption.org/v1\n'), 'taken'],
  ])(
    'in %s: %s',
    async (kind, what, text, said) => {
      const outcome = await outcomeOf(kind, text, 512);
      figures.push(
        `${kind}, ${what}: ${(text.length / mebibyte).toFixed(2)} MiB, ${outcome.said}, heap ${Math.round(outcome.heapBytes / mebibyte)} MiB`,
      );
      expect(outcome.said).toBe(said);
    },
    60_000,
  );

  it('a thread that wants more than it may ends with an error, as it would above', async () => {
    const { said } = await outcomeOf('yaml', filled(mebibyte / 4, 'a,', 'a: [', ']\n'), 64);
    expect(said).toBe('ERR_WORKER_OUT_OF_MEMORY');
  }, 60_000);

  describe('in INI, where all keys of a section are padded to the longest', () => {
    const wide = `[s]\n${'w'.repeat(mebibyte / 2)}=x\n`;
    const text = numbered(mebibyte, (index) => `k${index}=x\n`, wide);
    const tree = parsePlainTree(Buffer.from(text), 'ini');

    it('what would be gigabytes of blanks is not written', () => {
      expect(() => formatPlainTree(tree, 'ini')).toThrow(expect.objectContaining({ code: 'limit' }));
    });
  });
});
