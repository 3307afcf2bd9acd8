// @clef/core: a Clef repository and every operation on it, one function an operation.
export type { ChangedCell, Confirm } from './cells/write.ts';
export { type Packed, type PackRequest, packService } from './delivery/pack.ts';
export {
  ClefError,
  type ErrorClass,
  type ErrorCode,
  type ErrorFault,
  type ErrorLocation,
  errorClasses,
  errorTable,
} from './errors.ts';
export { type InitResult, initRepository } from './matrix/init-repository.ts';
export {
  type AddedRecipient,
  type AddRecipientRequest,
  addRecipient,
  listRecipients,
  type RecipientsView,
} from './people/recipients.ts';
export {
  agentSettings,
  createService,
  listServices,
  type NewService,
  type ServiceView,
  showService,
} from './people/services.ts';
export { openRepository, type Repository } from './repository.ts';
export { type DeleteRequest, deleteSecret } from './secrets/delete-secret.ts';
export { type ExecRequest, execWithSecrets } from './secrets/exec-with-secrets.ts';
export { type ExportFormat, exportFormats, exportSecrets } from './secrets/export-secrets.ts';
export { getSecret } from './secrets/get-secret.ts';
export {
  isProtectedCell,
  type ListedCell,
  type ListedKey,
  listCells,
  listKeys,
} from './secrets/list-keys.ts';
export { maxValueBytes, type SetRequest, type SetResult, setSecret } from './secrets/set-secret.ts';
export type { Notice, World } from './world.ts';
