// The types that a schema can ask of a value, one predicate each. All run in time linear in the value.
import { decodeBase64, parseJson, StrictError } from '@clef/strict';

type ValueType = {
  /** Completes "wants …". */
  readonly wanted: string;
  readonly accepts: (value: string) => boolean;
};

const integer = /^-?(?:0|[1-9][0-9]*)$/;
const number = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const longestNumber = 64;
const longestEmail = 254;

export const valueTypes = {
  string: { wanted: 'text', accepts: () => true },
  integer: {
    wanted: 'a whole number, without plus or leading zeros',
    accepts: (value) => value.length <= longestNumber && integer.test(value),
  },
  number: {
    wanted: 'a number, as JSON writes it',
    accepts: (value) => value.length <= longestNumber && number.test(value) && Number.isFinite(Number(value)),
  },
  boolean: { wanted: '"true" or "false"', accepts: (value) => value === 'true' || value === 'false' },
  url: { wanted: 'a URL with a scheme and a host', accepts: isUrl },
  email: { wanted: 'an e-mail address', accepts: isEmail },
  json: { wanted: 'JSON', accepts: isJson },
  base64: { wanted: 'base64 of the standard alphabet, padded', accepts: isBase64 },
  hex: {
    wanted: 'hexadecimal digits, an even number of them',
    accepts: (value) => value.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(value),
  },
  uuid: { wanted: 'a UUID', accepts: (value) => uuid.test(value) },
  pem: { wanted: 'PEM, from BEGIN to END', accepts: isPem },
  enum: { wanted: 'one of the listed values', accepts: () => true },
} as const satisfies Record<string, ValueType>;

export type ValueTypeName = keyof typeof valueTypes;

export const valueTypeNames = Object.keys(valueTypes) as readonly ValueTypeName[];

/** The parser of URLs drops spaces and line breaks, so that they are refused first. */
function isUrl(value: string): boolean {
  return (
    /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^\s/?#]/.test(value) &&
    !/[\s\x00-\x1f\x7f]/.test(value) &&
    URL.canParse(value)
  );
}

function isEmail(value: string): boolean {
  if (value.length > longestEmail || /[\s\x00-\x1f\x7f<>()]/.test(value)) return false;
  const [name = '', domain = '', ...more] = value.split('@');
  return more.length === 0 && name !== '' && /^[^.]+(?:\.[^.]+)+$/.test(domain);
}

function isJson(value: string): boolean {
  return isReadable(() => parseJson(value, { maxBytes: value.length * 4, maxDepth: 200 }));
}

function isBase64(value: string): boolean {
  return value !== '' && isReadable(() => decodeBase64(value));
}

function isReadable(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof StrictError) return false;
    throw error;
  }
}

/** One block or several; between the markers only lines of base64 and, in old private keys, headers. */
function isPem(value: string): boolean {
  let label: string | undefined;
  let blocks = 0;
  for (const line of value.trim().split(/\r?\n/)) {
    const [, kind, name] = /^-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----$/.exec(line) ?? [];
    if (kind === undefined) {
      if (label === undefined ? line !== '' : !/^(?:[A-Za-z0-9+/=]*|[A-Za-z-]+: .*)$/.test(line))
        return false;
    } else if (kind === 'BEGIN' ? label !== undefined : label !== name) return false;
    else {
      label = kind === 'BEGIN' ? name : undefined;
      blocks += kind === 'END' ? 1 : 0;
    }
  }
  return label === undefined && blocks > 0;
}
