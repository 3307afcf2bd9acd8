// Reads the schema of a namespace: a strict YAML file in the repository. Patterns run in RE2's linear time, and what a
// pattern may cost is limited when the file is read (catalogue INV-25).
import { ClefError } from '../errors.ts';
import {
  type FaultClass,
  type FieldPath,
  faultsError,
  formatFieldPath,
  type ManifestFault,
} from '../manifest/faults.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { didYouMean, keyNameFault, quoteName } from '../manifest/names.ts';
import {
  isMap,
  parseStrictYaml,
  type StrictYaml,
  type YamlMap,
  type YamlValue,
} from '../manifest/strict-yaml.ts';
import { type Repository, readFileIn } from '../repository.ts';
import { alphabetNames, alphabets, type GenerateRule, maxGeneratedLength } from './alphabets.ts';
import type { KeyRule, Schema } from './schema.ts';
import { valueTypeNames, valueTypes } from './value-types.ts';

const maxSchemaBytes = 512 * 1024;
const mostKeys = 10_000;
const mostValues = 1000;
const longestPattern = 512;
/** Instructions of a compiled pattern: each may look at every character of a value. */
const largestPattern = 1000;

/**
 * The schema of a namespace; `undefined` where it has none.
 * @throws {ClefError} `missing_schema`, `bad_path`, `limit`, `schema_invalid`, `bad_format`, `io`.
 */
export async function readSchema(
  { root, manifest }: Pick<Repository, 'root' | 'manifest'>,
  namespace: string,
): Promise<Schema | undefined> {
  const file = schemaFile(manifest, namespace);
  if (file === undefined) return undefined;
  const bytes = await readFileIn(root, file, maxSchemaBytes);
  if (bytes !== undefined) return parseSchema(bytes, file);
  throw new ClefError({
    code: 'missing_schema',
    message: `There is no schema "${file}", which clef.yaml names for the namespace "${namespace}"`,
    hint: `write "${file}", or remove "schema" from the namespace in clef.yaml`,
    location: { file },
  });
}

function schemaFile(manifest: Manifest, namespace: string): string | undefined {
  return manifest.namespaces.find(({ name }) => name === namespace)?.schema;
}

/**
 * Reads the text of a schema, or throws everything that is wrong with it.
 * @throws {ClefError} `schema_invalid`, or where all faults are of that class `limit`, `bad_format`, `bad_name`.
 */
export async function parseSchema(bytes: Uint8Array, file: string): Promise<Schema> {
  const yaml = parseStrictYaml(bytes, { maxBytes: maxSchemaBytes });
  if ('faults' in yaml) throw faultsError(file, yaml.faults, 'schema_invalid');
  const reader = newReader(yaml);
  const schema = await readWhole(yaml.value, file, reader);
  if (reader.faults.length > 0) throw faultsError(file, reader.faults, 'schema_invalid');
  return schema;
}

type Reader = {
  readonly faults: ManifestFault[];
  readonly report: (path: FieldPath, message: string, faultClass?: FaultClass, hint?: string) => void;
};

function newReader({ positionOf }: StrictYaml): Reader {
  const faults: ManifestFault[] = [];
  const report: Reader['report'] = (path, message, faultClass = 'config', hint) =>
    faults.push({
      class: faultClass,
      message,
      hint,
      path: formatFieldPath(path),
      position: positionOf(path, 'key'),
    });
  return { faults, report };
}

async function readWhole(value: YamlValue, file: string, reader: Reader): Promise<Schema> {
  const root = fieldsOf(value, [], ['version', 'keys', 'open'], reader);
  if (root['version'] !== 1) reader.report(['version'], '"version" wants the number 1, without quotes');
  const open = root['open'] ?? true;
  if (typeof open !== 'boolean') reader.report(['open'], '"open" wants true or false');
  const listed = root['keys'] === undefined ? {} : fieldsOf(root['keys'], ['keys'], undefined, reader);
  if (Object.keys(listed).length > mostKeys) {
    reader.report(['keys'], `There are more than ${mostKeys} keys`, 'limit');
    return { file, isOpen: true, keys: new Map() };
  }
  const keys = new Map<string, KeyRule>();
  for (const [name, rule] of Object.entries(listed)) keys.set(name, await readRule(name, rule, reader));
  return { file, isOpen: open !== false, keys };
}

const ruleFields = [
  ...['type', 'required', 'description', 'pattern', 'min', 'max'],
  ...['min_length', 'max_length', 'values', 'generate'],
];

async function readRule(name: string, value: YamlValue, reader: Reader): Promise<KeyRule> {
  const path = ['keys', name];
  const fault = keyNameFault(name);
  if (fault !== undefined) reader.report(path, `The key name ${quoteName(name)} ${fault}`, 'name');
  // A key alone is listed without a rule.
  const fields = value === null ? {} : fieldsOf(value, path, ruleFields, reader);
  const rule: KeyRule = {
    type:
      oneOf(fields, [...path, 'type'], valueTypeNames, reader) ??
      (fields['values'] === undefined ? 'string' : 'enum'),
    isRequired: readBoolean(fields, [...path, 'required'], reader) ?? false,
    ...optional('description', readText(fields, [...path, 'description'], reader)),
    ...optional('min', readNumber(fields, [...path, 'min'], reader)),
    ...optional('max', readNumber(fields, [...path, 'max'], reader)),
    ...optional('minLength', readLength(fields, [...path, 'min_length'], reader)),
    ...optional('maxLength', readLength(fields, [...path, 'max_length'], reader)),
    ...optional('values', readValues(fields, [...path, 'values'], reader)),
    ...optional('pattern', await readPattern(fields, [...path, 'pattern'], reader)),
    ...optional('generate', readGenerate(fields, [...path, 'generate'], reader)),
  };
  checkTogether(rule, path, reader);
  return rule;
}

/** What a rule says must make sense together: a rule that nothing can satisfy is a slip. */
function checkTogether(rule: KeyRule, path: FieldPath, { report }: Reader): void {
  const { type, min, max, minLength, maxLength, values, generate } = rule;
  const isNumeric = type === 'integer' || type === 'number';
  if (!isNumeric && (min ?? max) !== undefined)
    report(
      path,
      '"min" and "max" are for integers and numbers',
      'config',
      'use min_length and max_length for text',
    );
  if (min !== undefined && max !== undefined && min > max) report(path, '"min" is larger than "max"');
  if (minLength !== undefined && maxLength !== undefined && minLength > maxLength)
    report(path, '"min_length" is larger than "max_length"');
  if ((type === 'enum') !== (values !== undefined))
    report(path, '"values" and the type "enum" belong together');
  if (generate === undefined) return;
  const made = alphabets[generate.alphabet].charAt(0).repeat(generate.length);
  const isFit =
    generate.length >= (minLength ?? 0) && generate.length <= (maxLength ?? Number.POSITIVE_INFINITY);
  if (!isFit)
    report([...path, 'generate'], '"generate" makes values that break "min_length" or "max_length"');
  const fitsType = type === 'string' || type === 'hex';
  if (
    !fitsType ||
    !valueTypes[type].accepts(made) ||
    (type === 'hex' && !/^(?:hex|digits)$/.test(generate.alphabet))
  )
    report([...path, 'generate'], `"generate" does not make values of the type "${type}"`);
}

async function readPattern(fields: YamlMap, path: FieldPath, reader: Reader): Promise<KeyRule['pattern']> {
  const text = readText(fields, path, reader);
  if (text === undefined) return undefined;
  if (text.length > longestPattern) {
    reader.report(path, `The pattern has more than ${longestPattern} characters`, 'limit');
    return undefined;
  }
  const { RE2JS, RE2JSException } = await import('re2js');
  try {
    const compiled = RE2JS.compile(text);
    if (compiled.programSize() > largestPattern) {
      reader.report(
        path,
        'The pattern repeats too much to be tried on long values',
        'limit',
        'use min_length and max_length',
      );
      return undefined;
    }
    return { text, matches: (value) => compiled.matcher(value).find() };
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    reader.report(
      path,
      'The pattern is not one of RE2',
      'config',
      'write it without lookaround and backreferences',
    );
    return undefined;
  }
}

function readGenerate(fields: YamlMap, path: FieldPath, reader: Reader): GenerateRule | undefined {
  const value = valueAt(fields, path);
  if (value === undefined) return undefined;
  const rule = fieldsOf(value, path, ['length', 'alphabet'], reader);
  const alphabet = oneOf(rule, [...path, 'alphabet'], alphabetNames, reader) ?? 'alphanumeric';
  const length = readLength(rule, [...path, 'length'], reader);
  if (length !== undefined && length >= 1 && length <= maxGeneratedLength) return { length, alphabet };
  reader.report(path, `"generate" wants a "length" of 1 to ${maxGeneratedLength}`);
  return undefined;
}

function readValues(fields: YamlMap, path: FieldPath, reader: Reader): readonly string[] | undefined {
  const value = valueAt(fields, path);
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length === 0) {
    reader.report(path, '"values" wants a list with at least one value');
    return undefined;
  }
  if (value.length > mostValues) reader.report(path, `"values" has more than ${mostValues} values`, 'limit');
  // Only true, false and whole numbers in their one spelling are not text here, so that their text is exact.
  const isText = (item: YamlValue): boolean =>
    ['string', 'number', 'boolean'].includes(typeof item) && item !== '';
  if (!value.every(isText)) reader.report(path, '"values" wants text; put it in quotes');
  const texts = value.map(String);
  if (new Set(texts).size < texts.length) reader.report(path, 'The same value is there twice');
  return texts;
}

function fieldsOf(
  value: YamlValue | undefined,
  path: FieldPath,
  known: readonly string[] | undefined,
  reader: Reader,
): YamlMap {
  if (!isMap(value)) {
    reader.report(
      path,
      path.length === 0
        ? 'The file wants fields such as "version"'
        : `${quoteLast(path)} wants fields of its own`,
    );
    return {};
  }
  for (const field of Object.keys(value)) {
    if (known !== undefined && !known.includes(field))
      reader.report(
        [...path, field],
        `There is no field ${quoteName(field)} here${didYouMean(field, known)}`,
      );
  }
  return value;
}

function valueAt(fields: YamlMap, path: FieldPath): YamlValue | undefined {
  const name = String(path.at(-1));
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

function readBoolean(fields: YamlMap, path: FieldPath, reader: Reader): boolean | undefined {
  const value = valueAt(fields, path);
  if (value === undefined || typeof value === 'boolean') return value;
  reader.report(path, `${quoteLast(path)} wants true or false`);
  return undefined;
}

function readText(fields: YamlMap, path: FieldPath, reader: Reader): string | undefined {
  const value = valueAt(fields, path);
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  reader.report(path, `${quoteLast(path)} wants text; put it in quotes`);
  return undefined;
}

/** The strict reader types whole numbers only; the others come as their text. */
function readNumber(fields: YamlMap, path: FieldPath, reader: Reader): number | undefined {
  const value = valueAt(fields, path);
  if (value === undefined) return undefined;
  const text = String(value);
  if (typeof value !== 'boolean' && value !== null && valueTypes.number.accepts(text)) return Number(text);
  reader.report(path, `${quoteLast(path)} wants a number`);
  return undefined;
}

function readLength(fields: YamlMap, path: FieldPath, reader: Reader): number | undefined {
  const value = valueAt(fields, path);
  if (value === undefined || typeof value === 'number') return value;
  reader.report(path, `${quoteLast(path)} wants a whole number`);
  return undefined;
}

function oneOf<Name extends string>(
  fields: YamlMap,
  path: FieldPath,
  names: readonly Name[],
  reader: Reader,
): Name | undefined {
  const value = valueAt(fields, path);
  const found = names.find((name) => name === value);
  if (value === undefined || found !== undefined) return found;
  const near = typeof value === 'string' ? didYouMean(value, names) : '';
  reader.report(path, `${quoteLast(path)} wants one of ${names.join(', ')}${near}`);
  return undefined;
}

function optional<Name extends string, T>(name: Name, value: T | undefined): { readonly [K in Name]?: T } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [K in Name]?: T };
}

function quoteLast(path: FieldPath): string {
  return quoteName(String(path.at(-1)));
}
