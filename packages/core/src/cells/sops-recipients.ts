// Key references as SOPS recipients: the one place where the two vocabularies meet. Of a Vault's key the manifest knows no
// address, so files are compared with it by engine path and key, and by address only where VAULT_ADDR is there to compare with.
import type { KeyReference } from '@clef/kms';
import { type Recipient, recipientName, recipientsOf, type SopsFile } from '@clef/sops';
import { ClefError } from '../errors.ts';
import { cellRecipients } from '../manifest/access.ts';
import type { CellName, Manifest } from '../manifest/manifest.ts';
import type { World } from '../world.ts';

type Variables = Pick<World, 'environment'>;

/** Everybody that a cell may be read by, with the name that {@link namesInFile} gives them: age keys first. */
export function manifestReaders(
  manifest: Manifest,
  cell: CellName,
): readonly { readonly name: string; readonly key: KeyReference }[] {
  const { people, encryptTo } = cellRecipients(manifest, cell);
  return [...people.map(({ key }) => key), ...encryptTo].map((key) => ({ name: readerName(key), key }));
}

/**
 * Everybody that a cell is encrypted to, as the manifest grants it.
 * @throws {ClefError} `endpoint_refused` where a key is Vault's and `VAULT_ADDR` does not say where that is.
 */
export function manifestRecipients(
  world: Variables,
  manifest: Manifest,
  cell: CellName,
): readonly Recipient[] {
  return manifestReaders(manifest, cell).map(({ key }) => sopsRecipient(key, vaultAddress(world)));
}

/**
 * The recipient of a key reference that a cell may be encrypted to. The manifest lets no other kind through.
 * @param address - Of the Vault.
 * @throws {ClefError} `endpoint_refused` where the key is Vault's and there is no address.
 */
export function sopsRecipient(key: KeyReference, address: string | undefined): Recipient {
  switch (key.kind) {
    case 'age':
      return { type: 'age', recipient: key.text };
    case 'awskms':
      return { type: 'kms', arn: key.arn };
    case 'gcpkms':
      return { type: 'gcp_kms', resourceId: key.resource };
    case 'azurekms':
      return {
        type: 'azure_kv',
        vaultUrl: `https://${key.vault}.vault.azure.net`,
        name: key.name,
        version: key.version,
      };
    case 'hashivault':
      if (address === undefined) throw noAddress(key.text);
      return { type: 'hc_vault', address, enginePath: key.mount, keyName: key.name };
    default:
      throw new Error(`A cell cannot be encrypted to a key of kind ${key.kind}`);
  }
}

/** Where `VAULT_ADDR` says that Vault is, as the stanza of a file has it; undefined where it says nothing that can be used. */
export function vaultAddress({ environment }: Variables): string | undefined {
  return originOf(environment['VAULT_ADDR'] ?? '');
}

/** A key as {@link namesInFile} names it. */
export function readerName(key: KeyReference): string {
  return key.kind === 'hashivault' ? key.text : recipientName(sopsRecipient(key, undefined));
}

/**
 * Everybody that a file names. A key of Vault is named as the manifest does, unless the file has it at another address than
 * `VAULT_ADDR`: that is another key (formats.md, "Key references").
 */
export function namesInFile(world: Variables, file: SopsFile): readonly string[] {
  const ours = vaultAddress(world);
  return recipientsOf(file).map((recipient) => {
    if (recipient.type !== 'hc_vault') return recipientName(recipient);
    const isElsewhere = ours !== undefined && originOf(recipient.address) !== ours;
    return isElsewhere
      ? recipientName(recipient)
      : `hashivault://${recipient.enginePath}/${recipient.keyName}`;
  });
}

function originOf(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined;
  const { origin } = new URL(address);
  return origin === 'null' ? undefined : origin;
}

function noAddress(key: string): ClefError {
  return new ClefError({
    code: 'endpoint_refused',
    message: `Cannot encrypt to "${key}": VAULT_ADDR does not say where that Vault is`,
    hint: 'set VAULT_ADDR to the address of your Vault, for example https://vault.example.com:8200',
  });
}
