// A drop-in of systemd whose service finds each value as the file `$CREDENTIALS_DIRECTORY/KEY`. Everything but letters,
// digits and a few signs is escaped byte by byte, so that no rule of unit files (blanks, continuation, comments) applies.
import { ClefError } from '../../errors.ts';
import { type ExportDialect, inexpressible, linesOf } from './export-format.ts';

/** systemd refuses longer lines, and more credentials for one unit, both of 1 MiB. */
const mostBytes = 1024 * 1024;

export const systemd: ExportDialect = {
  setsVariables: false,
  // systemd.exec(5): unit files, and what is in them, can be asked for over IPC.
  warning:
    'systemd shows SetCredential= to every user of its machine; for secrets that stay, let systemd-creds encrypt each (docs/recipes.md)',
  write: ({ values }) => {
    const bytes = [...values].reduce((sum, [key, value]) => sum + key.length + Buffer.byteLength(value), 0);
    if (bytes > mostBytes) {
      throw new ClefError({
        code: 'limit',
        message: `The values have ${bytes} bytes; a unit of systemd holds credentials of ${mostBytes}`,
        hint: 'export them in parts, with --only',
      });
    }
    return `[Service]\n${linesOf(values, credentialLine)}`;
  },
};

function credentialLine(key: string, value: string): string {
  const escaped = [...Buffer.from(value)]
    .map((byte) => (isPlain(byte) ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`))
    .join('');
  const line = `SetCredential=${key}:${escaped}`;
  if (line.length >= mostBytes) throw inexpressible(key, 'makes a line longer than systemd reads', 'a file');
  return line;
}

function isPlain(byte: number): boolean {
  return /[A-Za-z0-9_./:@+,=-]/.test(String.fromCharCode(byte)) && byte < 0x80;
}
