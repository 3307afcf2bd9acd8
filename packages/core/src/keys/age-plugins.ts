// Programs for age keys of plugins: only those that the person names, by absolute path, in `plugins.yaml` of the
// configuration folder. A repository, a recipient or PATH never leads to one (catalogue INV-33).
import { isAbsolute, join } from 'node:path';
import { statRegularFile, withoutOwnVariables } from '@clef/host';
import type { AgePlugins, PluginQuestion, SopsError } from '@clef/sops';
import { ClefError } from '../errors.ts';
import { fromGroundError, uncapitalised } from '../from-ground-error.ts';
import { isMap, parseStrictYaml } from '../manifest/strict-yaml.ts';
import type { World } from '../world.ts';
import { configFolder } from './config-folder.ts';
import { maxKeyFileBytes, readIfThere } from './key-text.ts';

const listName = 'plugins.yaml';

/** The plugins of this person. Nothing is read before a key or a recipient asks for one. */
export function agePlugins(world: World): AgePlugins {
  let programs: Promise<ReadonlyMap<string, string>> | undefined;
  return {
    programOf: async (name) => {
      programs ??= listAgePlugins(world);
      return (await programs).get(name);
    },
    environment: withoutOwnVariables(world.environment),
    ask: (question) => askPerson(world, question),
  };
}

/** The error for a plugin without a program, and for a plugin or GnuPG that failed, where no other key opens a file. */
export function programFailure(cause: SopsError, action: string): ClefError {
  return new ClefError({
    code: 'key_locked',
    message: `Cannot ${action}: ${uncapitalised(cause.message)}`,
    hint: `check the program: the one that "${listName}" in your configuration folder names for the plugin, or gpg`,
    cause,
  });
}

/**
 * The programs that the person names for age keys of plugins, by plugin; none where there is no list.
 * @throws {ClefError} `settings_invalid`.
 */
export async function listAgePlugins(world: World): Promise<ReadonlyMap<string, string>> {
  const path = join(configFolder(world), listName);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return new Map();
  await refuseWritable(world, path);
  const yaml = parseStrictYaml(bytes, { maxBytes: maxKeyFileBytes });
  const value = 'faults' in yaml ? undefined : yaml.value;
  if (
    !isMap(value) ||
    value['version'] !== 1 ||
    !isMap(value['plugins']) ||
    Object.keys(value).length !== 2
  ) {
    throw unusable(path, 'it is not a map of "version: 1" and "plugins"');
  }
  return new Map(
    Object.entries(value['plugins']).map(([name, program]) => {
      if (!/^[a-z0-9]{1,64}$/.test(name)) throw unusable(path, 'a name has other signs than a-z and 0-9');
      if (typeof program === 'string' && isAbsolute(program)) return [name, program];
      throw unusable(path, `the program of "${name}" is not an absolute path`);
    }),
  );
}

/** Whoever can write there decides what runs with the person's keys. */
async function refuseWritable(world: World, path: string): Promise<void> {
  if (world.platform === 'win32') return;
  const facts = await statRegularFile(path).catch((error: unknown) => {
    throw fromGroundError(error, { action: `look at "${path}"`, file: path });
  });
  if (facts === undefined) return;
  if (facts.uid !== 0 && facts.uid !== process.getuid?.()) throw unusable(path, 'it belongs to another user');
  if ((facts.mode & 0o022) !== 0) throw unusable(path, `others can write to it; run: chmod go-w "${path}"`);
}

function unusable(path: string, why: string): ClefError {
  return new ClefError({
    code: 'settings_invalid',
    message: `Cannot use "${path}": ${why}`,
    hint: 'write for example: version: 1, and below "plugins": yubikey: /usr/local/bin/age-plugin-yubikey',
    location: { file: path },
  });
}

/** What a plugin says is its own text, and shown as such. Yes or no is not asked: no is the answer. */
async function askPerson(
  { notify, askPassphrase }: World,
  { plugin, kind, text }: PluginQuestion,
): Promise<string | boolean | undefined> {
  const said = `the age plugin "${plugin}" says: ${text}`;
  if (kind === 'message') notify({ level: 'note', message: said });
  return kind === 'secret' || kind === 'public' ? askPassphrase?.(said) : undefined;
}
