// The rows of `clef sops …`: the subcommands and options of the SOPS command that Clef covers, under the same names.
import type { ArgumentDefinition, CommandDefinition, OptionDefinition } from '../command.ts';

const file: ArgumentDefinition = { name: 'file', summary: 'the file', optional: true };
const fileOrInput: ArgumentDefinition = { ...file, summary: 'the file; nothing or - is standard input' };
const index: ArgumentDefinition = { name: 'index', summary: `the place: '["key"][0]'`, optional: true };
const shellLine: ArgumentDefinition = {
  name: 'command',
  summary: 'one argument, run by /bin/sh',
  optional: true,
};

const option = (flag: string, value: string, summary: string): OptionDefinition => ({ flag, value, summary });
const inputType = option(
  '--input-type',
  'type',
  'yaml, json, dotenv, ini or binary (default: by the name of the file)',
);
const outputType = option(
  '--output-type',
  'type',
  'yaml, json, dotenv, ini or binary (default: by the name of the file)',
);
const filenameOverride = option(
  '--filename-override',
  'name',
  'the name to choose format and creation rule by',
);
const config = option('--config', 'file', 'this .sops.yaml instead of the nearest one');
const ignoreMac: OptionDefinition = { flag: '--ignore-mac', summary: 'leave out the check of the MAC' };
const inPlace: OptionDefinition = { flag: '-i, --in-place', summary: 'write the result over the file' };
const output = option('--output', 'file', 'write the result into this file');
const idempotent: OptionDefinition = {
  flag: '--idempotent',
  summary: 'write nothing where nothing would change',
};
const encryptionContext = option('--encryption-context', 'pairs', 'for AWS KMS: NAME:VALUE,…');

const opening: readonly OptionDefinition[] = [
  option('--decryption-order', 'kinds', 'kinds of keys in the order to try them: age,kms'),
  { flag: '--keyservice', value: 'address', repeatable: true, summary: 'refused: not covered here' },
  { flag: '--enable-local-keyservice', summary: 'it is always so, and changes nothing' },
];

const keys: readonly OptionDefinition[] = [
  option('-a, --age', 'recipients', 'age recipients, separated by commas'),
  option('-k, --kms', 'arns', 'ARNs of AWS KMS keys, each with +ROLE_ARN where a role is needed'),
  option('--gcp-kms', 'ids', 'GCP KMS keys: projects/…/cryptoKeys/…'),
  option('--azure-kv', 'urls', 'Azure Key Vault keys: https://VAULT/keys/NAME/VERSION'),
  option('--hc-vault-transit', 'urls', 'Vault keys: https://HOST/v1/ENGINE/keys/NAME'),
  option('-p, --pgp', 'fingerprints', 'PGP fingerprints'),
  option('--hckms', 'ids', 'Huawei Cloud KMS keys: REGION:ID'),
  option('--aws-profile', 'name', 'the AWS profile to use the KMS keys with'),
  encryptionContext,
];

const rules: readonly OptionDefinition[] = [
  option('--unencrypted-suffix', 'text', 'leave keys that end so in the clear'),
  option('--encrypted-suffix', 'text', 'encrypt only keys that end so'),
  option('--unencrypted-regex', 'regex', 'leave keys that match in the clear'),
  option('--encrypted-regex', 'regex', 'encrypt only keys that match'),
  option('--unencrypted-comment-regex', 'regex', 'leave what has a matching comment in the clear'),
  option('--encrypted-comment-regex', 'regex', 'encrypt only what has a matching comment'),
  { flag: '--mac-only-encrypted', summary: 'make the MAC of encrypted values only' },
  option('--shamir-secret-sharing-threshold', 'number', 'key groups that are needed together'),
];

/** What both exec commands share. */
const running: readonly OptionDefinition[] = [
  { flag: '--background', summary: 'not covered' },
  option('--user', 'name', 'not covered'),
  ...opening,
];

/** `--add-age`, `--rm-age` and so on. */
const keyChanges: readonly OptionDefinition[] = (['add', 'rm'] as const).flatMap((verb) =>
  ['age', 'kms', 'gcp-kms', 'azure-kv', 'hc-vault-transit', 'pgp', 'hckms'].map((kind) =>
    option(`--${verb}-${kind}`, 'keys', verb === 'add' ? 'add these keys' : 'take these keys out'),
  ),
);

const asSops = 'Same options and exit codes as the SOPS command.';

/** One row a subcommand. */
export const sopsRows: readonly CommandDefinition[] = [
  {
    name: 'sops decrypt',
    summary: 'Decrypt a SOPS file to standard output',
    details: `${asSops} With --json what is printed is JSON, as with --output-type json.`,
    arguments: [fileOrInput],
    options: [
      option('--extract', 'path', `only this part: '["key"][0]'`),
      inPlace,
      output,
      inputType,
      outputType,
      ignoreMac,
      filenameOverride,
      config,
      ...opening,
    ],
    examples: [{ line: `clef sops decrypt --extract '["db"]["url"]' secrets.yaml`, does: 'print one value' }],
    load: () => import('../commands/sops-decrypt.ts'),
  },
  {
    name: 'sops encrypt',
    summary: 'Encrypt a file to the keys of options, variables or .sops.yaml',
    details: asSops,
    arguments: [fileOrInput],
    options: [
      ...keys,
      ...rules,
      inPlace,
      output,
      inputType,
      outputType,
      filenameOverride,
      config,
      ...opening.slice(1),
    ],
    examples: [
      { line: 'clef sops encrypt --age age1… --in-place secrets.yaml', does: 'encrypt a file where it is' },
    ],
    load: () => import('../commands/sops-encrypt.ts'),
  },
  {
    name: 'sops edit',
    summary: 'Edit a SOPS file in your editor',
    details: `${asSops} The plaintext is only ever in memory-backed storage.

The old forms work too, with their options before the file: clef sops FILE edits, -d decrypts, -e encrypts, -r rotates, --set '["key"] "value"' sets.`,
    arguments: [file],
    options: [inputType, outputType, ignoreMac, config, ...opening],
    examples: [{ line: 'clef sops edit secrets.yaml', does: 'change values in $EDITOR' }],
    load: () => import('../commands/sops-edit.ts'),
  },
  {
    name: 'sops set',
    summary: 'Set one value of a SOPS file',
    details: `${asSops} The value is JSON.`,
    arguments: [file, index, { name: 'value', summary: 'JSON, or a file with --value-file', optional: true }],
    options: [
      { flag: '--value-file', summary: 'the value is the path of a file with the JSON' },
      { flag: '--value-stdin', summary: 'read the JSON from standard input' },
      idempotent,
      inputType,
      outputType,
      ignoreMac,
      ...opening,
    ],
    examples: [
      {
        line: `clef sops set secrets.yaml '["db"]["url"]' --value-stdin`,
        does: 'set a value that is not in argv',
      },
    ],
    load: () => import('../commands/sops-set.ts'),
  },
  {
    name: 'sops unset',
    summary: 'Take one value or branch out of a SOPS file',
    details: asSops,
    arguments: [file, index],
    options: [idempotent, inputType, outputType, ignoreMac, ...opening],
    examples: [{ line: `clef sops unset secrets.yaml '["db"]["port"]'`, does: 'take a value out' }],
    load: () => import('../commands/sops-unset.ts'),
  },
  {
    name: 'sops rotate',
    summary: 'Make a new data key for a SOPS file, and encrypt everything anew',
    details: asSops,
    arguments: [file],
    options: [
      ...keyChanges,
      encryptionContext,
      inPlace,
      output,
      inputType,
      outputType,
      ignoreMac,
      filenameOverride,
      ...opening,
    ],
    examples: [
      { line: 'clef sops rotate --in-place --rm-age age1… secrets.yaml', does: 'shut somebody out' },
    ],
    load: () => import('../commands/sops-rotate.ts'),
  },
  {
    name: 'sops updatekeys',
    summary: 'Make the keys of a SOPS file those of its creation rule in .sops.yaml',
    details: `${asSops} Values stay as they are; somebody taken out still knows the data key until "clef sops rotate".`,
    arguments: [file],
    options: [{ flag: '-y, --yes', summary: 'do not ask' }, inputType, config, ...opening.slice(1)],
    examples: [{ line: 'clef sops updatekeys secrets.yaml --yes', does: 'fit a file to .sops.yaml' }],
    load: () => import('../commands/sops-updatekeys.ts'),
  },
  {
    name: 'sops filestatus',
    summary: 'Say whether a file is encrypted',
    details: asSops,
    arguments: [file],
    options: [inputType],
    examples: [{ line: 'clef sops filestatus secrets.yaml', does: 'print {"encrypted":true} or false' }],
    load: () => import('../commands/sops-filestatus.ts'),
  },
  {
    name: 'sops exec-env',
    summary: 'Run a shell command with the values of a flat SOPS file as variables',
    details: 'The exit code is that of the command.',
    arguments: [file, shellLine],
    options: [
      { flag: '--pristine', summary: 'pass nothing but the values' },
      {
        flag: '--allow-env',
        value: 'name',
        repeatable: true,
        summary: 'accept this name although it changes how programs run',
      },
      { flag: '--same-process', summary: 'not covered' },
      ...running,
    ],
    examples: [
      { line: "clef sops exec-env app.env 'node server.js'", does: 'run a program with the values' },
    ],
    load: () => import('../commands/sops-exec-env.ts'),
  },
  {
    name: 'sops exec-file',
    summary: 'Run a shell command in which {} is a pipe with the plaintext of a SOPS file',
    details: 'The exit code is that of the command. The plaintext can be read from the pipe once.',
    arguments: [file, shellLine],
    options: [
      option('--filename', 'name', 'the name of the pipe (default: tmp-file)'),
      { flag: '--no-fifo', summary: 'not covered: the plaintext would be on the disk' },
      inputType,
      outputType,
      ...running,
    ],
    examples: [
      { line: "clef sops exec-file app.json 'server --config {}'", does: 'give a program its configuration' },
    ],
    load: () => import('../commands/sops-exec-file.ts'),
  },
  ...['publish', 'keyservice', 'groups'].map(
    (name): CommandDefinition => ({
      name: `sops ${name}`,
      summary: 'Not covered',
      passThrough: true,
      load: () => import('../commands/sops-not-covered.ts'),
    }),
  ),
];
