// The one error of this package, and the one table from the system's error numbers to its codes.

export type HostCode =
  | 'not_found'
  | 'not_regular'
  | 'symlink'
  | 'outside'
  | 'too_large'
  | 'permission'
  | 'disk_full'
  | 'quota'
  | 'too_many_files'
  | 'read_only'
  | 'exists'
  | 'busy'
  | 'changed'
  | 'io'
  | 'command_not_found'
  | 'command_not_executable'
  | 'argument_too_large'
  | 'invalid_argument'
  | 'timeout';

/** Thrown by everything in this package. `path` is the file or the command that the message is about. */
export class HostError extends Error {
  readonly code: HostCode;
  readonly path?: string;

  constructor(
    code: HostCode,
    message: string,
    options: { readonly path?: string; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'HostError';
    this.code = code;
    if (options.path !== undefined) this.path = options.path;
  }
}

type Reading = { readonly code: HostCode; readonly reason: string };

const readings: ReadonlyMap<string, Reading> = new Map([
  ['ENOENT', { code: 'not_found', reason: 'it does not exist' }],
  ['ENOTDIR', { code: 'not_found', reason: 'a part of its path is not a directory' }],
  ['ELOOP', { code: 'symlink', reason: 'it is a symbolic link' }],
  ['EISDIR', { code: 'not_regular', reason: 'it is a directory' }],
  ['ENXIO', { code: 'not_regular', reason: 'it is a socket or a device' }],
  ['EACCES', { code: 'permission', reason: 'permission denied' }],
  ['EPERM', { code: 'permission', reason: 'the operation is not permitted' }],
  ['ENOSPC', { code: 'disk_full', reason: 'no space is left on the disk' }],
  ['EDQUOT', { code: 'quota', reason: 'the disk quota is used up' }],
  ['EFBIG', { code: 'quota', reason: 'the file would exceed the size limit of the system' }],
  ['EMFILE', { code: 'too_many_files', reason: 'this process may open no more files' }],
  ['ENFILE', { code: 'too_many_files', reason: 'the system may open no more files' }],
  ['EROFS', { code: 'read_only', reason: 'the file system is read-only' }],
  ['EEXIST', { code: 'exists', reason: 'it already exists' }],
  ['EBUSY', { code: 'busy', reason: 'it is in use' }],
  ['ETXTBSY', { code: 'busy', reason: 'it is being executed' }],
] satisfies ReadonlyArray<readonly [string, Reading]>);

/** Turns whatever a file operation threw into a `HostError`; one that already is one comes back as it is. */
export function toHostError(action: string, path: string, cause: unknown): HostError {
  if (cause instanceof HostError) return cause;
  const errno = errnoOf(cause);
  const reading = readings.get(errno) ?? { code: 'io', reason: `the system reports ${errno}` };
  return new HostError(reading.code, `Cannot ${action} ${quote(path)}: ${reading.reason}`, { path, cause });
}

/** The symbolic error number of a system error ("ENOENT"), or "an unknown error". */
export function errnoOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : 'an unknown error';
}

/** A path or name in double quotes, control characters escaped, long ones cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 199)}…` : text);
}
