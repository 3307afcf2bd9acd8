// `clef init`: a first clef.yaml, or a key for somebody who joins. Changes nothing that is there already.
import { randomUUID } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gitState } from '../git/git.ts';
import { personName } from '../git/person-name.ts';
import { ownRecipients } from '../keys/age-keys.ts';
import { createAgeKey } from '../keys/key-store.ts';
import { askNewPassphrase } from '../keys/new-passphrase.ts';
import { manifestSchemaPath, newManifestText } from '../manifest/new-manifest.ts';
import {
  hasManifest,
  manifestName,
  openRepository,
  type Repository,
  readFileIn,
  startFolder,
} from '../repository.ts';
import { commitFiles } from '../transaction/commit-files.ts';
import { settle } from '../transaction/open-repository.ts';
import type { World } from '../world.ts';

type OwnKey = {
  readonly recipient: string;
  readonly madeKey: boolean;
  /** In words, where the private key is; only of a key made now. */
  readonly keptIn?: string;
};

export type InitResult =
  | (OwnKey & {
      readonly kind: 'created';
      readonly root: string;
      readonly manifestPath: string;
      readonly person: string;
      readonly environments: readonly string[];
      readonly git: 'inside' | 'outside' | 'no_git';
    })
  | (OwnKey & {
      readonly kind: 'joined';
      readonly root: string;
      readonly person: string;
      /** What a teammate runs to let this key in; absent where the manifest has it. */
      readonly inviteLine?: string;
    });

/**
 * Starts a repository in a folder, or joins the one around it: makes an age key where the person has none.
 * @throws {ClefError} `manifest_invalid`, `io`, `bad_identity`, `settings_invalid`.
 */
export async function initRepository(
  world: World,
  options: { readonly directory?: string; readonly withPassphrase: boolean },
): Promise<InitResult> {
  const folder = await startFolder(world, options.directory);
  await settle(world, folder);
  const existing = await repositoryAround(world, folder);
  if (existing !== undefined) return joinRepository(existing, options.withPassphrase);
  const person = await personName(world, folder);
  const key = await ownKey(world, options.withPassphrase);
  // Loaded here only: writing the schema out takes longer than reading a cell.
  const { manifestSchemaText } = await import('../manifest/json-schema.ts');
  const text = newManifestText({ repository: randomUUID(), person, ageRecipient: key.recipient });
  const encode = (content: string): Uint8Array => new TextEncoder().encode(content);
  const oldSchema = await readFileIn(folder, manifestSchemaPath);
  await commitFiles(
    folder,
    [
      { path: manifestSchemaPath, before: oldSchema, after: encode(manifestSchemaText) },
      { path: manifestName, before: undefined, after: encode(text) },
    ],
    { purpose: 'init', now: world.now, randomBytes: world.randomBytes },
  );
  const repository = await openRepository(world, folder);
  return {
    ...key,
    kind: 'created',
    root: folder,
    manifestPath: join(folder, manifestName),
    person,
    environments: repository.manifest.environments.map(({ name }) => name),
    git: (await gitState(world, folder)).kind,
  };
}

/** The repository of a folder: its own clef.yaml, or the nearest one above it within the git work tree. */
async function repositoryAround(world: World, folder: string): Promise<Repository | undefined> {
  if (await hasManifest(folder)) return openRepository(world, folder);
  const git = await gitState(world, folder);
  if (git.kind !== 'inside') return undefined;
  // git names the top without symbolic links.
  let above = await realpath(folder);
  while (above !== git.top && above !== dirname(above)) {
    above = dirname(above);
    if (await hasManifest(above)) return openRepository(world, above);
  }
  return undefined;
}

async function joinRepository(repository: Repository, withPassphrase: boolean): Promise<InitResult> {
  const { world, manifest, root } = repository;
  const key = await ownKey(world, withPassphrase);
  const known = manifest.recipients.find(({ keys }) => keys.some(({ text }) => text === key.recipient));
  if (known !== undefined) return { ...key, kind: 'joined', root, person: known.name };
  const person = await personName(world, root);
  const [first = 'development'] = manifest.environments
    .filter((one) => !one.protected)
    .map(({ name }) => name);
  return {
    ...key,
    kind: 'joined',
    root,
    person,
    inviteLine: `clef recipients add ${person} ${key.recipient} --environments ${first}`,
  };
}

async function ownKey(world: World, withPassphrase: boolean): Promise<OwnKey> {
  const [recipient] = await ownRecipients(world);
  if (recipient !== undefined) return { recipient, madeKey: false };
  const passphrase = withPassphrase ? await askNewPassphrase(world) : undefined;
  const { entry, keptIn } = await createAgeKey(world, passphrase === undefined ? {} : { passphrase });
  return { recipient: entry.recipient, madeKey: true, keptIn };
}
