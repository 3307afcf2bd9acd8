// Reading single fields of a metadata mapping.
import { findEntry, type Mapping } from '../tree.ts';

const decoder = new TextDecoder();

/** The text of a string field; undefined when it is absent or not a string. */
export function textField(fields: Mapping, name: string): string | undefined {
  const value = findEntry(fields, name)?.value;
  return value?.kind === 'leaf' && value.type === 'str' ? decoder.decode(value.bytes) : undefined;
}
