// What a package lets out is documented where it is declared: every function, class and constant; in @clef/sops, which is
// published on its own, every type too. Read from the syntax alone, so that it costs little.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const packages = new URL('../packages/', import.meta.url).pathname;
const indexOf = (name: string): string => `${packages}${name}/src/index.ts`;
const names = readdirSync(packages).filter((name) => existsSync(indexOf(name)));

const parsed = new Map<string, ts.SourceFile>();
function parse(path: string): ts.SourceFile {
  const found =
    parsed.get(path) ?? ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
  parsed.set(path, found);
  return found;
}

type Export = { readonly name: string; readonly path: string };

/** What an index lists, with the file and the name that each is declared under. */
function exportsOf(index: string): Export[] {
  return parse(index).statements.flatMap((statement) => {
    if (!ts.isExportDeclaration(statement) || statement.exportClause === undefined) return [];
    if (!ts.isNamedExports(statement.exportClause)) return [];
    const source = (statement.moduleSpecifier as ts.StringLiteral).text;
    return statement.exportClause.elements.flatMap(({ name, propertyName }) =>
      source.startsWith('.')
        ? [{ name: (propertyName ?? name).text, path: resolve(dirname(index), source) }]
        : [],
    );
  });
}

function namesOf(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  const { name } = statement as Partial<ts.DeclarationStatement>;
  return name === undefined ? [] : [name.text];
}

/** Its types have to be documented as well. */
const publishedAlone = new Set(['sops']);

function isType(statement: ts.Statement): boolean {
  return ts.isTypeAliasDeclaration(statement) || ts.isInterfaceDeclaration(statement);
}

function isDocumented({ name, path }: Export, withTypes: boolean): boolean {
  const again = exportsOf(path).find((one) => one.name === name);
  if (again !== undefined) return isDocumented(again, withTypes);
  const declarations = parse(path).statements.filter((statement) => namesOf(statement).includes(name));
  if (!withTypes && declarations.length > 0 && declarations.every(isType)) return true;
  return declarations.some((statement) => ts.getJSDocCommentsAndTags(statement).length > 0);
}

describe('every name that a package lets out says what it is', () => {
  it.each(names)('%s', (name) => {
    const all = exportsOf(indexOf(name));
    expect(all.length).toBeGreaterThan(0);
    expect(
      all
        .filter((one) => !isDocumented(one, publishedAlone.has(name)))
        .map((one) => `${one.name} (${one.path.slice(packages.length)})`),
    ).toEqual([]);
  });
});
