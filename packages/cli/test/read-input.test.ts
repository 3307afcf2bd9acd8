// Standard input: everything up to its end, a limit, and no waiting for ever.
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readInput } from '../src/read-input.ts';
import { UsageError } from '../src/usage-error.ts';

const patient = { maxBytes: 10, silentSeconds: 10 };

describe('readInput', () => {
  it('joins what comes in pieces', async () => {
    const stream = new PassThrough();
    const reading = readInput(stream, patient);
    for (const piece of ['a', 'bc', '']) stream.write(piece);
    stream.end('d');
    expect(Buffer.from(await reading).toString()).toBe('abcd');
  });

  it('A14: 30 s of silence in CI is a usage error (here 20 ms)', async () => {
    const stream = new PassThrough();
    await expect(readInput(stream, { maxBytes: 10, silentSeconds: 0.02 })).rejects.toThrow(UsageError);
    expect(stream.destroyed).toBe(true);
  });

  it('silence after the first byte is the other side at work', async () => {
    const stream = new PassThrough();
    const reading = readInput(stream, { maxBytes: 10, silentSeconds: 0.02 });
    stream.write('a');
    setTimeout(() => stream.end('b'), 60);
    expect(Buffer.from(await reading).toString()).toBe('ab');
  });

  it('A13: stops reading above the limit, and shows that there was more', async () => {
    const stream = new PassThrough();
    stream.write(Buffer.alloc(1000));
    expect((await readInput(stream, patient)).length).toBeGreaterThan(10);
    expect(stream.destroyed).toBe(true);
  });

  it('nothing at all is nothing', async () => {
    const stream = new PassThrough();
    stream.end();
    expect(await readInput(stream, patient)).toHaveLength(0);
  });
});
