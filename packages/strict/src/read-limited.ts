// A stream read whole, but never more of it than its limit: nothing that is fetched may decide how much memory it takes.

/**
 * All bytes of a stream; `undefined` where there are more than `maxBytes`, and the stream is then destroyed.
 * Throws what the stream throws.
 */
export async function readLimited(
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    // Leaving the loop destroys the stream.
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
