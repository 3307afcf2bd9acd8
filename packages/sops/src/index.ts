// @clef/sops: the SOPS file format in process. Knows nothing of Clef.
export {
  decryptWithPassphrase,
  encryptWithPassphrase,
  isEncryptedKeyFile,
} from './age/age-encryption.ts';
export {
  type AgeIdentity,
  type AgeKeyOptions,
  type AgeRecipientKind,
  checkAgeRecipient,
  generateAgeIdentity,
  parseAgeIdentities,
  recipientOf,
} from './age/age-keys.ts';
export type { AgePlugins, PluginQuestion } from './age/plugin.ts';
export {
  parseSshIdentity,
  type SshIdentity,
  type SshIdentityOptions,
} from './age/ssh-keys.ts';
export {
  type AwsSettings,
  type CreationRule,
  creationRuleFor,
  parseRecipients,
  parseSopsConfig,
  type RecipientField,
  type SopsConfig,
} from './creation-rules.ts';
export { parseDecryptionOrder, recipientName } from './data-key.ts';
export { chooseRule, defaultRule, type EncryptionRule, type RuleKind } from './encryption-rules.ts';
export { formatForPath } from './formats/all.ts';
export type { Feature, FormatName, Layout, Limits } from './formats/format.ts';
export type { RecipientGroups, Recipients } from './key-groups.ts';
export type {
  CloudKeys,
  CloudRecipient,
  GpgProgram,
  Keyring,
  KeyService,
  Recipient,
  Stanza,
  StanzaList,
} from './master-keys/master-key.ts';
export type { KeyGroup, Metadata } from './metadata.ts';
export { type SopsCode, SopsError, type SopsErrorDetails } from './sops-error.ts';
export {
  addRecipients,
  decryptTree,
  type Edit,
  editSopsFile,
  encryptTree,
  formatPlainTree,
  formatSopsFile,
  keyGroupsOf,
  type MacCheck,
  parsePlainTree,
  parseSopsFile,
  recipientsOf,
  replaceTree,
  rewrap,
  rotateDataKey,
  type SopsFile,
  type Sources,
  unwrapDataKey,
  useDataKey,
  type WrapOptions,
} from './sops-file.ts';
export {
  type Comment,
  type Entry,
  entriesOf,
  findEntry,
  isSameNode,
  type Leaf,
  type LeafType,
  type Mapping,
  mappingOf,
  type ScalarStyle,
  type Sequence,
  type SourceSpan,
  stringLeaf,
  type Tree,
  type TreeNode,
  type TreePath,
} from './tree.ts';
export type { NewValue } from './tree-edit.ts';
export {
  type DataKey,
  dataKeyBytes,
  dataKeyFromBytes,
  type EncryptedValue,
  parseEncryptedValue,
  type RandomBytes,
} from './value-cipher.ts';
