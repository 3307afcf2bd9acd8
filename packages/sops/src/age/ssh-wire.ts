// The wire encoding of SSH keys (RFC 4251, section 5): strings with their length before them. Reading is strict: every
// length must fit, and nothing may be left over.

/** Reads a run of bytes from its start. Every method gives undefined once something did not fit. */
export type WireReader = {
  readonly string: () => Uint8Array | undefined;
  readonly text: () => string | undefined;
  readonly uint32: () => number | undefined;
  /** A whole number of at least 0 as its bytes, without the leading zero; undefined for any spelling but the shortest. */
  readonly natural: () => Uint8Array | undefined;
  readonly rest: () => Uint8Array;
};

export function readWire(bytes: Uint8Array): WireReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const uint32 = (): number | undefined => {
    if (at + 4 > bytes.length) return undefined;
    at += 4;
    return view.getUint32(at - 4);
  };
  const string = (): Uint8Array | undefined => {
    const length = uint32();
    if (length === undefined || at + length > bytes.length) return undefined;
    at += length;
    return bytes.subarray(at - length, at);
  };
  return {
    string,
    uint32,
    text() {
      const found = string();
      return found === undefined ? undefined : Buffer.from(found).toString('latin1');
    },
    natural() {
      const found = string();
      const [first = 0x80, second = 0x80] = found ?? [];
      const isShortest = first !== 0 || second >= 0x80;
      if (found === undefined || first > 0x7f || !isShortest) return undefined;
      return first === 0 ? found.subarray(1) : found;
    },
    rest: () => bytes.subarray(at),
  };
}

export function wireString(content: Uint8Array | string): Uint8Array {
  const bytes = Buffer.from(content as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** A whole number, given without leading zeros. */
export function wireNatural(bytes: Uint8Array): Uint8Array {
  return wireString((bytes[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
}
