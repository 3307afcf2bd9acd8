// The formats by name. Those that are not here yet come as one file each.
import { SopsError } from '../sops-error.ts';
import type { Format, FormatName } from './format.ts';
import { yamlFormat } from './yaml.ts';

const formats: Partial<Record<FormatName, Format>> = { yaml: yamlFormat as unknown as Format };

/** The format of that name. Throws SopsError 'unsupported' for those that are not built yet. */
export function formatNamed(name: FormatName): Format {
  const format = formats[name];
  if (format === undefined) throw new SopsError('unsupported', `The format "${name}" is not supported yet`);
  return format;
}
