// Where programs that Clef itself calls are looked for: an entry of PATH that is empty or relative means the folder that one
// stands in, and that may be a repository of anybody.
import { delimiter, isAbsolute } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** The environment with the absolute entries of PATH alone; without PATH, which means the system's own, where none is left. */
export function withAbsolutePath(environment: Environment): Environment {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) =>
      name.toUpperCase() === 'PATH' ? [name, absoluteEntries(value ?? '')] : [name, value],
    ),
  );
}

function absoluteEntries(path: string): string | undefined {
  const entries = path.split(delimiter).filter((entry) => isAbsolute(entry));
  return entries.length === 0 ? undefined : entries.join(delimiter);
}
