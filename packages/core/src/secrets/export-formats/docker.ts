// The file of `docker run --env-file` and `podman run --env-file`: NAME=VALUE to the end of the line, no quotes and no
// escapes. (Compose reads dotenv files.)
import { type ExportDialect, inexpressible, linesOf } from './export-format.ts';

/** Docker's reader of lines gives up at 64 KiB. */
const longestLineBytes = 65_535;

export const docker: ExportDialect = {
  setsVariables: true,
  write: ({ values }) => linesOf(values, envFileLine),
};

function envFileLine(key: string, value: string): string {
  const line = `${key}=${value}`;
  if (value.includes('\n'))
    throw inexpressible(key, 'has several lines, which an env file of Docker cannot hold');
  if (value.includes('\r')) {
    throw inexpressible(key, 'has a carriage return, which readers of env files take for the end of a line');
  }
  if (Buffer.byteLength(line) > longestLineBytes)
    throw inexpressible(key, `makes a line longer than the ${longestLineBytes} bytes that Docker reads`);
  return line;
}
