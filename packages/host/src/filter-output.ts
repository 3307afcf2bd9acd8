// Between what a child writes and our own streams: a filter sees every byte, and a slow reader slows the child down.
import type { Readable, Writable } from 'node:stream';

/** Gets a stream chunk by chunk. What it returns is written on at once. */
export type OutputFilter = {
  readonly push: (chunk: Uint8Array) => Uint8Array;
  /** What it has kept back, when the stream ends. */
  readonly end: () => Uint8Array;
};

/** Settles when all of `from` has been written to `to`, which stays open. */
export function pipeThrough(from: Readable, filter: OutputFilter, to: Writable): Promise<void> {
  return new Promise((settle) => {
    from.on('data', (chunk: Uint8Array) => {
      const bytes = filter.push(chunk);
      if (bytes.length === 0 || to.write(bytes)) return;
      from.pause();
      to.once('drain', () => from.resume());
    });
    from.once('close', () => {
      const rest = filter.end();
      // A reader that went away is dealt with by whoever owns the stream.
      to.write(rest, () => settle());
    });
  });
}
