// Everything that is known of a key without its value: where it is, who can read it, who changed it, who carries it.
// Needs no key of anybody.
import { checkEnvironmentName } from '@clef/host';
import { type Cell, findCell, matrixCells } from '../cells/cell.ts';
import { inParallel } from '../cells/in-parallel.ts';
import { readSealedCell, readSidecar } from '../cells/read.ts';
import type { KeyRule } from '../checks/schema.ts';
import { readSchema } from '../checks/schema-file.ts';
import { ClefError } from '../errors.ts';
import { cellRecipients } from '../manifest/access.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { checkKeyName, didYouMean } from '../manifest/names.ts';
import { servedName } from '../manifest/served-name.ts';
import type { Repository } from '../repository.ts';

export type Explanation = {
  readonly key: string;
  /** The name changes how programs run as soon as it is a variable. */
  readonly isDangerous: boolean;
  readonly cells: readonly ExplainedCell[];
  /** What the schemas of its namespaces say of it. */
  readonly rules: readonly ExplainedRule[];
  /** Cells beside these, of the same namespaces, that have no such key. */
  readonly absent: readonly string[];
};

/** The rule of one namespace, in the words of the schema's file; without `rule` the schema does not list the key. */
export type ExplainedRule = {
  readonly namespace: string;
  readonly file: string;
  readonly rule?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  /** Keys that the schema does not list are refused. */
  readonly closed?: true;
};

export type ExplainedCell = {
  readonly cell: string;
  readonly path: string;
  /** Announced, without a value. */
  readonly pending: boolean;
  /** The last change, where the sidecar tells. */
  readonly changedAt?: string;
  readonly by?: string;
  /** Names of people that the manifest grants the cell. */
  readonly people: readonly string[];
  /** The environment's own keys. */
  readonly encryptTo: readonly string[];
  readonly services: readonly CarryingService[];
};

/** A service identity whose artifact has the key, and under which name. */
export type CarryingService = { readonly service: string; readonly name: string };

/**
 * What is known of a key in all cells, or in one.
 * @throws {ClefError} `unknown_key` where no cell has it, `bad_name`, and what naming and reading a cell can give.
 */
export async function explainKey(
  repository: Repository,
  { key, cell: target }: { readonly key: string; readonly cell?: string },
): Promise<Explanation> {
  checkKeyName(key);
  const { world, manifest } = repository;
  const all = target === undefined ? matrixCells(manifest) : [findCell(manifest, target)];
  const seen = await inParallel(world, 'Reading cells', all, (cell) => lookInto(repository, cell, key));
  const cells = seen.flatMap(({ explained }) => explained ?? []);
  const rules = await explainRules(repository, all, key);
  const isKnown = cells.length > 0 || rules.some(({ rule }) => rule !== undefined);
  if (!isKnown) throw nowhere(key, target, [...new Set(seen.flatMap(({ keys }) => keys))]);
  const isThere = (cell: Cell): boolean => cells.some(({ path }) => path === cell.path);
  const listing = rules.flatMap(({ namespace, rule }) => (rule === undefined ? [] : namespace));
  const namespaces = new Set([...all.filter(isThere).map(({ namespace }) => namespace), ...listing]);
  return {
    key,
    isDangerous: checkEnvironmentName(key) === 'dangerous',
    cells,
    rules: rules.filter(({ namespace }) => namespaces.has(namespace)),
    absent: all.filter((cell) => namespaces.has(cell.namespace) && !isThere(cell)).map(({ label }) => label),
  };
}

async function explainRules(
  repository: Repository,
  cells: readonly Cell[],
  key: string,
): Promise<readonly ExplainedRule[]> {
  const rules: ExplainedRule[] = [];
  for (const namespace of new Set(cells.map((cell) => cell.namespace))) {
    const schema = await readSchema(repository, namespace);
    if (schema === undefined) continue;
    const rule = schema.keys.get(key);
    rules.push({
      namespace,
      file: schema.file,
      ...(rule ? { rule: plainRule(rule) } : schema.isOpen ? {} : { closed: true }),
    });
  }
  return rules;
}

/** As the file of the schema writes it. */
function plainRule(rule: KeyRule): NonNullable<ExplainedRule['rule']> {
  const { type, isRequired, description, pattern, min, max, minLength, maxLength, values } = rule;
  return {
    type,
    ...(isRequired && { required: true }),
    ...(description !== undefined && { description }),
    ...(pattern && { pattern: pattern.text }),
    ...(min !== undefined && { min }),
    ...(max !== undefined && { max }),
    ...(minLength !== undefined && { min_length: minLength }),
    ...(maxLength !== undefined && { max_length: maxLength }),
    ...(values && { values }),
  };
}

async function lookInto(
  repository: Repository,
  cell: Cell,
  key: string,
): Promise<{ readonly keys: readonly string[]; readonly explained?: ExplainedCell }> {
  const [sealed, { sidecar }] = await Promise.all([
    readSealedCell(repository, cell),
    readSidecar(repository, cell),
  ]);
  const keys = [...(sealed?.keys ?? []), ...sidecar.pending];
  if (!keys.includes(key)) return { keys };
  const { manifest } = repository;
  const { people, encryptTo } = cellRecipients(manifest, cell);
  const explained = {
    cell: cell.label,
    path: cell.path,
    pending: sealed?.keys.includes(key) !== true,
    ...sidecar.keys.get(key),
    people: [...new Set(people.map(({ person }) => person))],
    encryptTo: encryptTo.map(({ text }) => text),
    services: carryingServices(manifest, cell, key),
  };
  return { keys, explained };
}

function carryingServices(manifest: Manifest, cell: Cell, key: string): readonly CarryingService[] {
  return manifest.serviceIdentities
    .filter(
      ({ namespaces, environments }) =>
        namespaces.includes(cell.namespace) && environments.has(cell.environment),
    )
    .map((service) => ({ service: service.name, name: servedName(service, cell.namespace, key) }));
}

function nowhere(key: string, target: string | undefined, existing: readonly string[]): ClefError {
  const where = target === undefined ? 'in any cell' : `in "${target}"`;
  return new ClefError({
    code: 'unknown_key',
    message: `No key "${key}" ${where}${didYouMean(key, existing)}`,
    hint:
      target === undefined
        ? 'search for a part of its name with "clef search"'
        : `run "clef explain ${key}" to see where it is`,
    location: { key },
  });
}
