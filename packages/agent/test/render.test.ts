// `clef agent render`: files in memory, whole or not at all, with the owner and mode they are to have.
import {
  access,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningAgent, type Stage, setStage } from './stage.ts';

let stage: Stage;
let memory: string;
beforeEach(async () => {
  stage = await setStage();
  memory = await mkdtemp('/dev/shm/clef-render-');
  await writeFile(join(stage.folder, 'app.tmpl'), 'url={{ DB_URL | quote-sh }}\n');
});
afterEach(async () => {
  await stage.close();
  await rm(memory, { recursive: true });
});

function render(...more: string[]): RunningAgent {
  const template = join(stage.folder, 'app.tmpl');
  const words = ['render', '--template', template, '--to', join(memory, 'app.env'), ...more];
  // No token file is made or asked for.
  return stage.run({ CLEF_AGENT_TOKEN_FILE: undefined, CLEF_AGENT_LISTEN: undefined }, {}, words);
}

const rendered = (): Promise<string> => readFile(join(memory, 'app.env'), 'utf8');
const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
async function until(isDone: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await isDone()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('it did not come');
}
const events = (agent: RunningAgent): string[] =>
  agent.lines.map((line) => (JSON.parse(line) as { event: string }).event);

test('once: the file is there, 0400, and the agent has ended with 0', async () => {
  await stage.publish({ secrets: { DB_URL: "it's" } });
  expect(await render('--once').exit).toBe(0);
  expect(await rendered()).toBe("url='it'\\''s'\n");
  expect((await stat(join(memory, 'app.env'))).mode & 0o777).toBe(0o400);
});

test('mode and owner', async () => {
  await stage.publish();
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  const owner = uid === 0 ? '65534:65534' : `${uid}:${gid}`;
  expect(await render('--once', '--mode', '0440', '--owner', owner).exit).toBe(0);
  const facts = await stat(join(memory, 'app.env'));
  expect([facts.mode & 0o777, `${facts.uid}:${facts.gid}`]).toEqual([0o440, owner]);
  expect(await render('--once', '--owner', 'no-such-user').exit).toBe(3);
});

test('a new revision replaces it and calls the hook, the same values do not; a revocation of the file is its removal', async () => {
  const log = join(stage.folder, 'hook.log');
  const hook = join(stage.folder, 'hook.sh');
  await writeFile(hook, `#!/bin/sh\nprintf '%s|%s\\n' "$1" "$CLEF_AGENT_SOURCE" >> ${log}\n`);
  await chmod(hook, 0o700);
  await stage.publish({ secrets: { DB_URL: 'one' } });
  const agent = render('--reload', `${hook} $(id)`);
  await until(async () => (await exists(join(memory, 'app.env'))) && (await rendered()) === "url='one'\n");
  await stage.publish({ secrets: { DB_URL: 'two' } });
  await until(async () => (await rendered()) === "url='two'\n");
  await until(() => exists(log));
  await stage.publish({ secrets: { DB_URL: 'two', OTHER: 'x' } });
  await until(async () => events(agent).filter((event) => event === 'rendered').length === 3);
  agent.signal('SIGTERM');
  expect(await agent.exit).toBe(0);
  // No shell looked at the words, and none of the agent's settings came along.
  expect(await readFile(log, 'utf8')).toBe('$(id)|\n');
  expect(agent.lines.join('\n')).not.toMatch(/one|two|DB_URL/);
});

test('INV-54: a signed revocation removes it', async () => {
  await stage.publish();
  const agent = render();
  await until(() => exists(join(memory, 'app.env')));
  await stage.publish({ revoked: 'it leaked' });
  await until(async () => !(await exists(join(memory, 'app.env'))));
  agent.signal('SIGTERM');
  expect(await agent.exit).toBe(0);
});

describe('nothing is written', () => {
  test.each([
    ['an unknown key', '{{ NOPE }}', [], 3],
    ['a broken template', '{{ DB_URL', [], 3],
    ['no UTF-8', Buffer.from([0xff]), [], 3],
  ] as const)('%s', async (_, text, more, code) => {
    await stage.publish();
    await writeFile(join(stage.folder, 'app.tmpl'), text);
    const agent = render('--once', ...more);
    expect(await agent.exit).toBe(code);
    expect(await exists(join(memory, 'app.env'))).toBe(false);
    if (code === 3) expect(agent.lines.join('\n')).toMatch(/line 1, column 1|not UTF-8/);
  });

  test('on a disk, unless that is asked for', async () => {
    const template = join(stage.folder, 'app.tmpl');
    const disk = join(process.cwd(), 'node_modules', `.clef-render-${process.pid}`);
    await mkdir(disk);
    try {
      const words = ['render', '--once', '--template', template, '--to', join(disk, 'app.env')];
      // Said at once: nothing has been published yet, and no key is asked for.
      const refused = stage.run({}, {}, [...words, '--wait', '2s']);
      expect(await refused.exit).toBe(7);
      expect(refused.lines.join('\n')).toContain('--allow-disk');
      expect(await exists(join(disk, 'app.env'))).toBe(false);
      await stage.publish();
      expect(await stage.run({}, {}, [...words, '--allow-disk']).exit).toBe(0);
      expect(await exists(join(disk, 'app.env'))).toBe(true);
    } finally {
      await rm(disk, { recursive: true });
    }
  });

  test('on a disk that has come into the place of the memory since', async () => {
    await stage.publish({ secrets: { DB_URL: 'one' } });
    const agent = render();
    await until(() => exists(join(memory, 'app.env')));
    const disk = join(process.cwd(), 'node_modules', `.clef-render-later-${process.pid}`);
    await mkdir(disk);
    try {
      await rm(memory, { recursive: true });
      await symlink(disk, memory);
      await stage.publish({ secrets: { DB_URL: 'two' } });
      await until(async () => events(agent).includes('disk'));
      agent.signal('SIGTERM');
      expect(await agent.exit).toBe(0);
      expect(await readdir(disk)).toEqual([]);
    } finally {
      await rm(disk, { recursive: true });
    }
  });

  test('a key that a later revision lacks: the file stays, and the log says where', async () => {
    await stage.publish({ secrets: { DB_URL: 'one' } });
    const agent = render();
    await until(() => exists(join(memory, 'app.env')));
    await stage.publish({ secrets: { OTHER: 'x' } });
    await until(async () => events(agent).includes('template'));
    expect(await rendered()).toBe("url='one'\n");
    expect(agent.lines.join('\n')).toContain('line 1, column 5');
  });

  test('without a good artifact in time: 10', async () => {
    expect(await render('--once', '--wait', '1s').exit).toBe(10);
  });

  test.each([
    ['no target', ['render', '--template', '/a']],
    ['relative', ['render', '--template', 'a', '--to', '/b']],
    ['twice the same', ['render', '--template', '/a', '--to', '/b', '--template', '/c', '--to', '/x/../b']],
    ['a mode', ['render', '--template', '/a', '--to', '/b', '--mode', '999']],
    ['a wait', ['render', '--template', '/a', '--to', '/b', '--wait', 'long']],
    ['an option of another mode', ['render', '--on-change', 'none']],
  ])('wrong words: %s: 2', async (_, words) => {
    expect(await stage.run({}, {}, words).exit).toBe(2);
  });
});
