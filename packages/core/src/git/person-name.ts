// What somebody is called who is not in clef.yaml yet.

import { nameFault, slug } from '../manifest/names.ts';
import type { World } from '../world.ts';
import { gitUserName } from './git.ts';

/** The slug of git's user.name, else of the login (formats.md, "clef.yaml"). */
export async function personName(world: World, folder: string): Promise<string> {
  const candidates = [await gitUserName(world, folder), world.userName, 'me'];
  const names = candidates.map((candidate) => (candidate === undefined ? '' : slug(candidate)));
  return names.find((name) => nameFault(name) === undefined) ?? 'me';
}
