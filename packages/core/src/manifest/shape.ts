// Shapes of values. One description says at once whether a value fits, and becomes a zod schema only where somebody asks
// what is wrong or wants a JSON Schema: building the schema takes longer than reading a clef.yaml. What fits passes the schema.

import * as z from 'zod/mini';

/** A shape; what `fits` is accepted by `schema()`, which is built once. */
export type Shape<S extends z.ZodMiniType = z.ZodMiniType> = {
  readonly fits: (value: unknown) => boolean;
  readonly schema: () => S;
};

/** What the schema of a shape accepts. */
export type Shaped<T extends Shape> = z.output<ReturnType<T['schema']>>;

type Fields = Readonly<Record<string, Shape>>;
type SchemasOf<F extends Fields> = { -readonly [Key in keyof F]: ReturnType<F[Key]['schema']> };

function shapeOf<S extends z.ZodMiniType>(fits: Shape['fits'], build: () => S): Shape<S> {
  let schema: S | undefined;
  const built = (): S => {
    schema ??= build();
    return schema;
  };
  return { fits, schema: built };
}

/** Any text. */
export function text(about: string) {
  return shapeOf(
    (value) => typeof value === 'string',
    () => z.string().check(z.describe<string>(about)),
  );
}

/** Text of a pattern, which is neither global nor sticky. */
export function patterned(pattern: RegExp, about: string) {
  return shapeOf(
    (value) => typeof value === 'string' && pattern.test(value),
    () => z.string().check(z.regex(pattern), z.describe<string>(about)),
  );
}

/** True or false. */
export function flag(about: string) {
  return shapeOf(
    (value) => typeof value === 'boolean',
    () => z.boolean().check(z.describe(about)),
  );
}

/** One value and no other. */
export function only<const T extends string | number>(wanted: T) {
  return shapeOf(
    (value) => value === wanted,
    () => z.literal(wanted),
  );
}

/** The shape, or nothing. */
export function optional<S extends z.ZodMiniType>(shape: Shape<S>) {
  return shapeOf(
    (value) => value === undefined || shape.fits(value),
    () => z.optional(shape.schema()),
  );
}

/** One of two shapes. */
export function either<A extends z.ZodMiniType, B extends z.ZodMiniType>(one: Shape<A>, other: Shape<B>) {
  return shapeOf(
    (value) => one.fits(value) || other.fits(value),
    () => z.union([one.schema(), other.schema()]),
  );
}

/** A list; `least` and `most` count its entries. */
export function list<S extends z.ZodMiniType>(
  item: Shape<S>,
  { least, most, about }: { readonly least?: number; readonly most?: number; readonly about?: string } = {},
) {
  const hasSize = (size: number) => size >= (least ?? 0) && size <= (most ?? size);
  return shapeOf(
    (value) => Array.isArray(value) && hasSize(value.length) && value.every((entry) => item.fits(entry)),
    () => {
      const checks = [
        ...(least === undefined ? [] : [z.minLength(least)]),
        ...(most === undefined ? [] : [z.maxLength(most)]),
        ...(about === undefined ? [] : [z.describe<z.output<S>[]>(about)]),
      ];
      return z.array(item.schema()).check(...checks);
    },
  );
}

/** A map whose keys are all of one shape. */
export function mapping<K extends z.ZodMiniString<string>, S extends z.ZodMiniType>(
  key: Shape<K>,
  item: Shape<S>,
) {
  return shapeOf(
    (value) =>
      isPlainMap(value) && Object.entries(value).every(([name, entry]) => key.fits(name) && item.fits(entry)),
    () => z.record(key.schema(), item.schema()),
  );
}

/** A map of these fields and no other. */
export function fields<F extends Fields>(shapes: F) {
  const known = Object.entries(shapes);
  return shapeOf(
    (value) =>
      isPlainMap(value) &&
      Object.keys(value).every((name) => Object.hasOwn(shapes, name)) &&
      known.every(([name, shape]) => shape.fits(value[name])),
    () =>
      z.strictObject(
        Object.fromEntries(known.map(([name, shape]) => [name, shape.schema()])) as SchemasOf<F>,
      ),
  );
}

/** As the reader of YAML makes them: nothing is inherited. */
function isPlainMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
}
