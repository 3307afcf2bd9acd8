// Who gains and who loses a cell when its stanzas are made anew: what the file says now against what a manifest grants.

import { recipientName, recipientsOf } from '@clef/sops';
import type { CellName, Manifest } from '../manifest/manifest.ts';
import type { World } from '../world.ts';
import type { SealedCell } from './read.ts';
import { manifestReaders, namesInFile } from './sops-recipients.ts';

/** One key that begins or ceases to open one cell. */
export type ReaderChange = {
  /** NAMESPACE/ENVIRONMENT. */
  readonly cell: string;
  readonly change: 'gains' | 'loses';
  /** Whose age key it is; absent for a key of a KMS, and for one that clef.yaml does not name. */
  readonly person?: string;
  /** `age1…`, or as SOPS names a key of a KMS. */
  readonly key: string;
};

/** A {@link ReaderChange}, and whether the two manifests account for it: what they do not was done to the file. */
export type JudgedChange = ReaderChange & { readonly isExpected: boolean };

/**
 * The changes that making the stanzas of a cell anew brings about.
 * @param before - The manifest as it is.
 * @param after - The manifest whose recipients the cell will have.
 */
export function readerChanges(
  world: Pick<World, 'environment'>,
  sealed: SealedCell,
  before: Manifest,
  after: Manifest,
): readonly JudgedChange[] {
  const { cell, file } = sealed;
  const found = namesInFile(world, file);
  const [old, wanted] = [readersOf(before, cell), readersOf(after, cell)];
  const owners = new Map([...ownersOf(after), ...ownersOf(before)]);
  const gains = [...wanted].filter((key) => !found.includes(key));
  const loses = [...new Set(found)].filter((key) => !wanted.has(key));
  const line = (change: ReaderChange['change'], isExpected: (key: string) => boolean) => (key: string) => ({
    cell: cell.label,
    change,
    key,
    ...ownerOf(owners, key),
    isExpected: isExpected(key),
  });
  return [
    ...gains.map(line('gains', (key) => !old.has(key))),
    ...loses.map(line('loses', (key) => old.has(key))),
  ];
}

/** Whether two manifests grant a cell to the same keys. */
export function hasSameReaders(before: Manifest, after: Manifest, cell: CellName): boolean {
  const [old, wanted] = [readersOf(before, cell), readersOf(after, cell)];
  return old.size === wanted.size && [...old].every((key) => wanted.has(key));
}

function readersOf(manifest: Manifest, cell: CellName): ReadonlySet<string> {
  return new Set(manifestReaders(manifest, cell).map(({ name }) => name));
}

function ownersOf({ recipients }: Manifest): readonly (readonly [key: string, person: string])[] {
  return recipients.flatMap(({ name, keys }) => keys.map((key) => [key.text, name] as const));
}

function ownerOf(owners: ReadonlyMap<string, string>, key: string): { readonly person?: string } {
  const person = owners.get(key);
  return person === undefined ? {} : { person };
}

/** Everybody that the file of a cell names, as {@link ReaderChange} does. */
export function recipientsOfCell({ file }: SealedCell): readonly string[] {
  return recipientsOf(file).map(recipientName);
}
