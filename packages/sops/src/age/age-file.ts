// The age file format, version 1, both ways: armor, header, payload. As strict as the reference implementations:
// one spelling of every header, canonical base64, no trailing data. Opening is left to the stanza's key type.
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { decodeBase64, encodeBase64, StrictError } from '@clef/strict';
import { openChaCha20Poly1305, sealChaCha20Poly1305 } from './x25519.ts';

const versionLine = 'age-encryption.org/v1';
const armorHeader = '-----BEGIN AGE ENCRYPTED FILE-----';
const armorFooter = '-----END AGE ENCRYPTED FILE-----';
const columns = 64;
const chunkBytes = 64 * 1024;
const nonceBytes = 16;
const tagBytes = 16;
const fileKeyBytes = 16;

export type AgeStanza = { readonly args: readonly string[]; readonly body: Uint8Array };

/** A parsed file, nothing of it verified yet. */
export type AgeFile = {
  readonly stanzas: readonly AgeStanza[];
  readonly mac: Uint8Array;
  /** The header as far as the MAC covers it. */
  readonly authenticated: Uint8Array;
  readonly payload: Uint8Array;
};

/** The bytes inside an armor, or undefined when it is malformed. Line ends may be CRLF; white space may surround it. */
export function decodeArmor(text: string): Uint8Array | undefined {
  const lines = text.trim().replaceAll('\r\n', '\n').split('\n');
  if (lines.shift() !== armorHeader || lines.pop() !== armorFooter || lines.length === 0) return undefined;
  const isRegular = lines.every((line, index) =>
    index < lines.length - 1 ? line.length === columns : line.length > 0 && line.length <= columns,
  );
  return isRegular ? decodeOrUndefined(lines.join('')) : undefined;
}

/** The armored text of a file, ending in a newline. */
export function encodeArmor(file: Uint8Array): string {
  return [armorHeader, ...wrap(encodeBase64(file)), armorFooter, ''].join('\n');
}

/** The parts of a binary age file, or undefined when the header is malformed. */
export function parseAgeFile(file: Uint8Array): AgeFile | undefined {
  const reader = headerLines(file);
  if (reader.next() !== versionLine) return undefined;
  const stanzas: AgeStanza[] = [];
  for (let line = reader.next(); line !== undefined; line = reader.next()) {
    if (line.startsWith('---')) return finishHeader(file, line, stanzas, reader.offset());
    const stanza = parseStanza(line, reader.next);
    if (stanza === undefined) return undefined;
    stanzas.push(stanza);
  }
  return undefined;
}

/** The plaintext under a file key; 'header' when the MAC, 'payload' when the rest does not verify. */
export function openAgeFile(file: AgeFile, fileKey: Uint8Array): Uint8Array | 'header' | 'payload' {
  if (fileKey.length !== fileKeyBytes) return 'header';
  if (!timingSafeEqual(headerMac(fileKey, file.authenticated), file.mac)) return 'header';
  if (file.payload.length < nonceBytes) return 'payload';
  const key = derive(fileKey, file.payload.subarray(0, nonceBytes), 'payload');
  return openChunks(key, file.payload.subarray(nonceBytes)) ?? 'payload';
}

/** A binary age file around stanzas that already wrap the file key. */
export function sealAgeFile(
  stanzas: readonly AgeStanza[],
  plaintext: Uint8Array,
  { fileKey, nonce }: { fileKey: Uint8Array; nonce: Uint8Array },
): Uint8Array {
  const lines = stanzas.flatMap(stanzaLines);
  const header = Buffer.from(`${[versionLine, ...lines].join('\n')}\n---`, 'latin1');
  const mac = unpadded(headerMac(fileKey, header));
  const chunks = sealChunks(derive(fileKey, nonce, 'payload'), plaintext);
  return Buffer.concat([header, Buffer.from(` ${mac}\n`), nonce, ...chunks]);
}

/** Canonical base64 without padding, as headers have it; undefined for any other spelling. */
export function decodeUnpadded(text: string): Uint8Array | undefined {
  if (text.includes('=') || text.length % 4 === 1) return undefined;
  return decodeOrUndefined(text + '='.repeat((4 - (text.length % 4)) % 4));
}

export function unpadded(bytes: Uint8Array): string {
  return encodeBase64(bytes).replace(/=+$/, '');
}

function decodeOrUndefined(text: string): Uint8Array | undefined {
  try {
    return decodeBase64(text);
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}

type Lines = { next: () => string | undefined; offset: () => number };

// Header lines end in LF and hold printable ASCII only.
function headerLines(file: Uint8Array): Lines {
  let offset = 0;
  const next = () => {
    const end = file.indexOf(0x0a, offset);
    if (end === -1) return undefined;
    const line = Buffer.from(file.subarray(offset, end)).toString('latin1');
    offset = end + 1;
    return /^[\x20-\x7e]*$/.test(line) ? line : undefined;
  };
  return { next, offset: () => offset };
}

/** One stanza as a plugin writes it, from its first line on; undefined when it is malformed. Its body may be of any length. */
export async function parseStanzaLines(
  line: string,
  next: () => Promise<string | undefined>,
): Promise<AgeStanza | undefined> {
  const lines: string[] = [];
  for (let isLast = false; !isLast; ) {
    const text = await next();
    if (text === undefined || text.length > columns) return undefined;
    lines.push(text);
    isLast = text.length < columns;
  }
  const isPrintable = [line, ...lines].every((text) => /^[\x20-\x7e]*$/.test(text));
  return isPrintable ? parseStanza(line, () => lines.shift()) : undefined;
}

/** One stanza by itself, as it is written to a plugin. */
export function formatAgeStanza(stanza: AgeStanza): Uint8Array {
  return Buffer.from(`${stanzaLines(stanza).join('\n')}\n`, 'latin1');
}

function stanzaLines({ args, body }: AgeStanza): string[] {
  return [`-> ${args.join(' ')}`, ...wrapBody(body)];
}

function parseStanza(line: string, next: () => string | undefined): AgeStanza | undefined {
  if (!line.startsWith('-> ')) return undefined;
  const args = line.slice(3).split(' ');
  if (args.some((argument) => argument === '')) return undefined;
  const parts: Uint8Array[] = [];
  for (;;) {
    const text = next();
    const part = text === undefined || text.length > columns ? undefined : decodeUnpadded(text);
    if (text === undefined || part === undefined) return undefined;
    parts.push(part);
    if (text.length < columns) return { args, body: Buffer.concat(parts) };
  }
}

function finishHeader(
  file: Uint8Array,
  line: string,
  stanzas: readonly AgeStanza[],
  payloadStart: number,
): AgeFile | undefined {
  const mac = line.startsWith('--- ') ? decodeUnpadded(line.slice(4)) : undefined;
  if (mac === undefined || mac.length !== 32 || stanzas.length === 0) return undefined;
  const authenticated = file.subarray(0, payloadStart - line.length - 1 + 3);
  return { stanzas, mac, authenticated, payload: file.subarray(payloadStart) };
}

function headerMac(fileKey: Uint8Array, header: Uint8Array): Uint8Array {
  return createHmac('sha256', derive(fileKey, new Uint8Array(0), 'header'))
    .update(header)
    .digest();
}

function derive(fileKey: Uint8Array, salt: Uint8Array, info: 'header' | 'payload'): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', fileKey, salt, info, 32));
}

function openChunks(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  const size = chunkBytes + tagBytes;
  const count = Math.max(1, Math.ceil(sealed.length / size));
  const chunks: Uint8Array[] = [];
  for (let index = 0; index < count; index += 1) {
    const isLast = index === count - 1;
    const chunk = openChaCha20Poly1305(
      key,
      chunkNonce(index, isLast),
      sealed.subarray(index * size, (index + 1) * size),
    );
    // An empty last chunk is an empty file or a second spelling of a full one; only the first is allowed.
    if (chunk === undefined || (isLast && index > 0 && chunk.length === 0)) return undefined;
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}

function sealChunks(key: Uint8Array, plaintext: Uint8Array): Uint8Array[] {
  const count = Math.max(1, Math.ceil(plaintext.length / chunkBytes));
  return Array.from({ length: count }, (_, index) =>
    sealChaCha20Poly1305(
      key,
      chunkNonce(index, index === count - 1),
      plaintext.subarray(index * chunkBytes, (index + 1) * chunkBytes),
    ),
  );
}

function chunkNonce(index: number, isLast: boolean): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

function wrap(text: string): string[] {
  return text.match(/.{1,64}/g) ?? [];
}

// The last body line is always shorter than the width, so a full one is followed by an empty one.
function wrapBody(body: Uint8Array): string[] {
  const lines = wrap(unpadded(body));
  return (lines.at(-1)?.length ?? columns) === columns ? [...lines, ''] : lines;
}
