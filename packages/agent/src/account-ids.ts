// The numbers of users and groups that settings name.
import { readFile } from 'node:fs/promises';

/** Undefined when there is no such group. */
export function findGroupId(group: string): Promise<number | undefined> {
  return findId('/etc/group', group);
}

/** Undefined when there is no such user. */
export function findUserId(user: string): Promise<number | undefined> {
  return findId('/etc/passwd', user);
}

async function findId(path: string, wanted: string): Promise<number | undefined> {
  if (/^[0-9]+$/.test(wanted)) return Number(wanted);
  const lines = (await readFile(path, 'utf8')).split('\n').map((line) => line.split(':'));
  const id = lines.find(([name]) => name === wanted)?.[2];
  return id !== undefined && /^[0-9]+$/.test(id) ? Number(id) : undefined;
}
