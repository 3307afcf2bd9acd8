// What a crash of the machine may leave on the disk: from the log of a command, the trees that are legal if nothing is
// durable but what was synced. Unsynced bytes are lost, cut or replaced by zeros at borders of 512; unsynced names are
// lost, each for itself, so that later ones may be there without earlier ones.

import type { LogEntry, Tree } from './stage.ts';

const sector = 512;

/** The bytes of one file over time. */
type Inode = { content: Buffer; durable: Buffer };

/** A change of the names in one folder: a name now stands for a file, a folder, or nothing. */
type NameChange = { readonly set: readonly (readonly [path: string, inode: Inode | 'folder' | undefined])[] };

type Disk = {
  /** Names as a living process sees them. */
  readonly names: Map<string, Inode | 'folder'>;
  /** Names that are certainly on the disk. */
  readonly durable: Map<string, Inode | 'folder'>;
  /** By folder, in order: what was done to names and is not synced. */
  readonly pending: Map<string, NameChange[]>;
};

/** Chance that is the same each time. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a2d39) >>> 0;
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

function diskOf(old: Tree): Disk {
  const names = new Map<string, Inode | 'folder'>();
  for (const [path, text] of Object.entries(old)) {
    const bytes = Buffer.from(text, 'latin1');
    names.set(`work/${path}`, { content: bytes, durable: bytes });
    for (let folder = folderOf(`work/${path}`); folder !== 'work'; folder = folderOf(folder))
      names.set(folder, 'folder');
  }
  return { names, durable: new Map(names), pending: new Map() };
}

function changeNames(disk: Disk, set: NameChange['set']): void {
  const folder = folderOf((set[0] as NameChange['set'][number])[0]);
  disk.pending.set(folder, [...(disk.pending.get(folder) ?? []), { set }]);
  apply(disk.names, { set });
}

function apply(names: Map<string, Inode | 'folder'>, { set }: NameChange): void {
  for (const [path, inode] of set) {
    if (inode === undefined) names.delete(path);
    else names.set(path, inode);
  }
}

function inodeAt(disk: Disk, path: string): Inode {
  const inode = disk.names.get(path);
  if (inode === undefined || inode === 'folder') throw new Error(`No file ${path} in the log`);
  return inode;
}

function write(inode: Inode, bytes: Buffer, position: number): void {
  const length = Math.max(inode.content.length, position + bytes.length);
  const content = Buffer.alloc(length);
  inode.content.copy(content);
  bytes.copy(content, position);
  inode.content = content;
}

/** One call of the log, done to the disk. */
function step(disk: Disk, { op, path, to, bytes, position, isNew }: LogEntry): void {
  if (op === 'open' && isNew === true)
    changeNames(disk, [[path, { content: Buffer.alloc(0), durable: Buffer.alloc(0) }]]);
  if (op === 'write' || op === 'writeFile')
    write(inodeAt(disk, path), Buffer.from(bytes ?? '', 'base64'), position ?? 0);
  if (op === 'mkdir') changeNames(disk, [[path, 'folder']]);
  if (op === 'unlink' || op === 'rmdir') changeNames(disk, [[path, undefined]]);
  if (op === 'link') changeNames(disk, [[to as string, inodeAt(disk, path)]]);
  if (op === 'rename')
    changeNames(disk, [
      [path, undefined],
      [to as string, inodeAt(disk, path)],
    ]);
  if (op === 'sync') sync(disk, path);
}

function sync(disk: Disk, path: string): void {
  const inode = disk.names.get(path);
  if (inode !== undefined && inode !== 'folder') {
    inode.durable = inode.content;
    return;
  }
  for (const change of disk.pending.get(path) ?? []) apply(disk.durable, change);
  disk.pending.delete(path);
}

/** One of the trees that a crash may leave after the first `count` calls. */
export function crashTree(
  old: Tree,
  log: readonly LogEntry[],
  count: number,
  chance: () => number,
): ReadonlyMap<string, Buffer | 'folder'> {
  const disk = diskOf(old);
  // The keys of the person lie elsewhere.
  for (const entry of log.slice(0, count)) if (entry.path.startsWith('work')) step(disk, entry);
  const names = new Map(disk.durable);
  const share = chance() % 4;
  for (const changes of disk.pending.values())
    for (const change of changes) if (share === 3 || (share > 0 && chance() % 2 === 0)) apply(names, change);
  const tree = new Map<string, Buffer | 'folder'>();
  for (const [path, inode] of names) {
    if (!hasFolder(names, path)) continue;
    tree.set(path.slice('work/'.length), inode === 'folder' ? inode : torn(inode, chance));
  }
  return tree;
}

/** A name in a folder whose own name was lost is lost too. */
function hasFolder(names: ReadonlyMap<string, unknown>, path: string): boolean {
  const folder = folderOf(path);
  return folder === 'work' || (names.get(folder) === 'folder' && hasFolder(names, folder));
}

/** The synced bytes, the latest ones, or a mixture by sectors. */
function torn({ content, durable }: Inode, chance: () => number): Buffer {
  if (content === durable) return content;
  const kind = chance() % 4;
  if (kind === 0) return durable;
  if (kind === 1) return content;
  const length = kind === 2 ? content.length : chance() % (content.length + 1);
  const result = Buffer.alloc(length);
  for (let at = 0; at < length; at += sector) {
    const source = chance() % 3;
    const from = source === 0 ? content : durable;
    if (source < 2 && at < from.length) from.copy(result, at, at, Math.min(at + sector, length));
  }
  return result;
}
