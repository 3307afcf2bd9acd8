import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { helpText, parseCommandLine } from '../src/command-line.ts';
import { type AgentConfig, readConfig } from '../src/config.ts';
import { type SettingName, settingRows } from '../src/settings.ts';

const verifyKey = `ed25519:${generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;
const otherKey = `ed25519:${generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;
const kmsKey = 'awskms:///arn:aws:kms:eu-west-1:111122223333:key/5f0c6a3e-0000-4000-8000-000000000001';
const privateKey = `AGE-SECRET-KEY-1${'Q'.repeat(58)}`;

const good = {
  CLEF_AGENT_SOURCE: '/etc/clef/artifact.json',
  CLEF_AGENT_REPOSITORY: '5f0c6a3e-0000-4000-8000-000000000000',
  CLEF_AGENT_IDENTITY: 'api-gateway',
  CLEF_AGENT_ENVIRONMENT: 'production',
  CLEF_AGENT_KMS_KEY: kmsKey,
  CLEF_AGENT_VERIFY_KEYS: verifyKey,
  CLEF_AGENT_TOKEN_FILE: '/run/clef/token',
};

type Variables = Record<string, string | undefined>;

function read(variables: Variables, flags: readonly string[] = [], nodeOptions: readonly string[] = []) {
  const line = parseCommandLine(flags);
  if (line.kind !== 'run') throw new Error('not a command line that runs');
  return readConfig(line.flags, {
    environment: { ...good, ...variables },
    nodeOptions,
    isTerminal: false,
    platform: 'linux',
  });
}

function configOf(variables: Variables = {}, flags: readonly string[] = []): AgentConfig {
  const result = read(variables, flags);
  if ('faults' in result) throw new Error(result.faults.map(({ message }) => message).join('\n'));
  return result.config;
}

function faultsOf(variables: Variables, nodeOptions: readonly string[] = []): readonly string[] {
  const result = read(variables, [], nodeOptions);
  return 'faults' in result ? result.faults.map(({ kind, message }) => `${kind} ${message}`) : [];
}

test('what is needed is enough; the rest has its defaults', () => {
  expect(configOf()).toMatchObject({
    source: { kind: 'file', path: '/etc/clef/artifact.json' },
    key: { kind: 'kms', reference: { kind: 'awskms', region: 'eu-west-1' } },
    listen: { port: 7779 },
    token: { kind: 'file', path: '/run/clef/token', isDefault: false },
    state: undefined,
    minRevision: 0,
    pollSeconds: 30,
    maxStaleSeconds: 86_400,
    reauthorize: 3_600,
    isUnsignedAllowed: false,
    logFormat: 'json',
  });
});

test('a flag wins over its variable, in both spellings', () => {
  expect(configOf({ CLEF_AGENT_POLL: '1m' }, ['--poll', '10s']).pollSeconds).toBe(10);
  expect(configOf({ CLEF_AGENT_POLL: '1m' }, ['--poll=20s']).pollSeconds).toBe(20);
});

test('every row of the table is a variable, a flag and a line of --help', () => {
  for (const name of Object.keys(settingRows) as SettingName[]) {
    const flag = `--${name.toLowerCase().replaceAll('_', '-')}`;
    expect(helpText()).toContain(name === 'TOKEN' ? 'CLEF_AGENT_TOKEN ' : `${flag} `);
    expect(faultsOf({ [`CLEF_AGENT_${name}`]: '' }).join()).toContain(`CLEF_AGENT_${name}: is empty`);
  }
});

describe('the command line', () => {
  test.each([
    [['--sorce', 'x'], 'There is no option "--sorce"; did you mean "--source"?'],
    [['--nothing-like-it'], 'There is no option "--nothing-like-it"'],
    [['--source'], '--source needs a value'],
    [['--source', 'a', '--source', 'b'], '--source is given twice'],
    [['word'], 'clef agent takes options only, no other words'],
    [['exce'], 'clef agent takes options only, no other words; did you mean "clef agent exec"?'],
    [
      ['--token', 'x'.repeat(40)],
      '--token would show the token to every user of this machine: set CLEF_AGENT_TOKEN_FILE instead',
    ],
    [
      ['--token=canary'],
      '--token would show the token to every user of this machine: set CLEF_AGENT_TOKEN_FILE instead',
    ],
    [['--\u001b[31m'], 'There is no option "--\\x1b[31m"'],
    [['exec', 'node', 'x'], 'the command stands after "--": clef agent exec [options] -- COMMAND'],
  ])('H05 %j: %s', (args, message) => {
    const mode = args[0] === 'exec' ? 'exec' : 'serve';
    expect(parseCommandLine(args)).toEqual({ kind: 'usage', mode, message });
  });

  test('help and version', () => {
    expect([parseCommandLine(['-h']).kind, parseCommandLine(['--poll', '1s', '--version']).kind]).toEqual([
      'help',
      'version',
    ]);
  });
});

describe('all faults at once', () => {
  test('everything that is missing is named', () => {
    const nothing = Object.fromEntries(Object.keys(good).map((name) => [name, undefined]));
    const faults = faultsOf(nothing);
    for (const name of [
      'SOURCE',
      'REPOSITORY',
      'IDENTITY',
      'ENVIRONMENT',
      'KMS_KEY',
      'VERIFY_KEYS',
      'TOKEN_FILE',
    ]) {
      expect(faults.filter((fault) => fault.startsWith(`config CLEF_AGENT_${name}: `))).toHaveLength(1);
    }
  });

  test('H09: an unknown variable is an error with a suggestion', () => {
    expect(faultsOf({ CLEF_AGENT_SORUCE: 'x' })).toEqual([
      'config CLEF_AGENT_SORUCE: there is no such setting; did you mean CLEF_AGENT_SOURCE?',
    ]);
    expect(faultsOf({ clef_agent_source: 'x' })).toHaveLength(1);
    expect(faultsOf({ CLEF_AGENT_ZZZZZZZZ: 'x' })).toEqual([
      'config CLEF_AGENT_ZZZZZZZZ: there is no such setting',
    ]);
  });

  test('H04: a git host is no source, and no setting names one', () => {
    for (const name of ['VCS', 'VCS_PROVIDER', 'VCS_REPO', 'VCS_TOKEN', 'GITHUB_TOKEN', 'API_URL'])
      expect(faultsOf({ [`CLEF_AGENT_${name}`]: 'canary' }).join()).toMatch(
        new RegExp(`^config CLEF_AGENT_${name}: there is no such setting[^y]*$`),
      );
  });

  test('variables of the client and those that Kubernetes sets for a service of that name are left alone', () => {
    expect(
      faultsOf({
        CLEF_AGENT_URL: 'http://127.0.0.1:7779',
        CLEF_AGENT_SERVICE_HOST: '10.0.0.1',
        CLEF_AGENT_SERVICE_PORT: '7779',
        CLEF_AGENT_SERVICE_PORT_HTTP: '7779',
        CLEF_AGENT_PORT: 'tcp://10.0.0.1:7779',
        CLEF_AGENT_PORT_7779_TCP: 'tcp://10.0.0.1:7779',
        CLEF_AGENT_PORT_7779_TCP_ADDR: '10.0.0.1',
        CLEF_AGENTS: 'x',
      }),
    ).toEqual([]);
  });
});

/** `setting=value` is refused with one fault about that setting that does not hold the word `canary`. */
function refuses(rows: [id: string, setting: SettingName, value: string, why?: RegExp][]): void {
  test.each<[string, SettingName, string, RegExp?]>(rows)('%s: %s=%j', (_, setting, value, why = /./) => {
    const faults = faultsOf({ [`CLEF_AGENT_${setting}`]: value });
    expect(
      faults.some((fault) => fault.startsWith(`config CLEF_AGENT_${setting}: `) && why.test(fault)),
    ).toBe(true);
    expect(faults.join()).not.toMatch(/canary|AGE-SECRET/);
    expect(faults.join()).not.toMatch(/undefined|\[object/);
  });
}

describe('bad values', () => {
  refuses([
    ['H01', 'LISTEN', '127.0.0.1:0'],
    ['H01', 'LISTEN', '127.0.0.1:abc'],
    ['H01', 'LISTEN', '127.0.0.1:7779 '],
    ['H01', 'LISTEN', '127.0.0.1:-1'],
    ['H01', 'LISTEN', '127.0.0.1:65536'],
    ['H01', 'LISTEN', '127.0.0.1:80'],
    ['H01', 'LISTEN', '127.0.0.1:07779'],
    ['H01', 'LISTEN', '7779'],
    ['INV-63', 'LISTEN', '0.0.0.0:7779', /this machine only/],
    ['INV-63', 'LISTEN', '[::]:7779', /this machine only/],
    ['INV-63', 'LISTEN', 'localhost:7779', /this machine only/],
    ['INV-63', 'LISTEN', 'eth0:7779', /this machine only/],
    ['H01', 'LISTEN', 'relative/socket'],
    ['H02', 'POLL', '0'],
    ['H02', 'POLL', '0s'],
    ['H02', 'POLL', '1'],
    ['H02', 'POLL', '-1s'],
    ['H02', 'POLL', '1e3s'],
    ['H02', 'POLL', '1.5s'],
    ['H02', 'POLL', '2h'],
    ['H02', 'POLL', '99999999999s'],
    ['H02', 'POLL', '30 s'],
    ['H02', 'MAX_STALE', '1s'],
    ['H02', 'MAX_STALE', '45s', /twice the poll/],
    ['H02', 'MAX_STALE', 'never'],
    ['H02', 'REAUTHORIZE', '0.5s'],
    ['H02', 'REAUTHORIZE', '48h', /MAX_STALE/],
    ['H02', 'REAUTHORIZE', '86401s', /MAX_STALE/],
    ['H02', 'REAUTHORIZE', 'Never'],
    ['H02', 'MIN_REVISION', '-1'],
    ['H02', 'MIN_REVISION', '1e3'],
    ['H02', 'MIN_REVISION', '9007199254740992'],
    ['H03', 'SOURCE', 'ftp://example.com/a'],
    ['H03', 'SOURCE', 'http://example.com/a', /only https/],
    ['H03', 'SOURCE', 'http://127.0.0.1:8080/a', /ALLOW_HTTP_LOOPBACK/],
    ['H03', 'SOURCE', 'file:///etc/a', /absolute path itself/],
    ['H03', 'SOURCE', 'https://canary:canary@example.com/', /stored credential/],
    ['H03', 'SOURCE', 'https://canary@example.com/'],
    ['H03', 'SOURCE', 'https://169.254.169.254/latest', /link-local/],
    ['H03', 'SOURCE', 'https://[fe80::1]/a', /link-local/],
    ['H03', 'SOURCE', 'https://[::ffff:169.254.169.254]/a', /link-local/],
    ['H03', 'SOURCE', 'https://2852039166/a', /link-local/],
    ['H03', 'SOURCE', 's3://', /s3:\/\/BUCKET\/KEY/],
    ['H03', 'SOURCE', 's3://bucket', /s3:\/\/BUCKET\/KEY/],
    ['H03', 'SOURCE', 's3://bucket/', /s3:\/\/BUCKET\/KEY/],
    ['H03', 'SOURCE', 's3:///key'],
    ['H03', 'SOURCE', 's3://Bucket/key'],
    ['H03', 'SOURCE', 's3://canary:canary@bucket/key'],
    ['H03', 'SOURCE', 's3://bucket/key?endpoint=http://canary', /region=REGION/],
    ['H03', 'SOURCE', 's3://bucket/key?region=eu?region=us', /region=REGION/],
    ['H03', 'SOURCE', 's3://bucket/key?region=', /region=REGION/],
    ['H03', 'SOURCE', 'gs://', /gs:\/\/BUCKET\/OBJECT/],
    ['H03', 'SOURCE', 'gs://bucket/', /gs:\/\/BUCKET\/OBJECT/],
    ['H03', 'SOURCE', 'gs://bucket/o?alt=json', /gs:\/\/BUCKET\/OBJECT/],
    ['H03', 'SOURCE', 'S3://bucket/key'],
    ['H03', 'SOURCE', 'data:application/json,{}'],
    ['H04', 'SOURCE', 'git@github.com:owner/repo.git'],
    ['H04', 'SOURCE', 'git+https://github.com/owner/repo'],
    ['H04', 'SOURCE', 'github://owner/repo/artifact.json'],
    ['H04', 'SOURCE', 'owner/repo'],
    ['H04', 'SOURCE', '../x'],
    ['H04', 'SOURCE', 'http://api.github.com/repos/owner/repo/contents/a', /only https/],
    ['H03', 'SOURCE', 'https://example.com/a\n'],
    ['H03', 'SOURCE', 'https://example.com/a b'],
    ['H03', 'SOURCE', 'https://'],
    ['H03', 'SOURCE', 'https://example.com/a#b'],
    ['H03', 'SOURCE', 'relative/path'],
    ['H03', 'SOURCE', './a'],
    ['H06', 'TOKEN', 'canary00'],
    ['H06', 'TOKEN', `canary ${'x'.repeat(40)}`],
    ['H06', 'TOKEN', `canary${'é'.repeat(40)}`],
    ['H06', 'TOKEN', `canary${'x'.repeat(10_240)}`],
    ['H06', 'TOKEN_FILE', 'relative'],
    ['H06', 'TOKEN_GROUP', 'a b'],
    ['H06', 'TOKEN_GROUP', '-1'],
    ['INV-80', 'ALLOW_UIDS', 'root'],
    ['INV-80', 'ALLOW_UIDS', '-1'],
    ['INV-80', 'ALLOW_UIDS', '1000,'],
    ['INV-80', 'ALLOW_UIDS', '4294967295'],
    ['INV-80', 'ALLOW_UIDS', '1-5'],
    ['INV-26', 'IDENTITY', '../x'],
    ['INV-26', 'IDENTITY', 'Api'],
    ['INV-26', 'ENVIRONMENT', 'a/b'],
    ['INV-26', 'ENVIRONMENT', 'x'.repeat(64)],
    ['INV-26', 'REPOSITORY', '../../etc'],
    ['INV-26', 'REPOSITORY', '.'],
    ['INV-53', 'VERIFY_KEYS', 'ed25519:AAAA'],
    ['INV-53', 'VERIFY_KEYS', `${verifyKey},${verifyKey}`, /twice/],
    ['INV-53', 'VERIFY_KEYS', `${verifyKey},`],
    ['INV-53', 'VERIFY_KEYS', kmsKey, /does not verify/],
    ['INV-53', 'VERIFY_KEYS', Array(9).fill(verifyKey).join()],
    ['INV-32', 'VERIFY_KEYS', privateKey],
    ['INV-32', 'KMS_KEY', privateKey],
    ['INV-55', 'KMS_KEY', 'awskms:///arn:aws:kms:eu-west-1:111122223333:alias/x', /alias/],
    ['INV-55', 'KMS_KEY', 'awskms://localhost:4566/arn:aws:kms:eu-west-1:111122223333:key/x'],
    ['INV-55', 'KMS_KEY', verifyKey, /not a KMS key/],
    ['INV-55', 'KMS_KEY', 'hashivault://vault.example.com:8200', /VAULT_ADDR/],
    ['INV-55', 'KMS_KEY', 'azurekms://vault.vault.azure.net/key', /VERSION/],
    ['H11', 'STATE_DIR', 'relative'],
    ['H05', 'ALLOW_UNSIGNED', 'yes', /1 or 0/],
    ['H14', 'LOG_FORMAT', 'xml'],
  ]);

  test.each([
    [
      'H07: verify keys and unsigned together',
      { CLEF_AGENT_ALLOW_UNSIGNED: '1' },
      /CLEF_AGENT_VERIFY_KEYS is set as well/,
    ],
    ['INV-53: neither', { CLEF_AGENT_VERIFY_KEYS: undefined }, /VERIFY_KEYS: is needed/],
    [
      'INV-53: unsigned from a remote source',
      {
        CLEF_AGENT_ALLOW_UNSIGNED: '1',
        CLEF_AGENT_VERIFY_KEYS: undefined,
        CLEF_AGENT_SOURCE: 'https://example.com/a',
      },
      /from a local file only/,
    ],
    ['H08: no identity', { CLEF_AGENT_IDENTITY: undefined }, /IDENTITY: is needed/],
    ['two keys to open with', { CLEF_AGENT_AGE_KEY_FILE: '/k' }, /exactly one/],
    ['none', { CLEF_AGENT_KMS_KEY: undefined }, /exactly one/],
    [
      'INV-80: users for a socket',
      { CLEF_AGENT_ALLOW_UIDS: '0', CLEF_AGENT_LISTEN: '/run/a.sock' },
      /decided by its directory/,
    ],
    ['H06: two tokens', { CLEF_AGENT_TOKEN: 'x'.repeat(43) }, /choose one/],
    [
      'a group for no file',
      { CLEF_AGENT_TOKEN: 'x'.repeat(43), CLEF_AGENT_TOKEN_FILE: undefined, CLEF_AGENT_TOKEN_GROUP: 'www' },
      /no token file/,
    ],
  ])('%s', (_, variables: Variables, why) => {
    expect(faultsOf(variables).join('\n')).toMatch(why);
  });
});

describe('good values', () => {
  test('sources', () => {
    expect(configOf({ CLEF_AGENT_SOURCE: 'https://example.com/a?b=c' }).source).toMatchObject({
      kind: 'https',
    });
    const loopback = { CLEF_AGENT_SOURCE: 'http://127.0.0.1:8080/a', CLEF_AGENT_ALLOW_HTTP_LOOPBACK: '1' };
    expect(configOf(loopback).source).toMatchObject({ kind: 'https' });
    expect(configOf({ CLEF_AGENT_SOURCE: '/a/../b' }).source).toEqual({ kind: 'file', path: '/b' });
  });

  test('in a bucket of S3: the region is the address’s, else the environment’s, else that of the KMS key', () => {
    const regionOf = (source: string, variables: Variables = {}) =>
      configOf({ CLEF_AGENT_SOURCE: source, ...variables }).source;
    const place = { kind: 's3', bucket: 'my.bucket', key: 'a/bc.json' };
    const source = 's3://my.bucket/a/bc.json';
    expect(regionOf(source)).toEqual({ ...place, region: 'eu-west-1' });
    expect(regionOf(source, { AWS_DEFAULT_REGION: 'us-east-2' })).toMatchObject({ region: 'us-east-2' });
    const both = { AWS_REGION: 'us-west-1', AWS_DEFAULT_REGION: 'us-east-2' };
    expect(regionOf(source, both)).toMatchObject({ region: 'us-west-1' });
    expect(regionOf(`${source}?region=eu-north-1`, both)).toMatchObject({ region: 'eu-north-1' });
    const withAge = { CLEF_AGENT_KMS_KEY: undefined, CLEF_AGENT_AGE_KEY_FILE: '/k' };
    expect(regionOf(source, withAge)).toMatchObject({ region: undefined });
  });

  test('in Cloud Storage', () => {
    expect(configOf({ CLEF_AGENT_SOURCE: 'gs://my_bucket/a/b.json' }).source).toEqual({
      kind: 'gs',
      bucket: 'my_bucket',
      object: 'a/b.json',
    });
  });

  test('listening', () => {
    expect(configOf({ CLEF_AGENT_LISTEN: '127.0.0.1:8000' }).listen).toEqual({ port: 8000 });
    expect(configOf({ CLEF_AGENT_LISTEN: '/run/clef/agent.sock' }).listen).toEqual({
      socketPath: '/run/clef/agent.sock',
    });
    expect(configOf({ CLEF_AGENT_LISTEN: 'unix:/run/clef/agent.sock' }).listen).toEqual({
      socketPath: '/run/clef/agent.sock',
    });
  });

  test('verify keys keep their order, which is their epoch', () => {
    const { verifyKeys } = configOf({ CLEF_AGENT_VERIFY_KEYS: `${verifyKey}, ${otherKey}` });
    expect(verifyKeys.map(({ text }) => text)).toEqual([verifyKey, otherKey]);
  });

  test('unsigned, from a local file, on request', () => {
    const unsigned = configOf({ CLEF_AGENT_ALLOW_UNSIGNED: '1', CLEF_AGENT_VERIFY_KEYS: undefined });
    expect([unsigned.isUnsignedAllowed, unsigned.verifyKeys]).toEqual([true, []]);
  });

  test('durations', () => {
    const config = configOf({
      CLEF_AGENT_POLL: '5m',
      CLEF_AGENT_MAX_STALE: '30m',
      CLEF_AGENT_REAUTHORIZE: 'each-request',
    });
    expect([config.pollSeconds, config.maxStaleSeconds, config.reauthorize]).toEqual([
      300,
      1_800,
      'each-request',
    ]);
    expect(configOf({ CLEF_AGENT_MAX_STALE: '30m' }).reauthorize).toBe(1_800);
  });

  test('INV-80: users', () => {
    expect(configOf().allowUids).toBeUndefined();
    expect(configOf({ CLEF_AGENT_ALLOW_UIDS: '0, 1000' }).allowUids).toEqual(new Set([0, 1000]));
  });

  test('a token in a variable works, with a warning', () => {
    const result = read({ CLEF_AGENT_TOKEN: 'x'.repeat(43), CLEF_AGENT_TOKEN_FILE: undefined });
    expect(result).toMatchObject({
      warnings: ['token_in_environment'],
      config: { token: { kind: 'value' } },
    });
  });
});

describe('H12: where state and token are when nobody says', () => {
  const names = '5f0c6a3e-0000-4000-8000-000000000000/api-gateway/production';
  test.each<[string, Variables, unknown]>([
    ['none', { CLEF_AGENT_STATE_DIR: 'none', HOME: '/home/a' }, undefined],
    ['given', { CLEF_AGENT_STATE_DIR: '/var/x/../y' }, { path: '/var/y', isExplicit: true }],
    [
      'systemd',
      { STATE_DIRECTORY: '/var/lib/clef:/other', XDG_STATE_HOME: '/s' },
      { path: '/var/lib/clef', isExplicit: true },
    ],
    ['XDG', { XDG_STATE_HOME: '/s', HOME: '/home/a' }, { path: `/s/clef-agent/${names}`, isExplicit: false }],
    [
      'XDG relative',
      { XDG_STATE_HOME: 's', HOME: '/home/a' },
      { path: `/home/a/.local/state/clef-agent/${names}`, isExplicit: false },
    ],
    ['HOME unset', {}, undefined],
    ['HOME empty', { HOME: '' }, undefined],
    ['HOME /', { HOME: '/' }, undefined],
    ['HOME relative', { HOME: 'home' }, undefined],
  ])('state: %s', (_, variables, expected) => {
    expect(configOf(variables).state).toEqual(expected);
  });

  test('token: a file of the runtime directory, named after the port', () => {
    const variables = {
      CLEF_AGENT_TOKEN_FILE: undefined,
      XDG_RUNTIME_DIR: '/run/user/0',
      CLEF_AGENT_LISTEN: '127.0.0.1:8000',
    };
    expect(configOf(variables).token).toEqual({
      kind: 'file',
      path: '/run/user/0/clef-agent/8000.token',
      isDefault: true,
    });
    expect(faultsOf({ ...variables, XDG_RUNTIME_DIR: 'run' }).join()).toMatch(/TOKEN_FILE: is needed/);
  });
});

describe('H10, INV-59, INV-71, INV-81, INV-83: a process that was started unsafely', () => {
  test.each<[string, Variables, string[]]>([
    ['--inspect', { NODE_OPTIONS: '--max-old-space-size=64 --inspect=127.0.0.1:9229' }, []],
    ['--inspect-brk', {}, ['--inspect-brk']],
    ['--inspect-port', { NODE_OPTIONS: '--inspect-port=0' }, []],
    ['--insecure-http-parser', { NODE_OPTIONS: '--insecure-http-parser' }, []],
    ['--insecure-http-parser', {}, ['--insecure-http-parser']],
    ['--require', { NODE_OPTIONS: '--require /tmp/x.js' }, []],
    ['--require', { NODE_OPTIONS: '"--require" /tmp/x.js' }, []],
    ['-r', { NODE_OPTIONS: '-r /tmp/x.js' }, []],
    ['--import', { NODE_OPTIONS: '--import=data:text/javascript,1' }, []],
    ['--experimental-loader', { NODE_OPTIONS: '--experimental-loader x' }, []],
    ['--heapsnapshot-signal', { NODE_OPTIONS: '--heapsnapshot-signal=SIGUSR2' }, []],
    ['--report-on-signal', {}, ['--report-on-signal']],
    ['--tls-keylog', { NODE_OPTIONS: '--tls-keylog=/tmp/k' }, []],
    ['NODE_DEBUG', { NODE_DEBUG: 'http' }, []],
    ['NODE_TLS_REJECT_UNAUTHORIZED', { NODE_TLS_REJECT_UNAUTHORIZED: '0' }, []],
  ])('%s (%j %j)', (word, variables, nodeOptions) => {
    const faults = faultsOf(variables, nodeOptions);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(/^policy /);
    expect(faults[0]).toContain(word);
  });

  test('ordinary options pass', () => {
    expect(
      faultsOf({ NODE_OPTIONS: '--max-old-space-size=64 --disable-proto=throw' }, ['--import', 'tsx']),
    ).toEqual([]);
  });
});
