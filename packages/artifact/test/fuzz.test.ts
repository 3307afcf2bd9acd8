// Whatever comes in, an ArtifactError comes out, or the artifact: no parser of this package throws anything else, and none
// says a word of what it read.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseArtifact } from '../src/artifact.ts';
import { ArtifactError } from '../src/artifact-error.ts';
import { inspectArtifact } from '../src/inspect-artifact.ts';
import { checkArtifact, openArtifact } from '../src/open.ts';
import { parseSecrets } from '../src/secrets.ts';
import { envelope, header, kmsKey, memoryKms, payloadOf, policyWith, seal, signed } from './workshop.ts';

const canary = 'canaryqzvx';
const runs = { numRuns: 400 };

/** The code, or "passed". Anything but an ArtifactError is the failure that is looked for. */
async function outcome(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'passed';
  } catch (error) {
    if (!(error instanceof ArtifactError)) throw error;
    expect(`${error.stack} ${error.faults.join()} ${String(error.cause)}`).not.toContain(canary);
    return error.code;
  }
}

const bytes = fc.uint8Array({ maxLength: 400 });
const words = [
  'payload',
  'payloadType',
  'signatures',
  'seal',
  'key',
  'revoked',
  'header',
  'secrets',
  '__proto__',
];
const names = fc.constantFrom(...words, ...Object.keys(header), 'x', '');
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, true, 0, -1, 1.5, 1e21, '', canary, kmsKey.text, header.repository, 'AAAA'),
    fc.string({ maxLength: 20 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(names, tie('value'), { maxKeys: 6 }),
  ),
}));

/** A good thing with some of its fields replaced, or taken away. */
const changes = fc.dictionary(names, json.value, { maxKeys: 4 });

describe('no parser throws what it should not', () => {
  it('bytes', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, async (input) => {
        expect(await outcome(() => parseArtifact(input))).not.toBe('passed');
        await outcome(() => inspectArtifact(input));
        await outcome(() => checkArtifact(input, policyWith()));
      }),
      runs,
    );
  });

  it('any JSON as the envelope', async () => {
    await fc.assert(
      fc.asyncProperty(json.value, async (value) => {
        const input = Buffer.from(JSON.stringify(value) ?? '');
        expect(['format', 'too_large', 'signature']).toContain(await outcome(() => parseArtifact(input)));
      }),
      runs,
    );
  });

  it('a good payload with other fields, signed', async () => {
    const kms = memoryKms();
    const good = payloadOf(await seal(kms));
    await fc.assert(
      fc.asyncProperty(changes, async (other) => {
        const input = await signed({ ...good, ...other });
        const code = await outcome(() => openArtifact(input, policyWith(), { kms }));
        if (Object.keys(other).length > 0) expect(code).toMatch(/^[a-z_]+$/);
        await outcome(() => inspectArtifact(input));
      }),
      runs,
    );
  });

  it('any list of signatures', async () => {
    const good = payloadOf(await seal(memoryKms()));
    await fc.assert(
      fc.asyncProperty(json.value, async (signatures) => {
        const input = envelope(Buffer.from(JSON.stringify(good)), signatures);
        expect(['unsigned', 'signature', 'format', 'too_large']).toContain(
          await outcome(() => checkArtifact(input, policyWith())),
        );
      }),
      runs,
    );
  });

  it('any plaintext', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(bytes, changes), async (input) => {
        const text =
          input instanceof Uint8Array
            ? Buffer.from(input)
            : Buffer.from(
                JSON.stringify({ header, secrets: { A: canary, [canary]: 1 }, [canary]: 1, ...input }),
              );
        const padded = Buffer.concat([text, Buffer.alloc(4096 - (text.length % 4096), ' ')]);
        const code = await outcome(() => parseSecrets(padded, header));
        expect(['passed', 'bad_content', 'header_mismatch']).toContain(code);
      }),
      runs,
    );
  });
});
