// The machine's edge: safe files and the only way to start a child process.
export { withAbsolutePath } from './absolute-path.ts';
export {
  type ChildConversation,
  type ChildExit,
  type ChildHandle,
  type ChildRequest,
  type ChildResult,
  openChild,
  runChild,
  startChild,
} from './child.ts';
export { deferSignals } from './defer-signals.ts';
export { runEditor } from './editor.ts';
export {
  checkEnvironmentName,
  isDangerousName,
  isOwnVariable,
  withoutOwnVariables,
} from './environment-names.ts';
export {
  createFileExclusive,
  ensurePrivateDirectory,
  type FileFacts,
  type FileOwner,
  fsyncDirectory,
  inFolder,
  type OpenFolder,
  readRegularFile,
  removeTemporaryFiles,
  replaceFile,
  type StagedFile,
  stageFile,
  statRegularFile,
  temporaryFilePrefix,
} from './files.ts';
export type { OutputFilter } from './filter-output.ts';
export { type HostCode, HostError, toHostError } from './host-error.ts';
export { findMemoryFolder, withPrivateFolder } from './private-memory.ts';
export { splitWords } from './split-words.ts';
export { type PseudoTerminals, runInTerminal, type TerminalChildRequest } from './terminal-child.ts';
