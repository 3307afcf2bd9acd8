// Where Clef keeps what belongs to the person and not to a repository.
import { isAbsolute, join } from 'node:path';
import { ClefError } from '../errors.ts';
import type { World } from '../world.ts';

/**
 * The absolute path of the configuration folder: `CLEF_CONFIG_DIR`, else `clef` below `XDG_CONFIG_HOME`, else the
 * platform's place. Not created here.
 * @throws {ClefError} `settings_invalid` where a variable holds a relative path (H12).
 */
export function configFolder(world: World): string {
  const own = variablePath(world, 'CLEF_CONFIG_DIR');
  if (own !== undefined) return own;
  return join(platformConfigFolder(world), 'clef');
}

/** The folder that holds every program's configuration: XDG, or the platform's equivalent. */
export function platformConfigFolder(world: World): string {
  const xdg = variablePath(world, 'XDG_CONFIG_HOME');
  if (xdg !== undefined) return xdg;
  if (!isAbsolute(world.homeDirectory)) {
    throw new ClefError({
      code: 'settings_invalid',
      message: 'Cannot find your configuration folder: HOME is not an absolute path',
      hint: 'set CLEF_CONFIG_DIR to an absolute path',
    });
  }
  if (world.platform === 'darwin') return join(world.homeDirectory, 'Library', 'Application Support');
  if (world.platform === 'win32')
    return world.environment['APPDATA'] ?? join(world.homeDirectory, 'AppData', 'Roaming');
  return join(world.homeDirectory, '.config');
}

function variablePath(world: World, name: string): string | undefined {
  const value = world.environment[name];
  if (value === undefined || value === '') return undefined;
  if (isAbsolute(value)) return value;
  throw new ClefError({
    code: 'settings_invalid',
    message: `${name} is not an absolute path`,
    hint: `set ${name} to an absolute path, or unset it`,
  });
}
