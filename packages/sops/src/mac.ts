// The MAC of a file: SHA-512 over the values in file order, as 128 upper-case hexadecimal digits.
import { createHash } from 'node:crypto';
import { decodeHex } from '@clef/strict';
import type { Leaf } from './tree.ts';

// SHA-256 of the text "sops": fed first when only encrypted values count (spec sops-format, section 6).
const macOnlyEncryptedPrefix = '8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69';

/** A running MAC. */
export type MacBuilder = {
  /** Takes the next value of the walk. Nulls and empty strings add nothing. */
  readonly add: (leaf: Leaf, isEncrypted: boolean) => void;
  readonly finish: () => string;
};

export function startMac({ macOnlyEncrypted }: { macOnlyEncrypted: boolean }): MacBuilder {
  const hash = createHash('sha512');
  if (macOnlyEncrypted) hash.update(decodeHex(macOnlyEncryptedPrefix));
  return {
    add(leaf, isEncrypted) {
      if (leaf.type === 'null' || (macOnlyEncrypted && !isEncrypted)) return;
      hash.update(leaf.bytes);
    },
    finish: () => hash.digest('hex').toUpperCase(),
  };
}
