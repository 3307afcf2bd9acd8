// All of a stream that a person or a program pipes in, and no waiting for ever where nobody does.
import { UsageError } from './usage-error.ts';

/**
 * The bytes of a stream up to its end; where there are more than `maxBytes`, some number above it, so that the caller can
 * refuse them with the limit of what is read.
 * @throws {UsageError} when nothing has arrived for `silentSeconds` from the start.
 */
export async function readInput(
  stream: NodeJS.ReadableStream & { destroy(error?: Error): unknown },
  { maxBytes, silentSeconds }: { readonly maxBytes: number; readonly silentSeconds: number },
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const silence = setTimeout(() => stream.destroy(nothingArrived(silentSeconds)), silentSeconds * 1000);
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      clearTimeout(silence);
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxBytes) break;
    }
  } finally {
    clearTimeout(silence);
  }
  return Buffer.concat(chunks);
}

function nothingArrived(seconds: number): UsageError {
  return new UsageError(
    `Nothing arrived on standard input within ${seconds} seconds`,
    'pipe the value in, or give it in another way that "clef help set" names',
  );
}
