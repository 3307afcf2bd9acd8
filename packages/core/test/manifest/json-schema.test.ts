// The JSON Schema that editors get is the schema that the reader uses, and the file that is shipped is current.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { manifestSchemaText } from '../../src/manifest/json-schema.ts';
import { manifestSchemaLine, newManifestText } from '../../src/manifest/new-manifest.ts';
import { age } from './manifest-text.ts';

const file = join(import.meta.dirname, '../../schema/clef.schema.json');

describe('schema/clef.schema.json', () => {
  it('is current (UPDATE_SCHEMA=1 writes it)', async () => {
    if (process.env['UPDATE_SCHEMA'] === '1') await writeFile(file, manifestSchemaText);
    expect(await readFile(file, 'utf8')).toBe(manifestSchemaText);
  });

  it('knows every section and refuses others', () => {
    const schema = JSON.parse(manifestSchemaText) as {
      properties: object;
      required: string[];
      additionalProperties: boolean;
    };
    expect(Object.keys(schema.properties)).toEqual([
      'version',
      'repository',
      'file_pattern',
      'environments',
      'namespaces',
      'recipients',
      'groups',
      'access',
      'service_identities',
    ]);
    expect([schema.required, schema.additionalProperties]).toEqual([
      ['version', 'repository', 'file_pattern', 'environments'],
      false,
    ]);
  });

  it('is named in the first line of a new manifest, by a path inside of the repository', () => {
    const text = newManifestText({ repository: 'x', person: 'alice', ageRecipient: age.alice });
    expect(text.split('\n')[0]).toBe(manifestSchemaLine);
    expect(manifestSchemaLine).toBe('# yaml-language-server: $schema=.clef/clef.schema.json');
  });
});
