// For the bundler: an import from a package of ours becomes imports from the files that define the names. A package's
// index.ts loads all of the package; a command needs a few files of it (docs/decisions/bundle-with-lazy-files.md).
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const importFrom = /^(import|export) (type )?\{([^}]*)\} from '(@clef\/[a-z]+)';$/gm;
const exportFrom = /^export (?:type )?\{([^}]*)\} from '(\.[^']+)';$/gm;

/**
 * The plugin.
 * @param root - the repository.
 * @param keptWhole - packages that stay as they are imported.
 */
export function directImports(root, keptWhole) {
  const indexes = new Map();
  const indexOf = (name) => {
    const index = indexes.get(name) ?? readIndex(join(root, 'packages', name.slice('@clef/'.length), 'src'));
    indexes.set(name, index);
    return index;
  };
  return {
    name: 'direct-imports',
    setup(builder) {
      builder.onLoad({ filter: /[\\/]packages[\\/][a-z]+[\\/]src[\\/].*\.ts$/ }, async ({ path }) => {
        const source = await readFile(path, 'utf8');
        const statements = [...source.matchAll(importFrom)].filter(
          ([, , , , name]) => !keptWhole.includes(name),
        );
        const rewritten = await Promise.all(
          statements.map(async (match) => [match[0], direct(match, await indexOf(match[4]))]),
        );
        const contents = rewritten.reduce((text, [from, to]) => text.replace(from, () => to), source);
        return { contents, loader: 'ts', resolveDir: dirname(path) };
      });
    },
  };
}

/** One statement as several, on one line so that line numbers stay; types, which leave nothing behind, are left out. */
function direct([statement, verb, isType, list, packageName], index) {
  if (isType !== undefined) return blankLines(statement);
  const byFile = new Map();
  for (const { text, name } of namesOf(list)) {
    const file = index.get(name);
    if (file === undefined) throw new Error(`${packageName} does not export "${name}"`);
    byFile.set(file, [...(byFile.get(file) ?? []), text]);
  }
  const parts = [...byFile].map(
    ([file, names]) => `${verb} { ${names.join(', ')} } from ${JSON.stringify(file)};`,
  );
  return parts.join(' ') + blankLines(statement);
}

/** Where each value that an index.ts exports is defined. It lists names one by one, which the architecture test checks. */
async function readIndex(folder) {
  const source = await readFile(join(folder, 'index.ts'), 'utf8');
  const files = new Map();
  for (const [, list, from] of source.matchAll(exportFrom)) {
    const file = join(folder, from);
    if (!existsSync(file)) throw new Error(`${folder}/index.ts names "${from}", which is not there`);
    for (const { name } of namesOf(list)) files.set(name, file);
  }
  return files;
}

/** The values of a list of names; `a as b` is refused by an index, and keeps its text in an import. */
function namesOf(list) {
  return list
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '' && !text.startsWith('type '))
    .map((text) => ({ text, name: text.split(' ')[0] }));
}

function blankLines(statement) {
  return '\n'.repeat(statement.split('\n').length - 1);
}
