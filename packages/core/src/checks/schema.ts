// What a namespace's schema says of values: a pure check of keys and values. A finding names the key and the rule and never
// holds a value.
import { suggest } from '@clef/strict';
import type { GenerateRule } from './alphabets.ts';
import { type ValueTypeName, valueTypes } from './value-types.ts';

/** The rules for the keys of a namespace, in all its environments. */
export type Schema = {
  /** The file that they come from, relative to the root. */
  readonly file: string;
  /** Whether keys that are not listed may exist. */
  readonly isOpen: boolean;
  readonly keys: ReadonlyMap<string, KeyRule>;
};

/** The rule for one key. Lengths count characters (code points). */
export type KeyRule = {
  readonly type: ValueTypeName;
  readonly isRequired: boolean;
  readonly description?: string;
  readonly pattern?: { readonly text: string; readonly matches: (value: string) => boolean };
  readonly min?: number;
  readonly max?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly values?: readonly string[];
  readonly generate?: GenerateRule;
};

/** The rule that a value breaks, by its name in the schema's file. */
export type SchemaFinding = {
  readonly key: string;
  readonly rule:
    | 'type'
    | 'pattern'
    | 'min'
    | 'max'
    | 'min_length'
    | 'max_length'
    | 'values'
    | 'open'
    | 'required';
  /** Completes "KEY …"; holds no value. */
  readonly message: string;
};

/** A pattern takes time in proportion to the value: longer ones are refused rather than waited for. */
const longestMatched = 64 * 1024;

/** What is wrong with these values; keys that are not among them are not looked for. */
export function checkValuesAgainstSchema(
  schema: Schema,
  values: Iterable<readonly [key: string, value: string]>,
): readonly SchemaFinding[] {
  return Array.from(values).flatMap(([key, value]) => {
    const rule = schema.keys.get(key);
    return rule === undefined ? checkNames(schema, [key]) : checkValue(key, value, rule);
  });
}

/** Which of these names a closed schema does not list. */
export function checkNames(schema: Schema, names: Iterable<string>): readonly SchemaFinding[] {
  if (schema.isOpen) return [];
  return [...names]
    .filter((name) => !schema.keys.has(name))
    .map((key) => {
      const near = suggest(key, schema.keys.keys());
      const more = near === undefined ? '' : ` (did you mean "${near}"?)`;
      return { key, rule: 'open', message: `is not listed, and the schema is closed${more}` };
    });
}

/** Which required keys are not among these names. */
export function missingKeys(schema: Schema, names: ReadonlySet<string>): readonly SchemaFinding[] {
  return [...schema.keys]
    .filter(([key, rule]) => rule.isRequired && !names.has(key))
    .map(([key]) => ({ key, rule: 'required', message: 'is required and not there' }));
}

function checkValue(key: string, value: string, rule: KeyRule): readonly SchemaFinding[] {
  const { wanted, accepts } = valueTypes[rule.type];
  // The other rules mean little for a value of another type.
  if (!accepts(value)) return [{ key, rule: 'type', message: `wants ${wanted}` }];
  return [
    ...rangeFindings(key, value, rule),
    ...lengthFindings(key, value, rule),
    ...(rule.values === undefined || rule.values.includes(value)
      ? []
      : [{ key, rule: 'values', message: `wants one of: ${rule.values.join(', ')}` } as const]),
    ...patternFindings(key, value, rule),
  ];
}

function rangeFindings(key: string, value: string, { min, max }: KeyRule): readonly SchemaFinding[] {
  const found = Number(value);
  return [
    ...(min !== undefined && found < min
      ? [{ key, rule: 'min', message: `wants ${min} or more` } as const]
      : []),
    ...(max !== undefined && found > max
      ? [{ key, rule: 'max', message: `wants ${max} or less` } as const]
      : []),
  ];
}

function lengthFindings(key: string, value: string, rule: KeyRule): readonly SchemaFinding[] {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = rule;
  if (rule.minLength === undefined && rule.maxLength === undefined) return [];
  const length = [...value].length;
  if (length < minLength)
    return [{ key, rule: 'min_length', message: `wants ${minLength} characters or more` }];
  return length > maxLength
    ? [{ key, rule: 'max_length', message: `wants ${maxLength} characters or less` }]
    : [];
}

function patternFindings(key: string, value: string, { pattern }: KeyRule): readonly SchemaFinding[] {
  if (pattern === undefined) return [];
  if (value.length > longestMatched)
    return [
      {
        key,
        rule: 'pattern',
        message: `is longer than the ${longestMatched} characters that a pattern is tried on`,
      },
    ];
  return pattern.matches(value)
    ? []
    : [{ key, rule: 'pattern', message: 'does not match the pattern of the schema' }];
}
