// A Secret of Kubernetes, named after the cell, for `kubectl apply -f -`. Base64 keeps every byte; every scalar is quoted,
// as base64 can spell a number or a boolean.
import { ClefError } from '../../errors.ts';
import { type ExportDialect, linesOf } from './export-format.ts';

/** The API server refuses larger Secrets. */
const mostBytes = 1024 * 1024;

export const kubernetes: ExportDialect = {
  setsVariables: false,
  write: ({ values, cell }) => {
    const name = `${cell.namespace}-${cell.environment}`.replace(/-+$/, '');
    const bytes = [...values.values()].reduce((sum, value) => sum + Buffer.byteLength(value), 0);
    if (bytes > mostBytes) throw tooLarge(bytes);
    const data = linesOf(values, (key, value) => `  "${key}": "${Buffer.from(value).toString('base64')}"`);
    const head = `apiVersion: v1\nkind: Secret\nmetadata:\n  name: "${name}"\ntype: Opaque\n`;
    return `${head}${values.size === 0 ? 'data: {}\n' : `data:\n${data}`}`;
  },
};

function tooLarge(bytes: number): ClefError {
  return new ClefError({
    code: 'limit',
    message: `The values have ${bytes} bytes; a Secret of Kubernetes holds ${mostBytes}`,
    hint: 'export them in parts, with --only',
  });
}
