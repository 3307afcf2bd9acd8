// Strict readers that every package shares: they accept one spelling, refuse the rest with a position, and keep limits.
export { decodeBech32, encodeBech32 } from './bech32.ts';
export { decodeBase64, decodeHex, encodeBase64, encodeHex } from './bytes.ts';
export { crc32c } from './crc32c.ts';
export { escapeControl, excerpt } from './escape.ts';
export { type JsonLimits, type JsonObject, type JsonValue, parseJson } from './json.ts';
export { parseDuration, parseInteger } from './numbers.ts';
export { readLimited } from './read-limited.ts';
export { type Position, positionAt, type StrictCode, StrictError } from './strict-error.ts';
export { suggest } from './suggest.ts';
export { decodeUtf8 } from './text.ts';
export { formatTimestamp, isTimestamp, parseTimestamp } from './timestamps.ts';
