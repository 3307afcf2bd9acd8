// The variables of SOPS, row by row as the specification of the format lists them (section 13): each is honoured, or named
// here with the reason why it is not.
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { emulatorVariables, startEmulator } from '@clef/emulator';
import { encryptWithPassphrase, generateAgeIdentity } from '@clef/sops';
import { afterAll, describe, expect, it } from 'vitest';
import { decryptSopsFile, editSopsFileInEditor, encryptSopsFile, type World } from '../../src/index.ts';

const top = realpathSync(mkdtempSync(join(tmpdir(), 'clef-sops-variables-')));
afterAll(() => rmSync(top, { recursive: true, force: true }));
const alice = generateAgeIdentity();
const sshFolder = fileURLToPath(new URL('../../../sops/test/ssh-keys/', import.meta.url));

let count = 0;
/** A folder with these files, and a world with nothing but these variables. */
function machine(environment: World['environment'], files: Readonly<Record<string, string>> = {}): World {
  const cwd = join(top, `${count++}`);
  for (const [name, content] of Object.entries({ 'a.yaml': 'A: one\n', ...files })) {
    mkdirSync(dirname(join(cwd, name)), { recursive: true });
    writeFileSync(join(cwd, name), content);
  }
  return {
    environment: { PATH: process.env['PATH'], HOME: cwd, CLEF_KEYCHAIN: 'off', ...environment },
    cwd,
    homeDirectory: cwd,
    platform: process.platform,
    userName: 'alice',
    now: Date.now,
    randomBytes: (length) => randomBytes(length),
    notify: () => undefined,
  };
}

const request = { file: 'a.yaml', readInput: async () => new Uint8Array() };
const encryptTo = (world: World, recipient: string): Promise<unknown> =>
  encryptSopsFile(world, { ...request, keys: { age: recipient }, rules: {}, inPlace: true });
const encrypt = (world: World): Promise<unknown> =>
  encryptSopsFile(world, { ...request, keys: {}, rules: {}, inPlace: true });
const read = async (world: World): Promise<string> =>
  Buffer.from((await decryptSopsFile(world, request)) ?? []).toString();
const sealed = (world: World): string => readFileSync(join(world.cwd, 'a.yaml'), 'utf8');
const message = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'it succeeded',
    (error: Error) => error.message,
  );

type Row = readonly [variable: string, proof: () => Promise<void>];

/** A variable that holds or leads to an age key. */
function opens(
  title: string,
  recipient: string,
  variables: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
  passphrase?: string,
): Row {
  return [
    title,
    async () => {
      const world = machine(variables, files);
      await encryptTo(world, recipient);
      const asked = passphrase === undefined ? world : { ...world, askPassphrase: async () => passphrase };
      expect(await read(asked)).toBe('A: one\n');
    },
  ];
}

const ssh = (name: string): string => readFileSync(join(sshFolder, name), 'utf8');
const sshLine = (name: string): string => ssh(`${name}.pub`).trim();
const locked = await encryptWithPassphrase(`${alice.identity}\n`, 'swordfish', { workFactor: 10 });
const opening: readonly Row[] = [
  opens('SOPS_AGE_KEY', alice.recipient, { SOPS_AGE_KEY: alice.identity }),
  opens('SOPS_AGE_KEY, with a passphrase', alice.recipient, { SOPS_AGE_KEY: locked }, {}, 'swordfish'),
  opens('SOPS_AGE_KEY_FILE', alice.recipient, { SOPS_AGE_KEY_FILE: 'k' }, { k: alice.identity }),
  opens(
    'SOPS_AGE_KEY_FILE, with a passphrase',
    alice.recipient,
    { SOPS_AGE_KEY_FILE: 'k' },
    { k: locked },
    'swordfish',
  ),
  opens('SOPS_AGE_KEY_CMD', alice.recipient, { SOPS_AGE_KEY_CMD: 'cat k' }, { k: alice.identity }),
  opens(
    'SOPS_AGE_KEY_CMD, with a passphrase',
    alice.recipient,
    { SOPS_AGE_KEY_CMD: 'cat k' },
    { k: locked },
    'swordfish',
  ),
  opens('the default file', alice.recipient, {}, { '.config/sops/age/keys.txt': alice.identity }),
  opens(
    'the default file, with a passphrase',
    alice.recipient,
    {},
    { '.config/sops/age/keys.txt': locked },
    'swordfish',
  ),
  ...(['ed25519-open', 'rsa-pem'] as const).map((name) =>
    opens(
      `SOPS_AGE_SSH_PRIVATE_KEY_FILE: ${name}`,
      sshLine(name),
      { SOPS_AGE_SSH_PRIVATE_KEY_FILE: 'k' },
      { k: ssh(name) },
    ),
  ),
  ...(['ed25519-locked', 'rsa-locked'] as const).map((name) =>
    opens(
      `SOPS_AGE_SSH_PRIVATE_KEY_FILE, with a passphrase: ${name}`,
      sshLine(name),
      { SOPS_AGE_SSH_PRIVATE_KEY_FILE: 'k' },
      { k: ssh(name) },
      'correct horse',
    ),
  ),
  opens(
    'SOPS_AGE_SSH_PRIVATE_KEY_CMD',
    sshLine('ed25519-open'),
    { SOPS_AGE_SSH_PRIVATE_KEY_CMD: 'cat k' },
    { k: ssh('ed25519-open') },
  ),
  opens('~/.ssh/id_ed25519', sshLine('ed25519-open'), {}, { '.ssh/id_ed25519': ssh('ed25519-open') }),
  opens(
    '~/.ssh/id_rsa, with a passphrase',
    sshLine('rsa-locked'),
    {},
    { '.ssh/id_rsa': ssh('rsa-locked') },
    'correct horse',
  ),
];

/** A variable that names whom to encrypt to; `found` is what shows in the file, or in the error of a service that is not here. */
function encryptsTo(variable: string, value: string, found: RegExp, more: World['environment'] = {}): Row {
  return [
    variable,
    async () => {
      const world = machine({ [variable]: value, ...more });
      const said = await message(encrypt(world));
      expect(`${sealed(world)}\n${said}`).toMatch(found);
    },
  ];
}

const gpg = join(top, 'gpg');
writeFileSync(gpg, '#!/bin/sh\necho "$GNUPGHOME $*" >> "$0.log"\nexit 2\n');
chmodSync(gpg, 0o755);
const fingerprint = '0123456789ABCDEF0123456789ABCDEF01234567';

const others: readonly Row[] = [
  encryptsTo('SOPS_AGE_RECIPIENTS', alice.recipient, new RegExp(alice.recipient)),
  encryptsTo('SOPS_HUAWEICLOUD_KMS_IDS', 'cn-north-1:0123', /Huawei/),
  encryptsTo(
    'SOPS_AZURE_KEYVAULT_URLS',
    `https://v.vault.azure.net/keys/k/${'0'.repeat(32)}`,
    /Azure|endpoint/i,
    {
      CLEF_AZURE_KEY_VAULT_ENDPOINT: 'http://vault.example.com',
    },
  ),
  encryptsTo('SOPS_VAULT_URIS', 'https://vault.example.com/v1/transit/keys/k', /Vault/),
  encryptsTo('SOPS_PGP_FP', fingerprint, /gnupg/i, { SOPS_GPG_EXEC: gpg }),
  [
    'SOPS_GPG_EXEC and GNUPGHOME',
    async () => {
      await message(encrypt(machine({ SOPS_PGP_FP: fingerprint, SOPS_GPG_EXEC: gpg, GNUPGHOME: '/a/home' })));
      expect(readFileSync(`${gpg}.log`, 'utf8')).toContain('/a/home ');
    },
  ],
  [
    'SOPS_KMS_ARN, SOPS_GCP_KMS_IDS and SOPS_DECRYPTION_ORDER',
    async () => {
      const emulator = await startEmulator({ now: Date.now, randomBytes });
      try {
        const clouds = { SOPS_KMS_ARN: emulator.awsKey.arn, SOPS_GCP_KMS_IDS: emulator.gcpKey.name };
        const { GCE_METADATA_HOST: _, ...variables } = emulatorVariables(emulator);
        const world = machine({ ...variables, ...clouds, SOPS_DECRYPTION_ORDER: 'kms,gcp_kms' });
        expect(await message(encrypt(world))).toBe('it succeeded');
        expect(sealed(world)).toContain(emulator.awsKey.arn);
        expect(sealed(world)).toContain(emulator.gcpKey.name);
        expect(await read(world)).toBe('A: one\n');
        expect(emulator.calls()['aws.Decrypt']).toBe(1);
        expect(Object.keys(emulator.calls()).filter((name) => /gcp.*decrypt/i.test(name))).toEqual([]);
      } finally {
        await emulator.stop();
      }
    },
  ],
  [
    'SOPS_CONFIG',
    async () => {
      const rule = `creation_rules:\n  - age: ${alice.recipient}\n`;
      const world = machine({ SOPS_CONFIG: 'rules.yaml' }, { 'rules.yaml': rule });
      expect(await message(encrypt(world))).toBe('it succeeded');
    },
  ],
  ...(['SOPS_EDITOR', 'EDITOR'] as const).map(
    (variable): Row => [
      variable,
      async () => {
        const sources = {
          SOPS_AGE_KEY: alice.identity,
          ...(variable === 'SOPS_EDITOR' ? { EDITOR: 'false' } : {}),
        };
        const world = machine({ ...sources, [variable]: 'sed -i s/one/two/' });
        await encryptTo(world, alice.recipient);
        await editSopsFileInEditor(world, request);
        expect(await read(world)).toBe('A: two\n');
      },
    ],
  ),
];

describe('a variable of SOPS that leads to a key', () => {
  it.each(opening)('%s', (_variable, proof) => proof());
});

describe('a variable of SOPS', () => {
  it.each(others)('%s', (_variable, proof) => proof());
});

/** Not honoured, each for a reason. Those of Vault, AWS, Azure and Google themselves are tested in packages/kms. */
const notHonoured: Readonly<Record<string, string>> = {
  SOPS_KEYSERVICE: 'a key service speaks without encryption; --keyservice is refused by name',
  SOPS_ENABLE_LOCAL_KEYSERVICE: 'always so',
  SOPS_GCP_KMS_CLIENT_TYPE: 'REST is the only one',
  SOPS_GCP_KMS_ENDPOINT: 'CLEF_GCP_KMS_ENDPOINT, which must be https or this machine',
  SOPS_GCP_KMS_UNIVERSE_DOMAIN: 'the public cloud only',
  SOPS_HC_VAULT_ALLOWLIST: 'VAULT_ADDR is the only Vault that gets the token',
  SOPS_DISABLE_VERSION_CHECK: 'nothing is ever asked for a version',
};

describe('the other variables of the specification', () => {
  it('are listed with a reason', () => {
    const named = [...opening, ...others].map(([title]) => title).join(' ');
    const honoured = new Set(named.match(/\b(?:SOPS_[A-Z_]+|EDITOR|GNUPGHOME)\b/g));
    const all = [
      ...[
        'SOPS_AGE_SSH_PRIVATE_KEY_FILE',
        'SOPS_AGE_SSH_PRIVATE_KEY_CMD',
        'SOPS_AGE_KEY',
        'SOPS_AGE_KEY_FILE',
      ],
      ...['SOPS_AGE_KEY_CMD', 'SOPS_AGE_RECIPIENTS', 'SOPS_PGP_FP', 'SOPS_KMS_ARN', 'SOPS_GCP_KMS_IDS'],
      ...[
        'SOPS_HUAWEICLOUD_KMS_IDS',
        'SOPS_AZURE_KEYVAULT_URLS',
        'SOPS_VAULT_URIS',
        'SOPS_CONFIG',
        'SOPS_EDITOR',
      ],
      ...[
        'EDITOR',
        'SOPS_DECRYPTION_ORDER',
        'SOPS_KEYSERVICE',
        'SOPS_ENABLE_LOCAL_KEYSERVICE',
        'SOPS_GPG_EXEC',
      ],
      ...['GNUPGHOME', 'SOPS_GCP_KMS_CLIENT_TYPE', 'SOPS_GCP_KMS_ENDPOINT', 'SOPS_GCP_KMS_UNIVERSE_DOMAIN'],
      ...['SOPS_HC_VAULT_ALLOWLIST', 'SOPS_DISABLE_VERSION_CHECK'],
    ];
    const unnamed = all.filter((name) => !honoured.has(name) && notHonoured[name] === undefined);
    expect(unnamed).toEqual([]);
  });
});
