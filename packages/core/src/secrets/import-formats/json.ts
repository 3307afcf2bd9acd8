// JSON: one object of strings. Values of other types are refused: their text is not kept by those who read them as numbers.
import { type JsonValue, parseJson, StrictError } from '@clef/strict';
import { type FoundValues, type Leaf, nameLeaves } from './found-values.ts';

const maxDepth = 16;

/** Reads one JSON object. */
export function readJson(
  text: string,
  { maxBytes, flatten }: { readonly maxBytes: number; readonly flatten: string | undefined },
): FoundValues {
  try {
    const root = parseJson(text, { maxBytes, maxDepth });
    if (isObject(root)) return nameLeaves(leavesOf(root, []), flatten);
    return {
      values: [],
      faults: [{ class: 'format', message: 'The file is not one object of names and values' }],
      notes: [],
    };
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    return { values: [], faults: [syntaxFault(error)], notes: [] };
  }
}

/** In own words: those of the reader quote the character that it met, which may be one of a value. */
function syntaxFault({ code, message, position }: StrictError): FoundValues['faults'][number] {
  if (code === 'limit') return { class: 'limit', message, position };
  const isTwice = message.endsWith('appears twice in one object');
  const what = isTwice ? 'A name is there twice in one object' : 'This is not valid JSON';
  return { class: 'format', message: what, position };
}

function isObject(value: JsonValue): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function leavesOf(value: JsonValue, path: Leaf['path']): readonly Leaf[] {
  if (Array.isArray(value)) {
    if (value.length === 0) return [{ path, refused: 'is an empty list' }];
    return value.flatMap((item, index) => leavesOf(item, [...path, index]));
  }
  if (isObject(value)) {
    const entries = Object.entries(value);
    if (entries.length === 0 && path.length > 0) return [{ path, refused: 'is an empty object' }];
    return entries.flatMap(([name, item]) => leavesOf(item, [...path, name]));
  }
  if (typeof value === 'string') return [{ path, value }];
  return [
    {
      path,
      refused: `is ${value === null ? 'null' : `a ${typeof value}`}, and a value is text`,
      hint: 'put it in quotes',
    },
  ];
}
