// The number of a group that a setting names.
import { readFile } from 'node:fs/promises';

/** Undefined when there is no such group. */
export async function findGroupId(group: string): Promise<number | undefined> {
  if (/^[0-9]+$/.test(group)) return Number(group);
  const lines = (await readFile('/etc/group', 'utf8')).split('\n').map((line) => line.split(':'));
  const id = lines.find(([name]) => name === group)?.[2];
  return id !== undefined && /^[0-9]+$/.test(id) ? Number(id) : undefined;
}
