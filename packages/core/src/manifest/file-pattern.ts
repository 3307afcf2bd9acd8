// Where the file of a cell lies: file_pattern of clef.yaml, and the sidecar beside each cell. A pattern is accepted only
// if no cell can leave the repository or share a file with another.

import type { CellName } from './manifest.ts';

const cellSuffix = '.enc.yaml';
const sidecarSuffix = '.meta.yaml';
const placeholder = /\{([^{}]*)\}/g;

/** What `clef init` writes. */
export const defaultFilePattern = 'secrets/{namespace}/{environment}.enc.yaml';

/** What is wrong with a pattern: `path` where it would leave the tree or touch what it must not, else `config`. */
export type FilePatternFault = { readonly class: 'path' | 'config'; readonly message: string };

/** The file of `cell`, relative to the root of the repository, with forward slashes. `pattern` must be a checked one. */
export function cellPath(pattern: string, cell: CellName): string {
  return pattern.replaceAll('{namespace}', cell.namespace).replaceAll('{environment}', cell.environment);
}

/** The plaintext sidecar beside the file of a cell. */
export function sidecarPath(path: string): string {
  return `${path.slice(0, -cellSuffix.length)}${sidecarSuffix}`;
}

/** Everything wrong with `pattern` itself; empty for a good one. Path faults hide the lesser ones. */
export function filePatternFaults(pattern: string): FilePatternFault[] {
  const pathFault = unsafePath(pattern);
  if (pathFault !== undefined) return [{ class: 'path', message: `file_pattern ${pathFault}` }];
  return placeholderFaults(pattern).map((message) => ({
    class: 'config',
    message: `file_pattern ${message}`,
  }));
}

/**
 * The first two cells whose files or sidecars would be one file, also on a file system that folds case; undefined where
 * all are distinct.
 */
export function clashingCells(
  pattern: string,
  cells: Iterable<CellName>,
): { readonly first: CellName; readonly second: CellName; readonly path: string } | undefined {
  const owners = new Map<string, CellName>();
  for (const cell of cells) {
    const path = cellPath(pattern, cell);
    for (const file of [path, sidecarPath(path)]) {
      const folded = file.toLowerCase();
      const first = owners.get(folded);
      if (first !== undefined) return { first, second: cell, path: file };
      owners.set(folded, cell);
    }
  }
  return undefined;
}

/** Why a path that clef.yaml names could leave the repository, or reach what it must not; `undefined` for a good one. */
export function unsafePath(pattern: string): string | undefined {
  if (/^([/\\~]|[A-Za-z]:)/.test(pattern)) return 'must be relative to the repository';
  if (pattern.includes('\\')) return 'wants forward slashes';
  if (!/^[\x20-\x7e]*$/.test(pattern)) return 'wants printable ASCII characters only';
  if (pattern.toLowerCase() === 'clef.yaml') return 'names clef.yaml itself';
  for (const segment of pattern.split('/')) {
    const fault = unsafeSegment(segment);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function unsafeSegment(segment: string): string | undefined {
  if (segment === '') return 'has an empty folder name';
  if (segment === '.' || segment === '..') return `must not contain "${segment}"`;
  if (/^\.(git|clef)$/i.test(segment)) return `must not reach into "${segment.toLowerCase()}"`;
  if (/[. ]$/.test(segment) || segment.startsWith(' '))
    return 'has a folder name with a dot or space at its edge';
  if (/[<>:"|?*]/.test(segment)) return 'has a character that some file systems refuse';
  if (/^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i.test(segment))
    return 'has a folder name that Windows reserves';
  return undefined;
}

function placeholderFaults(pattern: string): string[] {
  const names = [...pattern.matchAll(placeholder)].map((match) => match[1] ?? '');
  const faults: string[] = [];
  if (/[{}]/.test(pattern.replaceAll(placeholder, ''))) faults.push('has a brace without its pair');
  if (names.some((name) => name !== 'namespace' && name !== 'environment')) {
    faults.push('knows only {namespace} and {environment}');
  }
  for (const wanted of ['namespace', 'environment']) {
    if (!names.includes(wanted)) faults.push(`lacks {${wanted}}`);
  }
  if (!pattern.endsWith(cellSuffix)) faults.push(`must end in ${cellSuffix}`);
  return faults;
}
