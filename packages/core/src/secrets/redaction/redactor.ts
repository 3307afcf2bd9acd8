// Masks patterns in a stream of chunks. What is written does not depend on where the chunks end: a byte is held back only
// while it may still be part of a pattern.
import type { BytePatterns } from './byte-patterns.ts';

/** What stands for each run of masked bytes. */
export const mask = '[redacted]';

/** One stream's state. `push` returns what is certain by now; `end` the rest. */
export type Redactor = {
  readonly push: (chunk: Uint8Array) => Uint8Array;
  readonly end: () => Uint8Array;
};

/**
 * Masks every byte that any occurrence of a pattern covers; occurrences that overlap or touch become one mask. Holds back
 * at most one byte less than the longest pattern has.
 */
export function redactor(patterns: BytePatterns): Redactor {
  const marker = Buffer.from(mask);
  let held: Uint8Array = new Uint8Array(0);
  /** 1 for each byte of `held` that is to be masked: it may wait behind one that is undecided. */
  let heldCover: Uint8Array = new Uint8Array(0);
  let state = 0;
  /** Whether the last byte that was let go was masked. */
  let isMasking = false;

  const release = (bytes: Uint8Array, cover: Uint8Array, decided: number): Uint8Array => {
    const parts: Uint8Array[] = [];
    let at = 0;
    while (at < bytes.length && (at < decided || cover[at] === 1)) {
      const isCovered = cover[at] === 1;
      const end = endOfRun(cover, at, isCovered ? bytes.length : decided);
      if (!isCovered) parts.push(bytes.subarray(at, end));
      else if (!isMasking) parts.push(marker);
      isMasking = isCovered;
      at = end;
    }
    // Copies: the chunk may be memory that its stream uses again.
    held = bytes.slice(at);
    heldCover = cover.slice(at);
    return Buffer.concat(parts);
  };

  return {
    push(chunk) {
      const bytes = new Uint8Array(Buffer.concat([held, chunk]));
      const cover = new Uint8Array(bytes.length);
      cover.set(heldCover);
      for (let at = held.length; at < bytes.length; at += 1) {
        state = patterns.next(state, bytes[at] as number);
        const length = patterns.matchOf(state);
        // It may begin before what is held: in bytes that another match has covered and let go.
        if (length > 0) cover.fill(1, Math.max(0, at + 1 - length), at + 1);
      }
      return release(bytes, cover, bytes.length - patterns.depthOf(state));
    },
    end: () => release(held, heldCover, held.length),
  };
}

/** Where the run of equal marks that begins at `from` ends. */
function endOfRun(cover: Uint8Array, from: number, limit: number): number {
  let end = from + 1;
  while (end < limit && cover[end] === cover[from]) end += 1;
  return end;
}
