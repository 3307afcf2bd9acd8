// Every command in right and in wrong use, with values that are unique to one run: what the canary test lets through Clef.
import { randomBytes } from 'node:crypto';
import { generateAgeIdentity } from '@clef/sops';

/** In every value; nowhere else in the world. */
export const token = randomBytes(12).toString('hex');

/** A private key that a person types where it does not belong. */
export const strayKey = generateAgeIdentity();

export type CanaryStep = {
  readonly args: readonly string[];
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly exitCode?: number;
  /** Printing values is what this one is for: on stdout, and there only. */
  readonly isShowing?: true;
};

export const dev = 'database/development';
const value = (name: string): string => `CANARY-${name}-${token}`;
const step = (line: string, more: Omit<CanaryStep, 'args'> = {}): CanaryStep => ({
  args: line.split(' '),
  ...more,
});
const given = (line: string, name: string, more: Omit<CanaryStep, 'args'> = {}): CanaryStep =>
  step(line, { input: value(name), ...more });
const seal = generateAgeIdentity();
const bobsConfig = (outside: string): Readonly<Record<string, string>> => ({
  CLEF_CONFIG_DIR: `${outside}/bob`,
});

/** What lies outside of the repository before Clef comes. */
export const outsideFiles = {
  'plain.yaml': `plain: ${value('plain')}\n`,
  'sops.yaml': `creation_rules:\n  - age: ${seal.recipient}\n`,
};

/** `outside`: a folder that is not searched, with those files. */
export function rightSteps(outside: string): readonly CanaryStep[] {
  const editor = (line: string): Readonly<Record<string, string>> => ({
    EDITOR: `sh -c 'printf "%s\\n" "$TYPED" >> "$1"' sh`,
    TYPED: line,
  });
  return [
    step('init'),
    given(`set ${dev} DB_URL`, 'set'),
    given(`set database/staging DB_URL`, 'set'),
    step(`set ${dev} MADE --generate`),
    step(`get ${dev} DB_URL`, { isShowing: true }),
    step('list'),
    step(`list ${dev} --json`),
    step('search DB*'),
    given('search --value', 'set'),
    given(`compare ${dev} DB_URL`, 'other', { exitCode: 1 }),
    step(`compare ${dev} database/staging`, { exitCode: 1 }),
    step('explain DB_URL'),
    step(`edit ${dev}`, { environment: editor(`EDITED: "${value('edited')}"`) }),
    step(`import ${dev} - --format dotenv`, { input: `DOTENV='${value('dotenv')}'\n` }),
    step(`import ${dev} - --format json`, { input: JSON.stringify({ JSON_KEY: `${value('json')}\n` }) }),
    step(`import ${dev} - --format yaml --dry-run`, { input: `YAML_KEY: ${value('yaml')}\n` }),
    step(`copy ${dev} payments/development --also database/staging --overwrite`),
    ...['dotenv', 'json', 'sh', 'github', 'kubernetes', 'systemd'].map((format) =>
      // A Secret and a credential are base64 of the values.
      step(`export ${dev} --format ${format}`, { isShowing: true }),
    ),
    step(`exec ${dev} -- printenv DB_URL`, { isShowing: true }),
    step(`exec ${dev} --redact -- printenv DB_URL`),
    step(`delete ${dev} MADE`),
    step('sync --yes'),
    step('namespace add mail'),
    step('namespace rename payments billing --yes'),
    step('environment add preview'),
    step('environment rename development dev --yes'),
    step('environment rename dev development --yes'),
    step(
      'recipients add carol age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj --environments staging',
    ),
    step('recipients remove carol --yes'),
    step('key generate', { environment: bobsConfig(outside) }),
    step('recipients request --name bob --environments development', { environment: bobsConfig(outside) }),
    step('recipients list'),
    step('recipients approve bob --yes'),
    step('rotate --all --yes'),
    step('key generate'),
    step('key list'),
    step('key show'),
    step('key import -', { input: `${generateAgeIdentity().identity}\n` }),
    step(`service create api --namespaces database --seal development=${seal.recipient}`),
    step('service update api --namespaces database,billing --prefix namespace'),
    step('service list'),
    step('service show api development --agent-env'),
    step('pack api development --to api.json'),
    step('artifact inspect api.json'),
    step('artifact verify api.json --service api --environment development'),
    step('artifact open api.json --service api --environment development', {
      environment: { CLEF_AGE_KEY: seal.identity },
    }),
    step('artifact open api.json --service api --environment development --reveal', {
      environment: { CLEF_AGE_KEY: seal.identity },
      isShowing: true,
    }),
    step(
      'service rotate api development --verify ed25519:MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=',
    ),
    step('revoke api development --to api.json --reason lost'),
    step('service delete api'),
    step('namespace remove billing --yes'),
    step('environment remove preview --yes'),
    step('doctor --open'),
    step('completion bash'),
    step('complete -- get '),
    step('version'),
    step(`sops encrypt --config ${outside}/sops.yaml --output app.yaml ${outside}/plain.yaml`),
    ...[
      step('sops decrypt app.yaml', { isShowing: true }),
      step('sops filestatus app.yaml'),
      step('sops set --value-stdin app.yaml ["more"]', { input: JSON.stringify(value('sops-set')) }),
      step('sops unset app.yaml ["more"]'),
      step('sops rotate --in-place app.yaml'),
      step(`sops updatekeys --yes --config ${outside}/sops.yaml app.yaml`),
      step('sops edit app.yaml', { environment: editor(`edited: "${value('sops-edit')}"`) }),
      { args: ['sops', 'exec-env', 'app.yaml', 'printenv plain'], isShowing: true } as const,
      { args: ['sops', 'exec-file', 'app.yaml', 'cat {}'], isShowing: true } as const,
    ].map((one) => ({ ...one, environment: { ...one.environment, SOPS_AGE_KEY: seal.identity } })),
    step('agent --check', {
      environment: { CLEF_AGENT_SOURCE: `${outside}/nothing.json`, CLEF_AGENT_TOKEN: value('token') },
      exitCode: -1,
    }),
  ];
}

/** Each is refused; none may repeat what it was given. */
export const wrongSteps: readonly CanaryStep[] = [
  { args: ['set', 'database/production', 'DB_URL', value('argument')] },
  { args: ['set', dev, 'DB_URL', value('argument'), 'extra'] },
  { args: ['set', dev, 'GUARDED'], input: value('schema') },
  { args: ['set', dev, 'NUL'], input: `${value('nul')}\0` },
  { args: ['set', dev, 'LARGE'], input: value('large').repeat(8_000) },
  { args: ['get', dev, strayKey.identity] },
  { args: ['recipients', 'add', 'dan', strayKey.identity, '--environments', 'development'] },
  { args: ['import', dev, '-', '--format', 'dotenv'], input: `A="${value('quote')}\n` },
  { args: ['import', dev, '-', '--format', 'dotenv'], input: `${value('line')}\n` },
  { args: ['import', dev, '-', '--format', 'json'], input: `{"A":"${value('json')}",}` },
  { args: ['import', dev, '-', '--format', 'json'], input: `{"A":["${value('list')}"]}` },
  { args: ['import', dev, '-', '--format', 'yaml'], input: `A: [${value('flow')}\n` },
  {
    args: ['import', dev, '-', '--format', 'yaml'],
    input: `A: &${value('anchor')} x\nB: !${value('tag')} y\n`,
  },
  { args: ['import', dev, '-', '--format', 'yaml'], input: `A: "${value('escape')}\\q"\n` },
  { args: ['import', dev, '-'], input: `A: ENC[${value('enc')}]\nsops: ${value('block')}\n` },
  {
    args: ['edit', dev],
    environment: { EDITOR: `sh -c 'printf "%s\\n" "$TYPED" > "$1"' sh`, TYPED: `A: "${value('open')}` },
  },
  {
    args: ['edit', dev],
    environment: { EDITOR: `sh -c 'printf "%s\\n" "$TYPED" > "$1"' sh`, TYPED: `GUARDED: ${value('rule')}` },
  },
  { args: ['exec', dev, '--', 'no-such-command'], exitCode: 127 },
  { args: ['exec', dev, '--prefix', '1', '--', 'true'], exitCode: 125 },
  { args: ['sops', 'set', '--value-stdin', 'app.yaml', '["a"]'], input: `"${value('sops')}` },
  { args: ['sops', 'encrypt', '--input-type', 'json', '/dev/stdin'], input: `{"a":"${value('sops')}"` },
  { args: ['export', dev, '--format', 'docker'], exitCode: 3 },
].map((one) => ({ ...one, args: [...one.args] }));
