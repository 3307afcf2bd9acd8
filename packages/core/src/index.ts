// @clef/core: a Clef repository and every operation on it, one function an operation.
export type { ReaderChange } from './cells/readers.ts';
export type { ChangedCell, Confirm } from './cells/write.ts';
export { alphabetNames } from './checks/alphabets.ts';
export { type DoctorRequest, examine } from './checks/doctor/doctor.ts';
export type { DoctorFinding, DoctorStatus } from './checks/doctor/finding.ts';
export type { TrustRequest } from './delivery/artifact-trust.ts';
export {
  type InspectedArtifact,
  inspectArtifactBytes,
  type JudgeRequest,
  type OpenedFile,
  openArtifactBytes,
  readArtifactFile,
  type VerifiedFile,
  verifyArtifactBytes,
} from './delivery/artifacts.ts';
export {
  findPackTargets,
  type PackAllRequest,
  type Packed,
  type PackRequest,
  type PackSummary,
  packService,
  packServices,
} from './delivery/pack.ts';
export type { PackTarget } from './delivery/publication.ts';
export { type Revoked, type RevokeRequest, revokeService } from './delivery/revoke.ts';
export {
  ClefError,
  type ErrorClass,
  type ErrorCode,
  type ErrorFault,
  type ErrorLocation,
  errorClasses,
  errorTable,
} from './errors.ts';
export type { AccessRequest } from './keys/request-files.ts';
export {
  type Axis,
  addName,
  type NameChange,
  type NameEffect,
  type NewName,
  removeName,
  renameName,
} from './matrix/change-names.ts';
export { type InitResult, initRepository } from './matrix/init-repository.ts';
export { type SyncRequest, type SyncResult, syncMatrix } from './matrix/sync.ts';
export type { Review } from './people/change-readers.ts';
export {
  findOwnKey,
  generateOwnKey,
  importOwnKeys,
  type KeptOwnKey,
  listOwnKeys,
  type OwnKey,
  showPrivateKey,
} from './people/own-keys.ts';
export {
  type AddedRecipient,
  addRecipient,
  type Grant,
  listRecipients,
  type RecipientsView,
} from './people/recipients.ts';
export { type Removal, type RemovedRecipient, removeRecipient } from './people/remove-recipient.ts';
export { approveRequest, declineRequest, type RequestedAccess, requestAccess } from './people/requests.ts';
export { type RotatedCells, type RotateRequest, rotateCells } from './people/rotate.ts';
export {
  deleteService,
  type KeyRotation,
  rotateService,
  type ServiceChanged,
  type ServiceUpdate,
  updateService,
} from './people/service-changes.ts';
export { type IamNeeds, type IamRequest, type ServiceIam, serviceIam } from './people/service-iam.ts';
export {
  agentSettings,
  createService,
  listServices,
  type NewService,
  type ServiceView,
  showService,
} from './people/services.ts';
export type { Repository } from './repository.ts';
export { type AnnounceRequest, announceSecrets } from './secrets/announce-secrets.ts';
export {
  type ComparedKey,
  compareCells,
  compareSecret,
  type KeyOfCell,
} from './secrets/compare-secrets.ts';
export { type CopiedCell, type CopyRequest, copySecrets } from './secrets/copy-secrets.ts';
export { type DeleteRequest, deleteSecrets } from './secrets/delete-secrets.ts';
export { type EditRequest, type EditResult, editSecrets } from './secrets/edit-secrets.ts';
export { type ExecRequest, execWithSecrets } from './secrets/exec-with-secrets.ts';
export {
  type CarryingService,
  type ExplainedCell,
  type ExplainedRule,
  type Explanation,
  explainKey,
} from './secrets/explain-key.ts';
export { type ExportFormat, exportFormats } from './secrets/export-formats/all.ts';
export { type ExportRequest, exportSecrets } from './secrets/export-secrets.ts';
export { type GeneratedSecrets, type GenerateRequest, generateSecrets } from './secrets/generate-secrets.ts';
export { getSecret } from './secrets/get-secret.ts';
export { type ImportFormat, importFormats } from './secrets/import-formats/detect.ts';
export {
  type ImportRequest,
  type ImportResult,
  importSecrets,
  maxImportBytes,
} from './secrets/import-secrets.ts';
export { readInputFile } from './secrets/input-file.ts';
export {
  isProtectedCell,
  type ListedCell,
  type ListedKey,
  listCells,
  listKeys,
} from './secrets/list-keys.ts';
export { listNames, type NameKind } from './secrets/list-names.ts';
export {
  type FoundKey,
  type SearchResult,
  searchKeys,
  searchValue,
  type UnreadCell,
} from './secrets/search-secrets.ts';
export { type SetRequest, type SetResult, setSecret } from './secrets/set-secret.ts';
export { maxValueBytes } from './secrets/value-rules.ts';
export {
  readSopsValueFile,
  type SetValueRequest,
  setSopsValue,
  unsetSopsValue,
} from './sops-files/change-value.ts';
export { type DecryptFileRequest, decryptSopsFile } from './sops-files/decrypt-file.ts';
export { type EditFileRequest, editSopsFileInEditor } from './sops-files/edit-file.ts';
export { type EncryptFileRequest, encryptSopsFile } from './sops-files/encrypt-file.ts';
export {
  type ExecEnvRequest,
  type ExecFileRequest,
  execWithSopsEnv,
  execWithSopsFile,
} from './sops-files/exec-file.ts';
export { sopsFileStatus } from './sops-files/file-status.ts';
export { notCovered, SopsOperationError, type SopsOutcome } from './sops-files/outcome.ts';
export type { SopsKeyOptions, SopsNewFileOptions } from './sops-files/recipients.ts';
export { type RotateFileRequest, rotateSopsFile } from './sops-files/rotate-file.ts';
export type { SopsDestination, SopsSourceRequest } from './sops-files/source.ts';
export { type KeyChange, type UpdateKeysRequest, updateSopsKeys } from './sops-files/update-keys.ts';
export { openRepository } from './transaction/open-repository.ts';
export type { Notice, Progress, World } from './world.ts';
