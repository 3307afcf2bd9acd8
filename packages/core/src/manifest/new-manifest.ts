// The clef.yaml that clef init writes: small, readable, and enough for the first secret.

import { defaultFilePattern } from './file-pattern.ts';

/** Where the JSON Schema of clef.yaml lies in a repository, relative to the manifest; clef init writes it there. */
export const manifestSchemaPath = '.clef/clef.schema.json';

/** The first line of a manifest: it tells editors where the JSON Schema is. */
export const manifestSchemaLine = `# yaml-language-server: $schema=${manifestSchemaPath}`;

/**
 * The text of a first clef.yaml: development, staging and a protected production, and one person who may read it all.
 * `repository` is a random UUID in lower case, `person` a legal name, `ageRecipient` that person's public age key.
 */
export function newManifestText(first: {
  readonly repository: string;
  readonly person: string;
  readonly ageRecipient: string;
}): string {
  return `${manifestSchemaLine}
version: 1
repository: ${first.repository} # made once; never change it
file_pattern: ${defaultFilePattern}

environments:
  - name: development
  - name: staging
  - name: production
    protected: true # writing asks first

# A namespace appears here when its first key is set.
namespaces: []

# Who reads with an age key. Only public keys stand here.
recipients:
  - name: ${first.person}
    keys:
      - ${first.ageRecipient}

# Nobody reads anything unless a rule grants it. Rules add up.
access:
  - allow: [${first.person}]
    namespaces: ["*"]
    environments: ["*"]
`;
}
