// GitHub Actions. `github` is for `>> "$GITHUB_ENV"`: each value between two lines of a random word (INV-99); the runner
// shows variables in its log, so `github-mask` comes first: it tells the runner which texts to hide.
import { type ExportDialect, inexpressible, linesOf, refuseNames } from './export-format.ts';

export const github: ExportDialect = {
  setsVariables: true,
  write: ({ values, randomBytes }) => {
    refuseNames(values, /^(GITHUB|RUNNER|ACTIONS)_/i, 'the runner of GitHub Actions');
    return linesOf(values, (key, value) => block(key, value, randomBytes));
  },
};

export const githubMask: ExportDialect = {
  setsVariables: false,
  write: ({ values }) => linesOf(values, (_, value) => `::add-mask::${escapeCommand(value)}`),
};

function block(key: string, value: string, randomBytes: (length: number) => Uint8Array): string {
  if (value.endsWith('\r')) {
    throw inexpressible(
      key,
      'ends in a carriage return, which a runner on Windows takes off',
      '--format json',
    );
  }
  const delimiter = `clef_${Buffer.from(randomBytes(16)).toString('hex')}`;
  if (value.includes(delimiter)) {
    throw inexpressible(key, 'holds the very word that was drawn to end it', '--format github once more');
  }
  return `${key}<<${delimiter}\n${value}\n${delimiter}`;
}

/** As workflow commands are written: the end of a line and the escape itself. */
function escapeCommand(value: string): string {
  return value.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}
