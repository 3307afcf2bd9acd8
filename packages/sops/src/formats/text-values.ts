// Values in formats where everything is text (dotenv, INI), as the real tool prints them there.
import { shortestFloat } from '../leaf-values.ts';
import { SopsError } from '../sops-error.ts';
import type { Leaf, TreeNode } from '../tree.ts';
import { decodeRawText } from './raw-text.ts';

/**
 * A value as text, with bytes that are not UTF-8 as in {@link decodeRawText}.
 *
 * Throws SopsError 'unsupported' for null, which would read back as a string, and for lists and mappings.
 */
export function textOf(node: TreeNode, keys: readonly string[]): string {
  if (node.kind !== 'leaf') {
    const found = node.kind === 'mapping' ? 'a mapping' : 'a list';
    throw new SopsError('unsupported', `The format has no place for ${found} at this depth`, { path: keys });
  }
  if (node.type === 'null') {
    throw new SopsError('unsupported', 'The format has no way to write null', { path: keys });
  }
  return printed(node);
}

/**
 * {@link textOf} for a file that is encrypted: also throws 'unsupported' when a value in clear would read back with
 * other bytes than those that the MAC was made of.
 */
export function sealedTextOf(node: TreeNode, keys: readonly string[]): string {
  const text = textOf(node, keys);
  if (node.kind === 'leaf' && decodeRawText(node.bytes) !== text) {
    const message = 'A value in clear that is not a string would read back as another value in this format';
    throw new SopsError('unsupported', message, { path: keys });
  }
  return text;
}

function printed({ type, bytes }: Leaf): string {
  const text = decodeRawText(bytes);
  switch (type) {
    case 'bool':
      return text === 'True' ? 'true' : 'false';
    case 'float':
      return floatText(text);
    case 'time':
      return text.replace(/\.[0-9]+/, '');
    default:
      return text;
  }
}

// A whole number keeps a decimal, so that nobody takes it for an integer.
function floatText(canonical: string): string {
  const text = shortestFloat(canonical).toUpperCase();
  if (/INF|NAN/.test(text)) return canonical;
  return /[.E]/.test(text) ? text : `${text}.0`;
}
