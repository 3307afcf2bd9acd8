// The import graph of the product's sources, read as text: what the architecture test judges.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One source file; `path` is relative to the repository, with forward slashes. */
export type SourceFile = { readonly path: string; readonly text: string };

/** One import: `to` is a source file's path, or the bare name of a module. */
export type Import = { readonly from: string; readonly to: string; readonly isType: boolean };

export const repositoryRoot = fileURLToPath(new URL('..', import.meta.url));

/** Every TypeScript file below `packages/<name>/src`. */
export function readSources(): readonly SourceFile[] {
  const packages = join(repositoryRoot, 'packages');
  return readdirSync(packages).flatMap((name) =>
    readdirSync(join(packages, name, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(packages, name, 'src', file))
      .map((path) => ({
        path: relative(repositoryRoot, path).split(sep).join('/'),
        text: readFileSync(path, 'utf8'),
      })),
  );
}

/** The imports of a file: static, dynamic and re-exports. */
export function importsOf({ path, text }: SourceFile): readonly Import[] {
  const code = withoutComments(text);
  const statics = [...code.matchAll(/^\s*(?:import|export)\s+(type\s)?[^'"`;]*?from\s*['"]([^'"]+)['"]/gm)];
  const bare = [...code.matchAll(/^\s*import\s*()['"]([^'"]+)['"]/gm)];
  const dynamic = [...code.matchAll(/\bimport\s*\(()\s*['"]([^'"]+)['"]/g)];
  return [...statics, ...bare, ...dynamic].map(([, type, target]) => ({
    from: path,
    to: resolve(path, target as string),
    isType: type !== undefined && type !== '',
  }));
}

/** The name of the package that a path below `packages/` is in. */
export function packageOf(path: string): string {
  return path.split('/')[1] as string;
}

function resolve(from: string, target: string): string {
  return target.startsWith('.') ? posix.normalize(posix.join(posix.dirname(from), target)) : target;
}

/** Block comments and whole-line comments away; strings stay, as imports need theirs. */
export function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
}
