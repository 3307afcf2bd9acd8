// The `.sops.yaml` that Clef writes: under it stock sops encrypts the files of the matrix to the keys that clef.yaml
// grants. It is made from the manifest alone and replaced as a whole; one that somebody else wrote is never touched unasked.

import { recipientName } from '@clef/sops';
import { type CellRecipients, cellRecipients } from '../manifest/access.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { type Repository, readFileIn } from '../repository.ts';
import type { FileChange } from '../transaction/commit-files.ts';
import type { World } from '../world.ts';
import { sopsRecipient, vaultAddress } from './sops-recipients.ts';

export const sopsConfigName = '.sops.yaml';

/** The first line of a file that is ours. */
const signature = '# Written by clef from clef.yaml: change that, and run "clef sync"';

export type SopsConfigState = 'missing' | 'ours' | 'foreign';

/** The file as it is, and whose it is. */
export async function readSopsConfig({ root }: Pick<Repository, 'root'>): Promise<{
  readonly state: SopsConfigState;
  readonly bytes: Uint8Array | undefined;
}> {
  const bytes = await readFileIn(root, sopsConfigName);
  if (bytes === undefined) return { state: 'missing', bytes };
  const [line = ''] = new TextDecoder().decode(bytes).split(/\r?\n/, 1);
  return { state: line === signature ? 'ours' : 'foreign', bytes };
}

/** The change that keeps a `.sops.yaml` of ours true to a manifest; none where there is none, or it is somebody else's. */
export async function planSopsConfig(
  repository: Repository,
  manifest: Manifest,
): Promise<readonly FileChange[]> {
  const { state, bytes } = await readSopsConfig(repository);
  return state === 'ours' ? sopsConfigChange(repository.world, manifest, bytes) : [];
}

/**
 * The change from `before` to what the manifest gives; none where that is there already.
 * @throws {ClefError} `endpoint_refused` where a key is Vault's, and neither `VAULT_ADDR` nor the file before says where that is.
 */
export function sopsConfigChange(
  world: Pick<World, 'environment'>,
  manifest: Manifest,
  before: Uint8Array | undefined,
): readonly FileChange[] {
  const address = vaultAddress(world) ?? addressIn(before);
  const after = new TextEncoder().encode(sopsConfigText(manifest, address));
  if (before !== undefined && Buffer.compare(before, after) === 0) return [];
  return [{ path: sopsConfigName, before, after }];
}

/** The Vault of a file that we wrote, so that whoever does not use Vault changes nothing about it. */
function addressIn(config: Uint8Array | undefined): string | undefined {
  const text = config === undefined ? '' : new TextDecoder().decode(config);
  if (!text.startsWith(signature)) return undefined;
  return /^ {4}hc_vault_transit_uri: >-\n +(https?:\/\/[^/\s]+)\/v1\//m.exec(text)?.[1];
}

/**
 * The text: for each environment one rule for all namespaces, also those to come, and before them a rule for each set of
 * namespaces that is read by others.
 * @param address - Of the Vault; where there is no key of one, it need not be known.
 */
export function sopsConfigText(manifest: Manifest, address: string | undefined): string {
  const rules = environmentsBySpecificity(manifest).map((environment) =>
    rulesOf(manifest, environment, address),
  );
  const lines = [...rules.flatMap(({ exact }) => exact), ...rules.flatMap(({ rest }) => rest)];
  return `${[signature, lines.length === 0 ? 'creation_rules: []' : 'creation_rules:', ...lines].join('\n')}\n`;
}

/** Longer names first: where the pattern joins the names, "-production.enc.yaml" also ends "-pre-production.enc.yaml". */
function environmentsBySpecificity({ environments }: Manifest): readonly string[] {
  return environments.map(({ name }) => name).sort((a, b) => b.length - a.length);
}

function rulesOf(
  manifest: Manifest,
  environment: string,
  address: string | undefined,
): { readonly exact: readonly string[]; readonly rest: readonly string[] } {
  // "*" is no legal name, so no rule names it: what it is granted is what a namespace to come would be.
  const general = keyLines(cellRecipients(manifest, { namespace: '*', environment }), address);
  const special = new Map<string, string[]>();
  for (const { name } of manifest.namespaces) {
    const keys = keyLines(cellRecipients(manifest, { namespace: name, environment }), address).join('\n');
    if (keys !== general.join('\n')) special.set(keys, [...(special.get(keys) ?? []), name]);
  }
  const rule = (namespaces: string, keys: readonly string[]): readonly string[] =>
    keys.length === 0
      ? []
      : [`  - path_regex: ${pathExpression(manifest.filePattern, namespaces, environment)}`, ...keys];
  return {
    exact: [...special].flatMap(([keys, names]) =>
      rule(names.length === 1 ? String(names[0]) : `(${names.join('|')})`, keys.split('\n')),
    ),
    rest: rule('[a-z][a-z0-9-]*', general),
  };
}

/** In single quotes: a pattern may hold characters that YAML would read otherwise. */
function pathExpression(pattern: string, namespaces: string, environment: string): string {
  const expression = pattern
    .split(/(\{namespace\}|\{environment\})/)
    .map((part) => {
      if (part === '{namespace}') return namespaces;
      return part === '{environment}' ? environment : part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    })
    .join('');
  return `'^${expression.replaceAll("'", "''")}$'`;
}

/** One key a line, so that a diff shows whose key came or went. */
function keyLines({ people, encryptTo }: CellRecipients, address: string | undefined): readonly string[] {
  const cloud = encryptTo.map((key) => sopsRecipient(key, address));
  const namesOf = (type: string): readonly string[] =>
    cloud.filter((recipient) => recipient.type === type).map(recipientName);
  return [
    ...folded(
      'age',
      people.map(({ key }) => key.text),
    ),
    ...folded('kms', namesOf('kms')),
    ...folded('gcp_kms', namesOf('gcp_kms')),
    ...folded('azure_keyvault', namesOf('azure_kv')),
    ...folded('hc_vault_transit_uri', namesOf('hc_vault')),
  ];
}

function folded(field: string, keys: readonly string[]): readonly string[] {
  if (keys.length === 0) return [];
  const last = keys.length - 1;
  return [`    ${field}: >-`, ...keys.map((key, index) => `      ${key}${index === last ? '' : ','}`)];
}
