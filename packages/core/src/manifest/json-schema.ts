// The JSON Schema of clef.yaml, for editors. Loaded only by clef init and by the script that writes schema/.

import * as z from 'zod/mini';
import { manifestShape } from './manifest.ts';

const about = { title: 'clef.yaml', description: 'The manifest of a Clef repository, version 1' };

/** The JSON Schema (2020-12) as the text of a file, ending in a newline. */
export const manifestSchemaText: string = `${JSON.stringify(
  { ...about, ...z.toJSONSchema(manifestShape.schema(), { io: 'input' }) },
  null,
  2,
)}\n`;
