// YAML scalars as go-yaml v3 resolves them, which is neither YAML 1.1 nor 1.2 (spec sops-format, section 10.1).
import { assembleTime, canonicalInteger, formatFloat, typedLeaf } from '../leaf-values.ts';
import { type Leaf, type ScalarStyle, stringLeaf } from '../tree.ts';

const int64Max = 2n ** 63n - 1n;
const uint64Max = 2n ** 64n - 1n;
const wordsOfOtherTypes = new Set([
  'null',
  'Null',
  'NULL',
  'true',
  'True',
  'TRUE',
  'false',
  'False',
  'FALSE',
]);
const nulls = new Set(['', '~', 'null', 'Null', 'NULL']);
const specialFloat = /^(?:\.nan|\.NaN|\.NAN|([+-]?)\.(?:inf|Inf|INF))$/;
const decimalFloat = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const instant =
  /^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:([Tt])([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})| ([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?)?$/;

/**
 * The value of a scalar, quoted or not, with the full name of its tag if it has one; undefined when it does not fit the
 * tag, 'too_large' for integers that SOPS refuses to encrypt.
 */
export function resolveScalar(
  text: string,
  style: ScalarStyle,
  tag: string | undefined,
): Leaf | 'too_large' | undefined {
  return tag === undefined ? untaggedLeaf(text, style) : taggedLeaf(text, style, tag);
}

/** The value of a plain scalar without a tag; 'too_large' for integers that SOPS refuses to encrypt. */
export function resolvePlainScalar(text: string): Leaf | 'too_large' {
  if (nulls.has(text)) return typedLeaf('null', '');
  if (/^(?:true|True|TRUE)$/.test(text)) return typedLeaf('bool', 'True');
  if (/^(?:false|False|FALSE)$/.test(text)) return typedLeaf('bool', 'False');
  const special = specialFloat.exec(text);
  if (special !== null) return typedLeaf('float', specialFloatText(text, special[1]));
  if (text.startsWith('.')) return resolveFloat(text) ?? stringLeaf(text);
  if (!/^[0-9+-]/.test(text)) return stringLeaf(text);
  return (
    resolveTime(text) ?? resolveInteger(text) ?? resolveFloat(text.replaceAll('_', '')) ?? stringLeaf(text)
  );
}

/** True for a text that begins with a letter and is no string without quotes. */
export function isWordOfAnotherType(text: string): boolean {
  return wordsOfOtherTypes.has(text);
}

/** True when the text without quotes would be read as that string. */
export function resolvesToString(text: string): boolean {
  if (/^[A-Za-z_]/.test(text)) return !isWordOfAnotherType(text);
  const leaf = resolvePlainScalar(text);
  return leaf !== 'too_large' && leaf.type === 'str';
}

function specialFloatText(text: string, sign: string | undefined): string {
  if (/nan/i.test(text)) return 'NaN';
  return sign === '-' ? '-Inf' : '+Inf';
}

function resolveFloat(text: string): Leaf | undefined {
  if (!decimalFloat.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? typedLeaf('float', formatFloat(value)) : undefined;
}

function resolveTime(text: string): Leaf | undefined {
  const match = instant.exec(text);
  if (match === null) return undefined;
  const [, year = '', month = '', day = '', t, ...rest] = match;
  const [h1, m1, s1, f1, zone, h2, m2, s2, f2] = rest;
  const clock = t === undefined ? [h2, m2, s2, f2] : [h1, m1, s1, f1];
  const [hour = '0', minute = '0', second = '0', fraction = ''] = clock;
  const canonical = assembleTime({ year, month, day, hour, minute, second, fraction, zone: zone ?? 'Z' });
  return canonical === undefined ? undefined : typedLeaf('time', canonical);
}

function resolveInteger(text: string): Leaf | 'too_large' | undefined {
  const match = /^([+-]?)(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)$/.exec(
    text.replaceAll('_', ''),
  );
  if (match === null) return undefined;
  const [, sign, digits = ''] = match;
  // Digits by the thousand are no integer of 64 bits, and turning them into one costs quadratic time.
  if (digits.length > 80) return undefined;
  const magnitude = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits.toLowerCase());
  const value = sign === '-' ? -magnitude : magnitude;
  if (value <= int64Max && value >= -int64Max - 1n) return typedLeaf('int', value.toString());
  return value > 0n && value <= uint64Max ? 'too_large' : undefined;
}

function untaggedLeaf(text: string, style: ScalarStyle): Leaf | 'too_large' {
  return style === 'plain' ? resolvePlainScalar(text) : stringLeaf(text);
}

const standardTag = 'tag:yaml.org,2002:';

// A standard tag must fit what the text reads as, quoted or not; other tags are dropped and the text is a string.
function taggedLeaf(text: string, style: ScalarStyle, tag: string): Leaf | 'too_large' | undefined {
  if (tag === '!') return stringLeaf(text);
  if (!tag.startsWith(standardTag)) return stringLeaf(text);
  const name = tag.slice(standardTag.length);
  if (name === 'str' || name === 'merge') return stringLeaf(text);
  if (name === 'binary') return binaryLeaf(text);
  const leaf = resolvePlainScalar(text);
  if (leaf === 'too_large') return leaf;
  const wanted = name === 'timestamp' ? 'time' : name;
  if (leaf.type === wanted) return leaf;
  if (wanted === 'float' && leaf.type === 'int') return floatOfInteger(leaf);
  return ['int', 'float', 'bool', 'null', 'time'].includes(wanted) ? undefined : untaggedLeaf(text, style);
}

function floatOfInteger(leaf: Leaf): Leaf {
  const text = canonicalInteger(new TextDecoder().decode(leaf.bytes)) ?? '0';
  return typedLeaf('float', formatFloat(Number(text)));
}

function binaryLeaf(text: string): Leaf | undefined {
  const compact = text.replace(/[\r\n]/g, '');
  const isBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(compact);
  return isBase64 ? stringLeaf(new Uint8Array(Buffer.from(compact, 'base64'))) : undefined;
}
