// The JSON Schema of clef.yaml, for editors. Loaded only by clef init and by the script that writes schema/.

import * as z from 'zod/mini';
import { manifestSchema } from './manifest.ts';

/** The JSON Schema (2020-12) as the text of a file, ending in a newline. */
export function manifestJsonSchemaText(): string {
  const schema = z.toJSONSchema(manifestSchema, { io: 'input' });
  const about = { title: 'clef.yaml', description: 'The manifest of a Clef repository, version 1' };
  return `${JSON.stringify({ ...about, ...schema }, null, 2)}\n`;
}
