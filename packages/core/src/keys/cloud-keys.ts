// The KMS as sops and pack see it: one connection per run, each distinct wrapped key asked for once.
import {
  type AwsIdentity,
  type KeyReference,
  type Kms,
  KmsError,
  openKms,
  parseKeyReference,
  type SigningKms,
} from '@clef/kms';
import type { CloudKeys, CloudRecipient } from '@clef/sops';
import type { World } from '../world.ts';

const opened = new WeakMap<World, Map<string, Kms & SigningKms>>();

/**
 * The KMS of this world; the cloud's SDK is loaded with the first call.
 * @param aws - Another identity for AWS than the environment's own.
 */
export function openCloudKeys(world: World, aws: AwsIdentity = {}): Kms & SigningKms {
  const ofWorld = opened.get(world) ?? new Map<string, Kms & SigningKms>();
  opened.set(world, ofWorld);
  const name = JSON.stringify([aws.profile, aws.role]);
  const existing = ofWorld.get(name);
  if (existing !== undefined) return existing;
  const kms = shareUnwraps(
    openKms({
      environment: world.environment,
      notify: (message) => world.notify({ level: 'warning', message }),
      aws,
    }),
  );
  ofWorld.set(name, kms);
  return kms;
}

/**
 * The same for the stanzas of SOPS files.
 * @param takesIdentities - Use a key with the AWS role and profile that its stanza names, as the real tool does: for a file
 * that the person names, never for a cell, as a repository may not choose whose rights are used.
 */
export function sopsCloudKeys(
  world: World,
  { takesIdentities = false }: { readonly takesIdentities?: boolean } = {},
): CloudKeys {
  const kmsOf = (recipient: CloudRecipient): Kms => {
    const aws = identityOf(recipient);
    if (aws === undefined) return openCloudKeys(world);
    if (takesIdentities) return openCloudKeys(world, aws);
    // To use the key with other credentials than the file asks for would be to guess.
    throw new KmsError(
      'unsupported',
      'The key asks for a role or a profile, which Clef does not take on: run as that role, and name the key alone',
    );
  };
  return {
    wrap: async (recipient, secret) =>
      kmsOf(recipient).wrap(referenceOf(world, recipient), secret, contextOf(recipient)),
    unwrap: async (recipient, wrapped) =>
      kmsOf(recipient).unwrap(referenceOf(world, recipient), wrapped, contextOf(recipient)),
  };
}

function identityOf(recipient: CloudRecipient): AwsIdentity | undefined {
  if (recipient.type !== 'kms') return undefined;
  const { role, profile } = recipient;
  if (role === undefined && profile === undefined) return undefined;
  return { ...(role === undefined ? {} : { role }), ...(profile === undefined ? {} : { profile }) };
}

function referenceOf(world: World, recipient: CloudRecipient): KeyReference {
  switch (recipient.type) {
    case 'kms':
      return parseKeyReference(`awskms:///${recipient.arn}`);
    case 'gcp_kms':
      return parseKeyReference(`gcpkms://${recipient.resourceId}`);
    case 'azure_kv': {
      const { vaultUrl, name, version } = recipient;
      return parseKeyReference(`azurekms://${vaultUrl.replace(/^https:\/\/|\/$/g, '')}/${name}/${version}`);
    }
    case 'hc_vault':
      refuseOtherVault(world, recipient.address);
      return parseKeyReference(`hashivault://${recipient.enginePath}/${recipient.keyName}`);
    case 'hckms':
      throw new KmsError('unsupported', 'Keys of Huawei Cloud cannot be used: give another key of the file');
  }
}

/** A file may not choose which Vault gets the token: the address comes from VAULT_ADDR (formats.md, "Key references"). */
function refuseOtherVault(world: World, address: string): void {
  const ours = world.environment['VAULT_ADDR'] ?? '';
  const originOf = (text: string) => (URL.canParse(text) ? new URL(text).origin : undefined);
  if (originOf(ours) !== undefined && originOf(ours) === originOf(address)) return;
  throw new KmsError('bad_endpoint', 'The Vault that the file names is not the one of VAULT_ADDR');
}

function contextOf(
  recipient: CloudRecipient,
): { readonly label: string; readonly entries: readonly (readonly [string, string])[] } | undefined {
  const entries = recipient.type === 'kms' ? (recipient.context ?? []) : [];
  return entries.length === 0 ? undefined : { label: '', entries };
}

/** One call for each (key, wrapped, context), also when several cells ask at once. A failure is not kept: it may heal. */
function shareUnwraps(kms: Kms & SigningKms): Kms & SigningKms {
  const answers = new Map<string, Promise<Uint8Array>>();
  const ask = (question: string, call: () => Promise<Uint8Array>): Promise<Uint8Array> => {
    const answer = call();
    answers.set(question, answer);
    answer.catch(() => answers.delete(question));
    return answer;
  };
  return {
    ...kms,
    unwrap: async (key, wrapped, context) => {
      const question = JSON.stringify([key.text, Buffer.from(wrapped).toString('base64'), context]);
      const answer = answers.get(question) ?? ask(question, () => kms.unwrap(key, wrapped, context));
      // To each its own bytes: one may overwrite them when it is done.
      return Uint8Array.from(await answer);
    },
  };
}
