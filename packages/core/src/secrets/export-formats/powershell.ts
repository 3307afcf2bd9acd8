// PowerShell, for `clef export … --format powershell | Out-String | Invoke-Expression`. Only printable ASCII stands
// between quotes: the console's code page, the typographic quotes that PowerShell takes for plain ones, and the ends of
// lines that a pipe may change cannot touch the rest, which is written as numbers.
import { ClefError } from '../../errors.ts';
import { type ExportDialect, linesOf } from './export-format.ts';

export const powershell: ExportDialect = {
  setsVariables: true,
  write: ({ values }) => {
    refuseEqualOnWindows([...values.keys()]);
    return linesOf(values, (key, value) => `$env:${key} = ${expression(value)}`);
  },
};

/** Text first, so that every `+` joins strings. */
function expression(value: string): string {
  const parts = value.match(/[\x20-\x7e]+|[^\x20-\x7e]/g) ?? [];
  const terms = parts.map((part) =>
    /^[\x20-\x7e]/.test(part)
      ? `'${part.replaceAll("'", "''")}'`
      : `[char]0x${part.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return (terms[0]?.startsWith("'") ? terms : ["''", ...terms]).join(' + ');
}

/** Windows knows no case in the names of variables. */
function refuseEqualOnWindows(keys: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const key of keys) {
    const other = seen.get(key.toUpperCase());
    if (other !== undefined) {
      throw new ClefError({
        code: 'environment_value',
        message: `The names "${other}" and "${key}" are one variable on Windows`,
        hint: `leave one of them out with --except ${key}`,
        location: { key },
      });
    }
    seen.set(key.toUpperCase(), key);
  }
}
