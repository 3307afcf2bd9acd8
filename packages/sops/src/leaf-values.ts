// The bytes of each value type: what SOPS encrypts and feeds to the MAC, and how a reader takes them back.
// Canonical forms are text, never JavaScript numbers or dates, so that nothing is rounded.
import { SopsError } from './sops-error.ts';
import type { Leaf, LeafType } from './tree.ts';

/** The type names in `ENC[…,type:…]`; null is never encrypted. */
export type EncryptedType = Exclude<LeafType, 'null'> | 'comment';

const encoder = new TextEncoder();
const encryptedTypes: readonly string[] = ['str', 'int', 'float', 'bool', 'time', 'bytes', 'comment'];
const int64Max = 2n ** 63n - 1n;

export function isEncryptedType(type: string): type is EncryptedType {
  return encryptedTypes.includes(type);
}

/**
 * The leaf that decrypted bytes of a type stand for, with the canonical bytes of the parsed value.
 *
 * Throws SopsError 'value_wrong_type' when the bytes do not parse as that type.
 */
export function leafFromBytes(type: Exclude<EncryptedType, 'comment'>, bytes: Uint8Array): Leaf {
  if (type === 'str' || type === 'bytes') return { kind: 'leaf', type, bytes };
  const text = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(bytes);
  const canonical = canonicalText(type, text);
  if (canonical === undefined) {
    throw new SopsError('value_wrong_type', `The value is marked as ${type} but does not read as one`);
  }
  return { kind: 'leaf', type, bytes: encoder.encode(canonical) };
}

/** A leaf of a type other than string whose canonical text is known. */
export function typedLeaf(type: LeafType, canonical: string): Leaf {
  return { kind: 'leaf', type, bytes: encoder.encode(canonical) };
}

function canonicalText(type: 'int' | 'float' | 'bool' | 'time', text: string): string | undefined {
  switch (type) {
    case 'int':
      return canonicalInteger(text);
    case 'float':
      return canonicalFloat(text);
    case 'bool':
      return canonicalBool(text);
    case 'time':
      return canonicalTime(text);
  }
}

/** Decimal digits with an optional sign, within 64 signed bits; undefined when it is anything else. */
export function canonicalInteger(text: string): string | undefined {
  if (!/^[+-]?[0-9]{1,400}$/.test(text)) return undefined;
  const value = BigInt(text.replace(/^\+/, ''));
  return value > int64Max || value < -int64Max - 1n ? undefined : value.toString();
}

function canonicalBool(text: string): string | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return 'True';
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return 'False';
  return undefined;
}

function canonicalFloat(text: string): string | undefined {
  const special = /^([+-]?)(?:inf(?:inity)?|nan)$/i.exec(text);
  if (special !== null) {
    if (/nan/i.test(text)) return special[1] === '' ? 'NaN' : undefined;
    return special[1] === '-' ? '-Inf' : '+Inf';
  }
  if (!/^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? formatFloat(value) : undefined;
}

/** Shortest digits that give the double back, laid out without an exponent: `-0`, `0.0000001`, `+Inf`. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const { sign, digits, point } = decimalDigits(value);
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`.replace(/\.0*$/, '');
  if (point >= digits.length) return sign + digits + '0'.repeat(point - digits.length);
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** The digits of a finite double and where its decimal point stands: 0.05 is digits 5, point -1. */
export function decimalDigits(value: number): { sign: string; digits: string; point: number } {
  const sign = Object.is(value, -0) || value < 0 ? '-' : '';
  if (value === 0) return { sign, digits: '0', point: 1 };
  const [mantissa = '', exponent = '0'] = Math.abs(value).toExponential().split('e');
  return { sign, digits: mantissa.replace('.', ''), point: Number(exponent) + 1 };
}

/** The canonical text of a float as Go's shortest %g prints it: with an exponent below 1e-4 and from 1e6 on. */
export function shortestFloat(canonical: string): string {
  if (!/^-?[0-9.]+$/.test(canonical)) return canonical;
  const { sign, digits, point } = decimalDigits(Number(canonical));
  const exponent = point - 1;
  if (exponent >= -4 && exponent < 6) return canonical;
  const mantissa = digits.length === 1 ? digits : `${digits[0]}.${digits.slice(1)}`;
  return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

const timePattern =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})$/;

/** RFC 3339 with upper-case `T` and `Z`, as SOPS prints it: fraction without trailing zeros, offset zero as `Z`. */
export function canonicalTime(text: string): string | undefined {
  const match = timePattern.exec(text);
  if (match === null) return undefined;
  const [, year = '', month = '', day = '', hour = '', minute = '', second = '', fraction = '', zone = ''] =
    match;
  return assembleTime({ year, month, day, hour, minute, second, fraction, zone });
}

/** The parts of a time as text; `zone` is `Z` or an offset such as `+02:00`. */
export type TimeParts = Readonly<
  Record<'year' | 'month' | 'day' | 'hour' | 'minute' | 'second' | 'fraction' | 'zone', string>
>;

/** The canonical text of a time, or undefined when there is no such date, time or offset. */
export function assembleTime(parts: TimeParts): string | undefined {
  const [year, month, day] = [Number(parts.year), Number(parts.month), Number(parts.day)];
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  if (Number(parts.hour) > 23 || Number(parts.minute) > 59 || Number(parts.second) > 59) return undefined;
  const zone = canonicalZone(parts.zone);
  if (zone === undefined) return undefined;
  const two = (text: string) => text.padStart(2, '0');
  const fraction = parts.fraction.slice(0, 9).replace(/0+$/, '');
  const date = `${parts.year.padStart(4, '0')}-${two(parts.month)}-${two(parts.day)}`;
  const time = `${two(parts.hour)}:${two(parts.minute)}:${two(parts.second)}`;
  return `${date}T${time}${fraction === '' ? '' : `.${fraction}`}${zone}`;
}

function canonicalZone(zone: string): string | undefined {
  if (zone === 'Z') return zone;
  const match = /^[+-]([0-9]{2}):([0-9]{2})$/.exec(zone);
  if (match === null || Number(match[1]) > 23 || Number(match[2]) > 59) return undefined;
  return /^.00:00$/.test(zone) ? 'Z' : zone;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}
