// A stream is read whole, or given up where it is longer than its limit.
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readLimited } from '../src/index.ts';

describe('readLimited', () => {
  const abc = (): Readable => Readable.from([Buffer.from('ab'), Buffer.from('c')], { objectMode: false });

  it('reads as many bytes as the limit, and not one more', async () => {
    expect(await readLimited(abc(), 3)).toEqual(new TextEncoder().encode('abc'));
    expect(await readLimited(abc(), 2)).toBeUndefined();
  });

  it('destroys the stream that goes on past the limit', async () => {
    let asked = 0;
    const endless = new Readable({
      read() {
        asked += 1;
        this.push(Buffer.alloc(1024));
      },
    });
    expect(await readLimited(endless, 4096)).toBeUndefined();
    expect(endless.destroyed).toBe(true);
    expect(asked).toBeLessThan(64);
  });

  it('throws what the stream throws', async () => {
    const broken = new Readable({ read: () => undefined });
    const reading = readLimited(broken, 10);
    broken.destroy(new Error('cut'));
    await expect(reading).rejects.toThrow('cut');
  });
});
