// JSON: one object of strings. Built by hand: an object would lose the key `__proto__` and reorder names like numbers.
import type { ExportDialect } from './export-format.ts';

export const json: ExportDialect = {
  setsVariables: false,
  write: ({ values }) => {
    const members = [...values].map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
    return members.length === 0 ? '{}\n' : `{\n${members.join(',\n')}\n}\n`;
  },
};
