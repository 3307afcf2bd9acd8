// The published vectors of test/vectors/sops, and the fake key service that wrote its cloud stanzas.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  type AgeIdentity,
  type FormatName,
  type Keyring,
  parseAgeIdentities,
  parseSshIdentity,
} from '../src/index.ts';

export const vectorsFolder = fileURLToPath(new URL('../../../test/vectors/sops/', import.meta.url));

export type VectorCase = {
  readonly id: string;
  readonly op: 'decrypt' | 'encrypt';
  readonly format: FormatName;
  readonly source_format?: FormatName;
  readonly file?: string;
  readonly source?: string;
  readonly identities?: readonly string[];
  readonly also_identities?: readonly (readonly string[])[];
  readonly expect: 'ok' | 'error';
  readonly plain?: string;
  readonly plain_json?: string;
  readonly plain_json_is_document_list?: boolean;
  readonly mac?: string;
  readonly data_key?: string;
  readonly encrypt_options?: Readonly<Record<string, unknown>>;
  readonly error?: string;
  readonly error_also?: readonly string[];
  readonly may_accept?: boolean;
  readonly comments_may_differ?: boolean;
};

export type AgeVector = {
  readonly id: string;
  readonly file: string;
  readonly identities: readonly string[];
  readonly armored: boolean;
  readonly expect: 'ok' | 'error';
  readonly error?: string;
  readonly plaintext_sha256?: string;
};

type Manifest = {
  readonly keys: Readonly<
    Record<string, { readonly type: string; readonly file: string; readonly recipient: string }>
  >;
  readonly cases: readonly VectorCase[];
  readonly age_cases: readonly AgeVector[];
};

export const manifest = JSON.parse(readFileSync(`${vectorsFolder}vectors.json`, 'utf8')) as Manifest;

export function vectorBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(vectorsFolder + path));
}

export function vectorText(path: string): string {
  return readFileSync(vectorsFolder + path, 'utf8');
}

/** The identities of some names. */
export function identitiesOf(names: readonly string[]): AgeIdentity[] {
  return names.flatMap((name) => {
    const key = manifest.keys[name];
    if (key === undefined) throw new Error(`No key named ${name}`);
    const text = vectorText(key.file);
    return key.type.startsWith('ssh') ? [parseSshIdentity(text)] : parseAgeIdentities(text);
  });
}

const mark = Buffer.from('TESTKMS1');

const vaultPrefix = 'vault:v1:';

/** Opens what the fake key service wrapped: a mark, then every byte XOR 0xA5; for Vault as its text. */
export const fakeCloud: NonNullable<Keyring['kms']> = {
  wrap: async ({ type }, plaintext) => {
    const wrapped = Buffer.concat([mark, plaintext.map((byte) => byte ^ 0xa5)]);
    return type === 'hc_vault' ? Buffer.from(vaultPrefix + wrapped.toString('base64')) : wrapped;
  },
  unwrap: async ({ type }, wrapped) => {
    const text = type === 'hc_vault' ? Buffer.from(wrapped).toString('latin1') : undefined;
    const bytes = text === undefined ? wrapped : Buffer.from(text.slice(vaultPrefix.length), 'base64');
    if (!mark.equals(bytes.subarray(0, mark.length))) throw new Error('Not wrapped by the fake service');
    return bytes.subarray(mark.length).map((byte) => byte ^ 0xa5);
  },
};

/** A keyring of named vector keys and the fake cloud. */
export function keyringOf(names: readonly string[]): Keyring {
  return { ageIdentities: async () => identitiesOf(names), kms: fakeCloud };
}
