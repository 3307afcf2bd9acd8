// `clef agent exec` as a process of its own: what its command gets, when it is started anew, and how both end.
import { access, chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChildHandle } from '@clef/host';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hurry, type Stage, setStage } from './stage.ts';

let stage: Stage;
let log: string;
let app: string;
beforeEach(async () => {
  stage = await setStage();
  log = join(stage.folder, 'app.log');
  app = join(stage.folder, 'app.cjs');
  // Says what it got, dies at once of a value "bad" and in a while of "later", else lives until it is told to stop.
  await writeFile(
    app,
    `const { appendFileSync } = require('node:fs');
const say = (text) => appendFileSync(${JSON.stringify(log)}, text + '\\n');
say('started ' + process.env.A);
if (process.env.A === 'bad') process.exit(3);
if (process.env.A === 'later') setTimeout(() => process.exit(7), 700);
for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2']) process.on(signal, () => say(signal + ' ' + process.env.A));
process.on('SIGTERM', () => { say('stopped ' + process.env.A); process.exit(0); });
if (process.argv[2] !== undefined) setTimeout(() => process.exit(Number(process.argv[2])), 50);
setInterval(() => {}, 1000);
`,
  );
});
afterEach(() => stage.close());

const lines = async (): Promise<string[]> =>
  (await readFile(log, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');

async function until(isDone: (said: string[]) => boolean): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (isDone(await lines())) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`it did not come; so far: ${(await lines()).join(', ')}`);
}

/** The command `node app.cjs` under a supervisor with an age key, which polls every second. */
function supervise(
  options: readonly string[] = [],
  command = [process.execPath, app],
  nodeOptions: readonly string[] = [],
): Promise<ChildHandle> {
  const changes = {
    CLEF_AGENT_KMS_KEY: undefined,
    CLEF_AGENT_AGE_KEY_FILE: join(stage.folder, 'key.txt'),
    CLEF_AGENT_TOKEN_FILE: undefined,
    CLEF_AGENT_LISTEN: undefined,
    INHERITED: 'yes',
    SOPS_AGE_KEY: 'stolen',
  };
  return stage.spawn(changes, ['exec', ...options, '--', ...command], nodeOptions);
}

const publish = (secrets: Record<string, string>) => stage.publish({ seal: stage.ageRecipient, secrets });
const said = (child: ChildHandle): string => new TextDecoder().decode(child.stderr());

test('INV-94, INV-95: values as environment, the rest inherited, keys withheld; exact arguments; its exit code', async () => {
  await publish({ A: 'one', B: "it's\n$HOME" });
  const print =
    'process.stdout.write(JSON.stringify([process.env, process.argv.slice(1)])); process.exit(42)';
  const child = await supervise([], [process.execPath, '-e', print, '--', '$(id)', 'a b', '']);
  expect((await child.exited).exitCode).toBe(42);
  const [environment, words] = JSON.parse(new TextDecoder().decode(child.stdout())) as [
    Record<string, string>,
    string[],
  ];
  expect(environment).toMatchObject({ A: 'one', B: "it's\n$HOME", INHERITED: 'yes' });
  expect(Object.keys(environment).filter((name) => /^(CLEF|SOPS)_/.test(name))).toEqual([]);
  expect(words).toEqual(['$(id)', 'a b', '']);
  expect(said(child)).not.toMatch(/one|it's/);
});

test('new values: the old command is stopped, then the new one started; the same values start nothing', async () => {
  await publish({ A: 'one' });
  const child = await supervise();
  await until((told) => told.includes('started one'));
  await publish({ A: 'two' });
  await until((told) => told.includes('started two'));
  await publish({ A: 'two' });
  await child.waitForLine(/"event":"refreshed".*[\s\S]*/, 5);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  child.kill('SIGTERM');
  expect((await child.exited).exitCode).toBe(0);
  expect(await lines()).toEqual(['started one', 'stopped one', 'started two', 'stopped two']);
});

test('values that let the command die at once: back to those that worked, and only newer ones are tried', async () => {
  await publish({ A: 'good' });
  const child = await supervise();
  await until((told) => told.includes('started good'));
  await publish({ A: 'bad' });
  await until((told) => told.filter((line) => line === 'started good').length === 2);
  await child.waitForLine(/"event":"rolled_back".*"exitCode":3/, 5);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect((await lines()).filter((line) => line === 'started bad')).toHaveLength(1);
  await publish({ A: 'better' });
  await until((told) => told.includes('started better'));
  child.kill('SIGTERM');
  await child.exited;
  expect(await lines()).toEqual([
    'started good',
    'stopped good',
    'started bad',
    'started good',
    'stopped good',
    'started better',
    'stopped better',
  ]);
});

test('new values with which the command lived for a while are not taken back: it ends with its own code', async () => {
  await publish({ A: 'good' });
  const child = await supervise([], undefined, hurry(stage));
  await until((told) => told.includes('started good'));
  await publish({ A: 'later' });
  expect((await child.exited).exitCode).toBe(7);
  expect(await lines()).toEqual(['started good', 'stopped good', 'started later']);
});

test('--on-change SIGHUP: it is told, keeps its values, and gets every other signal', async () => {
  await publish({ A: 'one' });
  const child = await supervise(['--on-change', 'SIGHUP']);
  await until((told) => told.includes('started one'));
  await publish({ A: 'two' });
  await until((told) => told.includes('SIGHUP one'));
  child.kill('SIGUSR1');
  child.kill('SIGUSR2');
  await until((told) => told.includes('SIGUSR1 one') && told.includes('SIGUSR2 one'));
  child.kill('SIGTERM');
  expect((await child.exited).exitCode).toBe(0);
});

test('--on-change none: nothing happens to it', async () => {
  await publish({ A: 'one' });
  const child = await supervise(['--on-change', 'none']);
  await until((told) => told.includes('started one'));
  await publish({ A: 'two' });
  await child.waitForLine(/"event":"refreshed"/, 5);
  child.kill('SIGTERM');
  await child.exited;
  expect(await lines()).toEqual(['started one', 'stopped one']);
});

test('INV-93: new values with a name that changes how programs run are left out until there are others', async () => {
  await publish({ A: 'one' });
  const child = await supervise();
  await until((told) => told.includes('started one'));
  await publish({ A: 'two', LD_PRELOAD: '/nowhere.so' });
  await child.waitForLine(/"event":"dangerous_name"/, 10);
  await publish({ A: 'three' });
  await until((told) => told.includes('started three'));
  child.kill('SIGTERM');
  await child.exited;
  expect(await lines()).toEqual(['started one', 'stopped one', 'started three', 'stopped three']);
});

test('INV-54: a signed revocation stops it: 125', async () => {
  await publish({ A: 'one' });
  const child = await supervise();
  await until((told) => told.includes('started one'));
  await stage.publish({ seal: stage.ageRecipient, revoked: 'it leaked' });
  expect((await child.exited).exitCode).toBe(125);
  expect(await lines()).toEqual(['started one', 'stopped one']);
});

describe('what ends it before or without its command', () => {
  test('no good artifact in time: 125', async () => {
    const child = await supervise(['--wait', '1s']);
    expect((await child.exited).exitCode).toBe(125);
    expect(said(child)).toContain('not_found');
  });

  test('INV-93: a name that changes how programs run: 125, unless it is allowed', async () => {
    await publish({ A: 'one', LD_PRELOAD: '/tmp/canary.so' });
    const refused = await supervise();
    expect((await refused.exited).exitCode).toBe(125);
    expect(said(refused)).toContain('--allow-env LD_PRELOAD');
    await publish({ A: 'one', BASH_ENV: '/dev/null' });
    const allowed = await supervise(['--allow-env', 'BASH_ENV'], [process.execPath, app, '0']);
    expect((await allowed.exited).exitCode).toBe(0);
  });

  test('a command that is not there: 127; not executable: 126; none: 125', async () => {
    await publish({ A: 'one' });
    expect((await (await supervise([], ['no-such-command'])).exited).exitCode).toBe(127);
    const folder = await mkdtemp(join(stage.folder, 'x-'));
    await writeFile(join(folder, 'plain'), 'x');
    await chmod(join(folder, 'plain'), 0o644);
    expect((await (await supervise([], [join(folder, 'plain')])).exited).exitCode).toBe(126);
    expect((await (await supervise([], [])).exited).exitCode).toBe(125);
    await rm(folder, { recursive: true });
  });

  test('a wrong setting or option: 125', async () => {
    expect((await (await supervise(['--on-change', 'sometimes'])).exited).exitCode).toBe(125);
    expect((await (await supervise(['--poll', 'soon'])).exited).exitCode).toBe(125);
  });

  test('told to stop while it waits: 143', async () => {
    const child = await supervise();
    await child.waitForLine(/source_failed/, 20);
    child.kill('SIGTERM');
    expect((await child.exited).exitCode).toBe(143);
  });

  test('its command’s own failure is its own, when there was nothing before', async () => {
    await publish({ A: 'bad' });
    expect((await (await supervise()).exited).exitCode).toBe(3);
  });
});

test('no port, no token file', async () => {
  await publish({ A: 'one' });
  await (await supervise([], [process.execPath, app, '0'])).exited;
  await expect(access(join(stage.folder, 'token'))).rejects.toThrow('ENOENT');
});
