// How deep a YAML text nests and of how many parts it is made: asked before the parser, whose stack and memory are not ours
// to bound. Found without recursion, and without keeping anything.
import { Lexer } from 'yaml';

const scalarMark = '\x1f';
const otherMarks = new Set(['\x02', '\x18', '\ufeff']);

/** True when the text stays within a nesting that the parser can take; the exact depth is checked on the tree. */
export function isWithinDepth(text: string, maxDepth: number): boolean {
  return isObviouslyShallow(text, maxDepth) || measureDepth(text, maxDepth) <= maxDepth;
}

/**
 * True when the parser can hold what the text is made of: each mark, blank and scalar costs it some hundred bytes, so that
 * a million of them take half a gigabyte.
 */
export function isWithinParts(text: string, maxParts: number): boolean {
  // A scalar has a mark before it; everything else has at least a character.
  if (2 * text.length <= maxParts) return true;
  let parts = 0;
  for (const _ of new Lexer().lex(text)) {
    parts += 1;
    if (parts > maxParts) return false;
  }
  return true;
}

// Cheap and pessimistic: counts brackets wherever they stand, and each column of leading structure as a level.
function isObviouslyShallow(text: string, maxDepth: number): boolean {
  let brackets = 0;
  for (const match of text.matchAll(/ENC\[AES256_GCM,|[[{]/g)) {
    if (match[0].length === 1) brackets += 1;
    if (brackets > maxDepth / 2) return false;
  }
  return !new RegExp(`^[ \\t?:-]{${Math.floor(maxDepth / 2)}}`, 'm').test(text);
}

function measureDepth(text: string, maxDepth: number): number {
  const columns: number[] = [];
  let [column, flow, deepest] = [0, 0, 0];
  let isLeading = true;
  let isScalar = false;
  for (const token of new Lexer().lex(text)) {
    if (otherMarks.has(token)) continue;
    if (token === scalarMark) {
      isScalar = true;
      continue;
    }
    if (isLeading && !/^\s*$/.test(token)) {
      while ((columns.at(-1) ?? -1) > column) columns.pop();
      if ((columns.at(-1) ?? -1) < column) columns.push(column);
      isLeading = !isScalar && /^[-?:]$/.test(token);
    }
    if (!isScalar && (token === '{' || token === '[')) flow += 1;
    if (!isScalar && (token === '}' || token === ']')) flow = Math.max(0, flow - 1);
    isScalar = false;
    deepest = Math.max(deepest, columns.length + flow);
    if (deepest > maxDepth) return deepest;
    const newline = token.lastIndexOf('\n');
    column = newline === -1 ? column + token.length : token.length - newline - 1;
    if (newline !== -1) isLeading = true;
  }
  return deepest;
}
