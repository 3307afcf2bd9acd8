// Whom a file is encrypted to and by which rule: the options, else the variables, else the creation rule of `.sops.yaml`.
import { dirname, join, relative, resolve } from 'node:path';
import { HostError, readRegularFile } from '@clef/host';
import {
  type AwsSettings,
  type CreationRule,
  chooseRule,
  creationRuleFor,
  type EncryptionRule,
  parseRecipients,
  parseSopsConfig,
  type Recipient,
  type RecipientField,
  type RecipientGroups,
  type RuleKind,
  type SopsConfig,
} from '@clef/sops';
import { refusePlanted } from '../repository.ts';
import type { World } from '../world.ts';
import { badArgument, during, SopsOperationError } from './outcome.ts';

/** The comma lists of the options that name keys, by kind. */
export type SopsKeyOptions = {
  readonly keys: Readonly<Partial<Record<RecipientField, string>>>;
  /** `name:value,…`, for AWS. */
  readonly encryptionContext?: string | undefined;
  readonly awsProfile?: string | undefined;
};

/** What a new file gets, as the command line says it. */
export type SopsNewFileOptions = SopsKeyOptions & {
  readonly rules: Readonly<Partial<Record<RuleKind, string>>>;
  readonly macOnlyEncrypted?: boolean;
  readonly shamirThreshold?: string | undefined;
  readonly config?: string | undefined;
};

/** The variables that name keys where no option does. */
const keyVariables: Readonly<Record<RecipientField, string>> = {
  kms: 'SOPS_KMS_ARN',
  gcp_kms: 'SOPS_GCP_KMS_IDS',
  hckms: 'SOPS_HUAWEICLOUD_KMS_IDS',
  azure_keyvault: 'SOPS_AZURE_KEYVAULT_URLS',
  hc_vault_transit_uri: 'SOPS_VAULT_URIS',
  pgp: 'SOPS_PGP_FP',
  age: 'SOPS_AGE_RECIPIENTS',
};

const maxLevels = 100;
const maxConfigBytes = 1024 * 1024;

export type FoundConfig = { readonly path: string; readonly config: SopsConfig };

/**
 * The configuration in force: the file that the option or `SOPS_CONFIG` names, else the nearest `.sops.yaml` of the
 * current folder and those above it.
 * @throws {SopsOperationError} `generic` where it is malformed, `no_configuration` where a named one is not there.
 */
export async function findConfig(world: World, given: string | undefined): Promise<FoundConfig | undefined> {
  const named = given ?? world.environment['SOPS_CONFIG'] ?? '';
  if (named !== '') {
    const path = resolve(world.cwd, named);
    const bytes = await readIfThere(path);
    if (bytes !== undefined)
      return { path, config: await during('configuration', path, () => parseSopsConfig(bytes)) };
    throw new SopsOperationError('no_configuration', {
      code: 'settings_invalid',
      message: `Cannot use "${path}": there is no such file`,
      hint: 'check --config and SOPS_CONFIG',
    });
  }
  let folder = world.cwd;
  for (let level = 0; level < maxLevels; level += 1) {
    const path = join(folder, '.sops.yaml');
    const bytes = await readIfThere(path);
    if (bytes !== undefined) {
      refusePlanted(path);
      return { path, config: await during('configuration', path, () => parseSopsConfig(bytes)) };
    }
    if (dirname(folder) === folder) return undefined;
    folder = dirname(folder);
  }
  return undefined;
}

/** The creation rule for a file, by its path below the folder of the configuration. */
export async function ruleFor(
  found: FoundConfig | undefined,
  nominalPath: string,
): Promise<CreationRule | undefined> {
  if (found === undefined) return undefined;
  const below = relative(dirname(found.path), nominalPath);
  const path = below.startsWith('..') || below === '' ? nominalPath : below;
  return during('configuration', found.path, () => creationRuleFor(found.config, path));
}

/**
 * What a new file gets. Keys of options and variables take the place of the creation rule's; its rule fields stay.
 * @throws {SopsOperationError} `generic` where nobody could read it, `conflicting_parameters`, `encryption_context`.
 */
export async function planNewFile(
  world: World,
  options: SopsNewFileOptions,
  { nominalPath, found }: { readonly nominalPath: string; readonly found: FoundConfig | undefined },
): Promise<{ recipients: RecipientGroups; rule: EncryptionRule | undefined; macOnlyEncrypted: boolean }> {
  const given = await during('encrypt', nominalPath, () => chooseRule(options.rules));
  const created = await ruleFor(found, nominalPath);
  const keys = await namedRecipients(world, options, nominalPath);
  const groups = keys.length > 0 ? [keys] : (created?.recipients.groups ?? []);
  if (groups.length === 0) throw nobody();
  const threshold = thresholdOf(options.shamirThreshold) ?? created?.recipients.threshold ?? 0;
  return {
    recipients: threshold === 0 ? { groups } : { groups, threshold },
    rule: given ?? created?.rule,
    macOnlyEncrypted: options.macOnlyEncrypted === true || created?.macOnlyEncrypted === true,
  };
}

/** The recipients of some comma lists, without a look at variables. */
export async function optionRecipients(options: SopsKeyOptions, name: string): Promise<readonly Recipient[]> {
  const aws = awsSettings(options);
  const fields = Object.keys(keyVariables) as RecipientField[];
  return during('encrypt', name, () =>
    fields.flatMap((field) => parseRecipients(field, options.keys[field] ?? '', aws)),
  );
}

function namedRecipients(world: World, options: SopsKeyOptions, name: string): Promise<readonly Recipient[]> {
  const keys = Object.fromEntries(
    Object.entries(keyVariables).map(([field, variable]) => [
      field,
      options.keys[field as RecipientField] ?? world.environment[variable] ?? '',
    ]),
  );
  return optionRecipients({ ...options, keys }, name);
}

function awsSettings({ encryptionContext = '', awsProfile = '' }: SopsKeyOptions): AwsSettings {
  const context = encryptionContext === '' ? [] : encryptionContext.split(',').map(contextPair);
  return { context, profile: awsProfile };
}

function contextPair(text: string): readonly [string, string] {
  const at = text.indexOf(':');
  if (at > 0) return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  throw badArgument(
    'encryption_context',
    '"--encryption-context" is not a list of NAME:VALUE',
    'write for example: --encryption-context app:web,stage:production',
  );
}

function thresholdOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^[0-9]{1,3}$/.test(text)) return Number(text);
  throw badArgument(
    'generic',
    '"--shamir-secret-sharing-threshold" is no number',
    'give a number of key groups',
  );
}

function nobody(): SopsOperationError {
  return new SopsOperationError('generic', {
    code: 'no_recipients',
    message: 'Nobody could read the file: no option, variable or creation rule names a key',
    hint: 'name a key, for example with --age, or write a creation rule in .sops.yaml',
  });
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  return during('configuration', path, async () => {
    try {
      return await readRegularFile(path, { maxBytes: maxConfigBytes });
    } catch (error) {
      if (error instanceof HostError && error.code === 'not_found') return undefined;
      throw error;
    }
  });
}
