// Every parser that takes text from outside: what to damage, with which words of its grammar, and how it is read.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { encodeBase64 } from '@clef/strict';
import { openWithX25519 } from '../src/age/age-encryption.ts';
import { decodeArmor, encodeArmor, parseAgeFile } from '../src/age/age-file.ts';
import { parseSshPublicKey } from '../src/age/ssh-keys.ts';
import { formatNamed } from '../src/formats/all.ts';
import { defaultLimits } from '../src/formats/format.ts';
import {
  type AgeIdentity,
  checkAgeRecipient,
  creationRuleFor,
  type FormatName,
  parseAgeIdentities,
  parseEncryptedValue,
  parseSopsConfig,
  parseSshIdentity,
  SopsError,
} from '../src/index.ts';
import { parseMetadata } from '../src/metadata.ts';
import { identitiesOf, manifest, vectorBytes, vectorsFolder, vectorText } from './vectors.ts';

export const maxBytes = 64 * 1024;
const sshFolder = fileURLToPath(new URL('ssh-keys/', import.meta.url));

/** `read` is true when the text was taken; whatever it throws must be a SopsError. `passes`: how often it reads the text. */
export type TextParser = {
  readonly corpus: readonly Uint8Array[];
  readonly words: readonly string[];
  readonly read: (bytes: Uint8Array) => boolean | Promise<boolean>;
  readonly passes?: number;
};

const sealed = ['ENC[AES256_GCM,data:', ',iv:', ',tag:', ',type:', 'type:int]', ']', '=', 'AAAA', ',', '\n'];
const armorLine = '-----BEGIN AGE ENCRYPTED FILE-----\n';
const yamlWords = words(
  '- |? |: |a: |&a |*a|!!binary |!x |>-\n|---\n|...\n|{|}|[|]|#|"|\'|<<: |%YAML 1.1\n|\t|    |\u2028|\ufeff|sops:\n|\r\n|\n|,|\\',
  '|\n',
  ' #{\n',
  '# c\n',
);

// Blanks within a value are what a careless pattern takes quadratic time for.
const blanks = text(`[s]\nk = x${' '.repeat(maxBytes - 12)}y\n`);

export const parsers: Readonly<Record<string, TextParser>> = {
  yaml: formatParser('yaml', yamlWords),
  json: formatParser(
    'json',
    words('{|}|[|]|,|:|"|\\|\\u|\\ud800|-|0|1e400|.5|null|true|"sops":|{"a":|[[|\ufeff|\n|\0|"a",'),
  ),
  dotenv: formatParser(
    'dotenv',
    words('=|#|\n|\r\n|\\n|sops_|__map_|__list_|0|sops_age__list_0__map_enc=|A=|\0|\ufeff|A=\n|sops_mac=x\n'),
  ),
  ini: formatParser(
    'ini',
    words(
      '[|]|=|:|;|#|"|"""|`|\'|\\\n|\n|\r\n|-|[sops]\n|[DEFAULT]\n|k = |__map_|__list_|\u00a0|k=\n|;c\n|k = """|k = `| ',
    ),
  ),
  binary: formatParser('binary', words('{|"data":|"|\\|,', ...sealed)),
  'ENC[…]': { corpus: encryptedValues(), words: sealed, read: readValue },
  metadata: {
    corpus: filesOf('yaml').flatMap(metadataOf),
    words: [
      ...words(
        'sops:\n|    age:\n|        - |kms|pgp|hc_vault|key_groups|shamir_threshold: |enc: |recipient: ',
      ),
      ...words(
        'lastmodified: |mac: |version: 3.12.2\n|_regex: |_suffix: |context:\n|null|[]|{}|2|true|"|\n',
        ...sealed,
      ),
    ],
    read: (bytes) => readFile('yaml', bytes),
  },
  'age armor': {
    corpus: [...armoredFiles(), ...ageFiles().map((bytes) => text(encodeArmor(bytes)))],
    words: words(
      `${armorLine}|-----END AGE ENCRYPTED FILE-----\n|-----|=|==|\n|\r\n| |A|${'A'.repeat(64)}\n|\0`,
    ),
    read(bytes) {
      const file = decodeArmor(Buffer.from(bytes).toString('latin1'));
      return file !== undefined && readAge(file);
    },
  },
  'age header': {
    corpus: ageFiles(),
    words: words(
      `age-encryption.org/v1\n|-> |-> X25519 |-> scrypt |--- |\n| |=|A|${'A'.repeat(43)}\n|\0|\r\n|-> a\n\n`,
    ),
    read: readAge,
  },
  '.sops.yaml': {
    corpus: configurations().map(text),
    words: [
      ...words(
        'creation_rules:\n|  - |path_regex: |age: |kms: |pgp: |key_groups:\n|merge:\n|stores: |indent: |null',
      ),
      ...words('(|)|(?i)|[a-z]|{1000}|*|\\p|$|,|+|arn:aws:kms:|https://|projects/|-1|2|true|[|]|{|}|:|\n|"'),
    ],
    async read(bytes) {
      return (await creationRuleFor(parseSopsConfig(bytes), 'prod/a.yaml')) !== undefined;
    },
  },
  'age keys': {
    corpus: keyFiles('age').map(text),
    words: words('#|\n|\r\n| |AGE-SECRET-KEY-1|AGE-SECRET-KEY-PQ-1|AGE-PLUGIN-|age1|1|Q|\0|ssh-ed25519 '),
    read: (bytes) => readKeys(Buffer.from(bytes).toString('utf8')),
  },
  'SSH keys': {
    corpus: keyFiles('ssh').map(text),
    words: words(
      '-----BEGIN OPENSSH PRIVATE KEY-----\n|-----END OPENSSH PRIVATE KEY-----\n|-----BEGIN RSA PRIVATE KEY-----\n|Proc-Type: 4,ENCRYPTED\n|ssh-rsa |ssh-ed25519 |AAAA|b3BlbnNzaC1rZXktdjE|=|\n|\r\n| |\0',
    ),
    read(bytes) {
      const line = Buffer.from(bytes).toString('utf8');
      return line.startsWith('ssh-') ? parseSshPublicKey(line.trim()) !== undefined : isSshIdentity(line);
    },
  },
};

function words(list: string, ...more: readonly string[]): string[] {
  return [...list.split('|').filter((word) => word !== ''), ...more];
}

function text(characters: string): Uint8Array {
  return new TextEncoder().encode(characters);
}

function formatParser(format: FormatName, grammar: readonly string[]): TextParser {
  const corpus = format === 'ini' ? [...filesOf(format), blanks] : filesOf(format);
  return { corpus, words: grammar, read: (bytes) => readBoth(format, bytes), passes: 2 };
}

function filesOf(format: FormatName): Uint8Array[] {
  const paths = manifest.cases.flatMap(({ format: name, file, source }) => {
    return name === format ? [file, source].filter((path) => path !== undefined) : [];
  });
  return paths.map(vectorBytes).filter(({ length }) => length <= maxBytes);
}

function readBoth(format: FormatName, bytes: Uint8Array): boolean {
  const isPlain = isTaken(() => formatNamed(format).parsePlain(bytes, defaultLimits));
  return isTaken(() => readFile(format, bytes)) || isPlain;
}

function readFile(format: FormatName, bytes: Uint8Array): boolean {
  const { parse, typedMetadata } = formatNamed(format);
  const { metadata } = parse(bytes, defaultLimits);
  if (metadata !== undefined) parseMetadata(metadata, { typed: typedMetadata });
  return true;
}

/** True when the text was taken; an error that is not ours comes through. */
export function isTaken(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof SopsError) return false;
    throw error;
  }
}

function encryptedValues(): Uint8Array[] {
  const { values } = JSON.parse(vectorText('values.json')) as { values: readonly { enc: string }[] };
  const inFiles = filesOf('yaml').flatMap((bytes) => [
    ...Buffer.from(bytes)
      .toString('utf8')
      .matchAll(/ENC\[.*\]/g),
  ]);
  return [...values.map(({ enc }) => enc), ...inFiles.map(([enc]) => enc)].map(text);
}

// What is taken has one spelling: written again it is the same text, as far as it was read.
function readValue(bytes: Uint8Array): boolean {
  const source = Buffer.from(bytes).toString('utf8');
  const value = parseEncryptedValue(source);
  if (value === undefined) return false;
  const [data, iv, tag] = [value.data, value.iv, value.tag].map(encodeBase64);
  const again = `ENC[AES256_GCM,data:${data},iv:${iv},tag:${tag},type:${value.type}]`;
  const isSame = value.exact ? source === again : source.startsWith(again);
  if (!isSame) throw new Error('What was read is not written again as it was');
  return true;
}

function metadataOf(file: Uint8Array): Uint8Array[] {
  const found = /^sops:\n(?: .*\n)+/m.exec(Buffer.from(file).toString('utf8'));
  return found === null ? [] : [text(found[0])];
}

function ageFiles(): Uint8Array[] {
  const plain = manifest.age_cases.map(({ file }) => vectorBytes(file));
  return [...plain, ...armoredFiles()].flatMap((bytes) => {
    const armored = Buffer.from(bytes).toString('latin1');
    const binary = armored.startsWith('age-') ? bytes : decodeArmor(armored);
    return binary === undefined || binary.length > maxBytes ? [] : [binary];
  });
}

function armoredFiles(): Uint8Array[] {
  return filesOf('json').flatMap((bytes) => {
    const found = /"enc": "(-----BEGIN AGE[^"]*)"/.exec(Buffer.from(bytes).toString('utf8'));
    return found === null ? [] : [text((found[1] ?? '').replaceAll('\\n', '\n'))];
  });
}

let alice: readonly AgeIdentity[] | undefined;

function readAge(bytes: Uint8Array): boolean {
  const file = parseAgeFile(bytes);
  if (file === undefined) return false;
  alice ??= identitiesOf(['alice']);
  return typeof openWithX25519(file, alice) !== 'string';
}

function configurations(): string[] {
  const alice = manifest.keys['alice']?.recipient ?? '';
  const arn = 'arn:aws:kms:eu-west-1:111122223333:key/1234';
  return [
    `creation_rules:\n  - path_regex: ^prod/.*\\.yaml$\n    age: ${alice}\n    encrypted_regex: ^data$\n  - age: [${alice}]\n`,
    `creation_rules:\n  - key_groups:\n      - age: [${alice}]\n        merge:\n          - kms: [{ arn: "${arn}", context: { a: b } }]\n      - hc_vault: ["https://v:8200/v1/e/keys/k"]\n    shamir_threshold: 2\n`,
    `stores: { yaml: { indent: 2 }, json: { indent: -1 } }\ncreation_rules:\n  - kms: "${arn}+arn:aws:iam::1:role/r"\n    gcp_kms: projects/p/locations/l/keyRings/r/cryptoKeys/k\n    azure_keyvault: https://v.vault.azure.net/keys/n/1\n`,
  ];
}

function keyFiles(kind: 'age' | 'ssh'): string[] {
  const named = Object.values(manifest.keys).filter(
    ({ type }) => type.startsWith('ssh') === (kind === 'ssh'),
  );
  const ours = kind === 'age' ? [] : readdirSync(sshFolder).filter((name) => name !== 'README.md');
  return [
    ...named.map(({ file }) => readFileSync(vectorsFolder + file, 'utf8')),
    ...ours.map((name) => readFileSync(sshFolder + name, 'utf8')),
  ];
}

function readKeys(source: string): boolean {
  if (!source.startsWith('age1')) return parseAgeIdentities(source, { allowPlugins: true }).length > 0;
  return checkAgeRecipient(source.trim(), { allowPlugins: true }) !== undefined;
}

function isSshIdentity(source: string): boolean {
  return parseSshIdentity(source) !== undefined;
}
