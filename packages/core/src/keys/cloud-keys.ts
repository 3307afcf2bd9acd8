// The KMS as sops and pack see it: one connection per run, each distinct wrapped key asked for once.
import {
  type KeyReference,
  type Kms,
  KmsError,
  openKms,
  parseKeyReference,
  type SigningKms,
} from '@clef/kms';
import type { CloudKeys, CloudRecipient } from '@clef/sops';
import type { World } from '../world.ts';

const opened = new WeakMap<World, Kms & SigningKms>();

/** The KMS of this world; the cloud's SDK is loaded with the first call. */
export function openCloudKeys(world: World): Kms & SigningKms {
  const existing = opened.get(world);
  if (existing !== undefined) return existing;
  const kms = shareUnwraps(
    openKms({
      environment: world.environment,
      notify: (message) => world.notify({ level: 'warning', message }),
    }),
  );
  opened.set(world, kms);
  return kms;
}

/** The same for the stanzas of SOPS files. */
export function sopsCloudKeys(world: World): CloudKeys {
  return {
    wrap: (recipient, secret) =>
      openCloudKeys(world).wrap(referenceOf(world, recipient), secret, contextOf(recipient)),
    unwrap: (recipient, wrapped) =>
      openCloudKeys(world).unwrap(referenceOf(world, recipient), wrapped, contextOf(recipient)),
  };
}

function referenceOf(world: World, recipient: CloudRecipient): KeyReference {
  switch (recipient.type) {
    case 'kms':
      // To use the key with other credentials than the file asks for would be to guess.
      if (recipient.role !== undefined || recipient.profile !== undefined) {
        throw new KmsError(
          'unsupported',
          'The key asks for a role or a profile, which Clef does not take on: run as that role, and name the key alone',
        );
      }
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
