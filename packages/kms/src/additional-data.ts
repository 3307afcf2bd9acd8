// What a wrapped key is bound to, as bytes, for the services that take bytes (formats.md, "Wrapping").
import type { KmsContext } from './provider.ts';

/** The label, a NUL, then each value after its length as four bytes, big-endian; undefined where there is no context. */
export function additionalData(context: KmsContext | undefined): Uint8Array | undefined {
  // An empty context is none, as AWS has it.
  if (context === undefined || (context.label === '' && context.entries.length === 0)) return undefined;
  const parts = context.entries.map(([, value]) => {
    const bytes = Buffer.from(value, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  });
  return new Uint8Array(Buffer.concat([Buffer.from(`${context.label}\0`, 'utf8'), ...parts]));
}
