// The formats by name, and by the name of a file.
import { binaryFormat } from './binary.ts';
import { dotenvFormat } from './dotenv.ts';
import type { Format, FormatName } from './format.ts';
import { iniFormat } from './ini.ts';
import { jsonFormat } from './json.ts';
import { yamlFormat } from './yaml.ts';

const formats = {
  yaml: anyOf(yamlFormat),
  json: anyOf(jsonFormat),
  dotenv: dotenvFormat,
  ini: anyOf(iniFormat),
  binary: anyOf(binaryFormat),
} as const satisfies Record<FormatName, Format>;

const formatsBySuffix: readonly (readonly [suffix: string, name: FormatName])[] = [
  ['.yaml', 'yaml'],
  ['.yml', 'yaml'],
  ['.json', 'json'],
  ['.env', 'dotenv'],
  ['.ini', 'ini'],
];

/** The format of that name. */
export function formatNamed(name: FormatName): Format {
  return formats[name];
}

/** The format that SOPS takes a file for: by the end of its name, upper and lower case apart, and else binary. */
export function formatForPath(path: string): FormatName {
  return formatsBySuffix.find(([suffix]) => path.endsWith(suffix))?.[1] ?? 'binary';
}

// A file is only ever handed back to the format that parsed it.
function anyOf<P extends Parameters<Format['rewrite']>[0]>(format: Format<P>): Format {
  return format as unknown as Format;
}
