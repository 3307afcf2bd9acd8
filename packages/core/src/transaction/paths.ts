// Which paths a transaction may name: plain ones inside the repository, never git's own and never the transaction's.

const own = /^\.clef\/(?:lock|journal)/i;

/** Whether a path, relative to the repository and with forward slashes, may be changed by a transaction. */
export function isPlainPath(path: string): boolean {
  const segments = path.split('/');
  return !own.test(path) && segments.every(isPlainName);
}

/** Whether this can be the name of one file or folder that is not git's. */
export function isPlainName(name: string): boolean {
  return (
    name !== '' && name !== '.' && name !== '..' && name.toLowerCase() !== '.git' && !/[\\/\0]/.test(name)
  );
}
