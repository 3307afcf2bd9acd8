// Bech32 (BIP 173) as age uses it: no length limit, one case, checksum verified. Its errors never hold the text.
const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const checksumLength = 6;

/** The human-readable part (lower case) and the bytes, or undefined when the text is not canonical Bech32. */
export function decodeBech32(text: string): { prefix: string; bytes: Uint8Array } | undefined {
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) return undefined;
  const separator = lower.lastIndexOf('1');
  if (separator < 1 || separator + checksumLength >= lower.length) return undefined;
  const prefix = lower.slice(0, separator);
  const digits = Array.from(lower.slice(separator + 1), (character) => alphabet.indexOf(character));
  if (!/^[\x21-\x7e]+$/.test(prefix) || digits.includes(-1)) return undefined;
  if (checksum([...expandPrefix(prefix), ...digits]) !== 1) return undefined;
  const bytes = regroup(digits.slice(0, -checksumLength));
  return bytes === undefined ? undefined : { prefix, bytes };
}

/** The lower-case Bech32 text of some bytes. */
export function encodeBech32(prefix: string, bytes: Uint8Array): string {
  const digits = splitIntoDigits(bytes);
  const sum = checksum([...expandPrefix(prefix), ...digits, 0, 0, 0, 0, 0, 0]) ^ 1;
  const tail = Array.from({ length: checksumLength }, (_, index) => (sum >>> (5 * (5 - index))) & 31);
  return `${prefix}1${[...digits, ...tail].map((digit) => alphabet[digit]).join('')}`;
}

function expandPrefix(prefix: string): number[] {
  const codes = Array.from(prefix, (character) => character.charCodeAt(0));
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
}

function checksum(values: readonly number[]): number {
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    generators.forEach((generator, bit) => {
      if (((top >>> bit) & 1) === 1) sum ^= generator;
    });
  }
  return sum >>> 0;
}

// Five-bit digits to bytes; leftover bits must be fewer than five and zero.
function regroup(digits: readonly number[]): Uint8Array | undefined {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const digit of digits) {
    held = ((held << 5) | digit) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >>> bits) & 0xff);
    }
  }
  const leftover = held & ((1 << bits) - 1);
  return bits >= 5 || leftover !== 0 ? undefined : Uint8Array.from(bytes);
}

function splitIntoDigits(bytes: Uint8Array): number[] {
  const digits: number[] = [];
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      digits.push((held >>> bits) & 31);
    }
  }
  if (bits > 0) digits.push((held << (5 - bits)) & 31);
  return digits;
}
