// exec --watch as a process: never two children, never a running one lost to a state that cannot be read.
import { renameSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Sandbox, sandboxWith, succeed } from './run-clef.ts';

const cell = 'database/development';
const file = 'secrets/database/development.enc.yaml';

/** Says what it got and that it lives; ends after a while on SIGTERM; a lock shows whether two live at once. */
const program = (endsAfter: number): string => `
  const fs = require('node:fs');
  try { fs.mkdirSync('lock'); } catch { console.log('TWO AT ONCE'); }
  process.on('SIGTERM', () => { console.log('ending'); setTimeout(() => { fs.rmdirSync('lock'); process.exit(0); }, ${endsAfter}); });
  console.log('running with ' + process.env.A);
  setInterval(() => {}, 1000);`;

async function watching(box: Sandbox, script = program(300), options: readonly string[] = []) {
  const child = await box.start(['exec', cell, '--watch', ...options, '--', process.execPath, '-e', script]);
  await child.waitForLine(/^running with one$/, 20);
  const output = (): string => Buffer.from(child.stdout()).toString();
  return { child, output };
}

const set = (box: Sandbox, value: string, key = 'A') =>
  succeed(box.clef(['set', cell, key], { input: value }));

describe('exec --watch', () => {
  it.concurrent('starts the command anew when a value changes, one at a time; Ctrl-C ends both', async () => {
    const box = await sandboxWith({ A: 'one' });
    const { child, output } = await watching(box);
    await set(box, 'two');
    await child.waitForLine(/"A" changed: starting the command anew/, 20);
    await child.waitForLine(/^running with two$/, 20);
    await set(box, 'three');
    await child.waitForLine(/^running with three$/, 20);
    child.kill('SIGTERM');
    expect(await child.exited).toEqual({ exitCode: 0 });
    expect(output()).not.toContain('TWO AT ONCE');
    expect(output().match(/running with/g)).toHaveLength(3);
  });

  it.concurrent('a state that cannot be read keeps the running command and is told', async () => {
    const box = await sandboxWith({ A: 'one' });
    const { child, output } = await watching(box);
    const good = box.read(file);
    box.write(file, 'A: plain\n');
    await child.waitForLine(/the command runs on with its old values: /, 20);
    renameSync(`${box.folder}/${file}`, `${box.folder}/away`);
    await child.waitForLine(/old values: There is no cell/, 20);
    box.write(file, good);
    await set(box, 'two');
    await child.waitForLine(/^running with two$/, 20);
    child.kill('SIGINT');
    await child.exited;
    expect(output()).not.toContain('TWO AT ONCE');
  });

  it.concurrent('a change of another key, which is not chosen, changes nothing', async () => {
    const box = await sandboxWith({ A: 'one' });
    const { child, output } = await watching(box, program(0), ['--only', 'A']);
    await set(box, 'x', 'OTHER');
    await new Promise((settle) => setTimeout(settle, 1500));
    child.kill('SIGTERM');
    await child.exited;
    expect(output().match(/running with/g)).toHaveLength(1);
  });

  it.concurrent('the end of the command is the end, with its code', async () => {
    const box = await sandboxWith({ A: 'one' });
    expect(await box.clef(['exec', cell, '--watch', '--', 'sh', '-c', 'exit 42'])).toMatchObject({
      exitCode: 42,
    });
    expect(await box.clef(['exec', cell, '--watch', '--', 'nope-nope'])).toMatchObject({ exitCode: 127 });
  });

  it.concurrent('who is told to end while it is being started anew ends', async () => {
    const box = await sandboxWith({ A: 'one' });
    const { child, output } = await watching(box, program(1500));
    await set(box, 'two');
    await child.waitForLine(/^ending$/, 20);
    child.kill('SIGTERM');
    await child.exited;
    expect(output()).not.toContain('running with two');
  });
});
