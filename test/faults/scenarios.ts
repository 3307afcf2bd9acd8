// Every command that changes files, one row each: how the tree comes to be, the command, and a reading command that
// settles what was interrupted and whose output tells old from new. The sweeps take their rows from here.

/** One command line of clef, or of git. */
export type Step = {
  readonly program?: 'git';
  readonly args: readonly string[];
  readonly input?: string;
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
    name: 'service create',
    given: two,
    run: {
      args: ['service', 'create', 'api', '--namespaces', 'database', '--seal', `development=${otherKey}`],
    },
    look: ['service', 'list'],
  },
  {
    name: 'pack to a file',
    given: [
      ...two,
      { args: ['service', 'create', 'api', '--namespaces', 'database', '--seal', `development=${otherKey}`] },
    ],
    run: { args: ['pack', 'api', 'development', '--to', 'api.json'] },
    look: json(cell),
    isSingleFile: true,
  },
];
