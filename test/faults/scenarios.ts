// Every command that changes files, one row each: how the tree comes to be, the command, and a reading command that
// settles what was interrupted and whose output tells old from new. The sweeps take their rows from here. (`key generate`,
// whose files are not in the repository: rows.test.ts.)

import { generateKeyPairSync } from 'node:crypto';
import { generateAgeIdentity } from '@clef/sops';

/** One command line of clef, or of another program. */
export type Step = {
  readonly program?: 'git' | 'sh';
  readonly args: readonly string[];
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
};

export type Scenario = {
  readonly name: string;
  /** What leads to the old state, in an empty folder. */
  readonly given: readonly Step[];
  readonly run: Step;
  /** The next command of a person. */
  readonly look: readonly string[];
  /** The command writes outside of any transaction: a kill may leave a temporary file of ciphertext. */
  readonly isSingleFile?: boolean;
  /** It goes the way of another one of these: a smaller sample is enough. */
  readonly isAlike?: boolean;
};

/** In every value: it must never be seen in a file, in a log or on stderr. */
export const canary = 'CANARY-4e1d0b';

const cell = 'database/development';
const git: Step = { program: 'git', args: ['init', '--quiet', '--template=', '.'] };
const init: Step = { args: ['init'] };
const set = (where: string, key: string, value: string): Step => ({
  args: ['set', where, key],
  input: `${canary}-${value}`,
});
const json = (where: string): readonly string[] => ['export', where, '--format', 'json'];
const two = [git, init, set(cell, 'DB_URL', 'one'), set(cell, 'DB_USER', 'two')];
/** Of nobody: its private half was forgotten. */
const otherKey = 'age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj';
const three = [
  ...two,
  set('payments/development', 'STRIPE', 'three'),
  set('mail/development', 'SMTP', 'four'),
];
const addBob: Step = { args: ['recipients', 'add', 'bob', otherKey, '--environments', 'development'] };
const withBob = [...three, addBob];
const bobsRequest: Step = {
  args: ['recipients', 'request', '--name', 'bob', '--environments', 'development'],
  environment: { CLEF_AGE_KEY: generateAgeIdentity().identity },
};
const service = (...args: readonly string[]): Step => ({ args: ['service', ...args] });
const createApi = service(
  'create',
  'api',
  ...['--namespaces', 'database', '--seal', `development=${otherKey}`, '--seal', `staging=${otherKey}`],
);
const spki = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' });
/** Notes where its text is: after a kill nobody else removes it. */
const editor = `sh -c 'printf %s "$1" > "$HOME/edited"; sed -i s/-two/-edited/ "$1"' sh`;

export const scenarios: readonly Scenario[] = [
  {
    name: 'init',
    given: [git],
    run: init,
    look: ['list'],
  },
  {
    name: 'set, a value',
    given: two,
    run: set(cell, 'DB_URL', 'changed'),
    look: json(cell),
  },
  {
    name: 'set, a new namespace',
    given: two,
    run: set('payments/staging', 'STRIPE', 'three'),
    look: ['list'],
  },
  {
    name: 'delete',
    given: two,
    run: { args: ['delete', cell, 'DB_USER'] },
    look: json(cell),
  },
  {
    name: 'import',
    given: two,
    run: {
      args: ['import', cell, '-', '--format', 'dotenv', '--overwrite'],
      input: `DB_URL=${canary}-imported\nEXTRA=${canary}-extra\n`,
    },
    look: json(cell),
  },
  {
    name: 'copy, to two cells',
    given: two,
    run: { args: ['copy', cell, 'payments/development', '--also', 'database/staging'] },
    look: ['list'],
  },
  {
    name: 'sync',
    given: three,
    run: { args: ['sync', '--yes'] },
    look: ['list'],
  },
  {
    name: 'namespace rename',
    given: [...three, set('database/staging', 'DB_URL', 'five')],
    run: { args: ['namespace', 'rename', 'database', 'storage', '--yes'] },
    look: ['list'],
  },
  {
    name: 'environment rename',
    given: three,
    run: { args: ['environment', 'rename', 'development', 'dev', '--yes'] },
    look: ['list'],
  },
  {
    name: 'recipients add, over three cells',
    given: three,
    run: addBob,
    look: ['recipients', 'list'],
  },
  {
    name: 'set, many keys',
    given: two,
    run: { args: ['set', cell, 'FIRST', 'SECOND', 'THIRD', '--generate'] },
    look: ['list'],
  },
  {
    name: 'recipients remove, over three cells',
    given: withBob,
    run: { args: ['recipients', 'remove', 'bob', '--yes'] },
    look: ['recipients', 'list'],
  },
  {
    name: 'recipients request',
    given: two,
    run: { args: ['recipients', 'request', '--name', 'bob', '--environments', 'development'] },
    look: json(cell),
  },
  {
    name: 'rotate, the whole matrix',
    given: withBob,
    run: { args: ['rotate', '--all', '--yes'] },
    look: json(cell),
  },
  {
    name: 'edit',
    given: two,
    run: { args: ['edit', cell], environment: { EDITOR: editor } },
    look: json(cell),
  },
  {
    name: 'recipients approve, over three cells',
    given: [...three, bobsRequest],
    run: { args: ['recipients', 'approve', 'bob', '--yes'] },
    look: ['recipients', 'list'],
  },
  {
    name: 'recipients approve --decline',
    given: [...two, bobsRequest],
    run: { args: ['recipients', 'approve', 'bob', '--decline', '--yes'] },
    look: ['recipients', 'list'],
    isAlike: true,
  },
  {
    name: 'namespace add',
    given: two,
    run: { args: ['namespace', 'add', 'payments'] },
    look: ['list', '--json'],
    isAlike: true,
  },
  {
    name: 'namespace remove',
    given: [...three, set('database/staging', 'DB_URL', 'five')],
    run: { args: ['namespace', 'remove', 'database', '--yes'] },
    look: ['list'],
  },
  {
    name: 'environment add',
    given: two,
    run: { args: ['environment', 'add', 'preview'] },
    look: ['list', '--json'],
    isAlike: true,
  },
  {
    name: 'environment remove',
    given: three,
    run: { args: ['environment', 'remove', 'development', '--yes'] },
    look: ['list'],
    isAlike: true,
  },
  {
    name: 'service create',
    given: two,
    run: createApi,
    look: ['service', 'list'],
  },
  {
    name: 'service update',
    given: [...two, createApi],
    run: service('update', 'api', '--description', 'Another'),
    look: ['service', 'show', 'api', '--json'],
    isAlike: true,
  },
  {
    name: 'service rotate',
    given: [...two, createApi],
    run: service('rotate', 'api', 'development', '--verify', `ed25519:${spki.toString('base64')}`),
    look: ['service', 'show', 'api', '--json'],
    isAlike: true,
  },
  {
    name: 'service delete',
    given: [...two, createApi],
    run: service('delete', 'api', 'development'),
    look: ['service', 'show', 'api', '--json'],
    isAlike: true,
  },
  {
    name: 'pack to a file',
    given: [...two, createApi],
    run: { args: ['pack', 'api', 'development', '--to', 'api.json'] },
    look: json(cell),
    isSingleFile: true,
    isAlike: true,
  },
  {
    name: 'revoke, in the place of an artifact',
    given: [...two, createApi, { args: ['pack', 'api', 'development', '--to', 'api.json'] }],
    run: { args: ['revoke', 'api', 'development', '--to', 'api.json', '--reason', 'A test'] },
    look: json(cell),
    isSingleFile: true,
    isAlike: true,
  },
];
