// Which values a cell may hold: the rules of the format, then those of the namespace's schema. No message holds a value.
import { isUtf8 } from 'node:buffer';
import type { CurrentCell } from '../cells/write.ts';
import { checkNames, checkValuesAgainstSchema, type SchemaFinding } from '../checks/schema.ts';
import { readSchema } from '../checks/schema-file.ts';
import { ClefError, type ErrorCode } from '../errors.ts';

/** The largest value, in bytes of UTF-8 (formats.md, "A cell"). */
export const maxValueBytes = 256 * 1024;

/** Why a value cannot be stored; `why` completes "The value of KEY …". */
export type ValueFault = { readonly code: ErrorCode; readonly why: string; readonly hint: string };

/** What is wrong with the bytes of a value; `undefined` for a good one. */
export function valueFault(bytes: Uint8Array): ValueFault | undefined {
  if (bytes.length === 0) {
    return {
      code: 'empty_value',
      why: 'is empty, and SOPS would keep that unauthenticated in the clear',
      hint: 'leave the key out, or store a value that your program takes for "none"',
    };
  }
  if (bytes.length > maxValueBytes) {
    return {
      code: 'value_too_large',
      why: `is larger than ${maxValueBytes} bytes`,
      hint: 'keep large files elsewhere and store the key that decrypts them',
    };
  }
  const hint = 'encode binary data as base64 before storing it';
  if (!isUtf8(bytes)) return { code: 'bad_format', why: 'is not UTF-8 text', hint };
  return bytes.includes(0)
    ? { code: 'bad_format', why: 'has a NUL character, which no variable can hold', hint }
    : undefined;
}

/** The same for text, which may hold half of a surrogate pair that no UTF-8 has. */
export function textFault(text: string): ValueFault | undefined {
  if (!/\p{Surrogate}/u.test(text)) return valueFault(Buffer.from(text));
  return { code: 'bad_format', why: 'holds half of a surrogate pair', hint: 'write the whole character' };
}

/**
 * The text of a value that a cell may hold.
 * @throws {ClefError} `empty_value`, `value_too_large`, `bad_format` (NUL, not UTF-8).
 */
export function checkValue(key: string, bytes: Uint8Array): string {
  const fault = valueFault(bytes);
  // Not a TextDecoder: a value may begin with a byte order mark, and keeps it.
  if (fault === undefined) return Buffer.from(bytes).toString('utf8');
  const { code, why, hint } = fault;
  throw new ClefError({ code, message: `The value of "${key}" ${why}`, hint, location: { key } });
}

/**
 * Refuses values, and names that are only announced, which the schema of the cell's namespace does not allow.
 * @throws {ClefError} `schema_violation` with every finding, and what reading the schema can give.
 */
export async function refuseSchemaBreaks(
  { repository, cell }: Pick<CurrentCell, 'repository' | 'cell'>,
  values: ReadonlyMap<string, string>,
  announced: readonly string[] = [],
): Promise<void> {
  const schema = await readSchema(repository, cell.namespace);
  if (schema === undefined) return;
  const findings = [...checkValuesAgainstSchema(schema, values), ...checkNames(schema, announced)];
  if (findings.length > 0) throw schemaViolation(cell.label, schema.file, findings);
}

function schemaViolation(label: string, file: string, findings: readonly SchemaFinding[]): ClefError {
  const [first, ...more] = findings as readonly [SchemaFinding, ...SchemaFinding[]];
  const count = more.length === 0 ? '' : ` (and ${more.length} more)`;
  return new ClefError({
    code: 'schema_violation',
    message: `"${first.key}" breaks the schema of "${label}": it ${first.message}${count}`,
    hint: `give a value that fits, or change the rule "${first.rule}" in ${file}`,
    location: { file, key: first.key },
    faults: findings.map(({ key, rule, message }) => ({
      message: `"${key}" ${message}`,
      path: `${key}.${rule}`,
    })),
  });
}
