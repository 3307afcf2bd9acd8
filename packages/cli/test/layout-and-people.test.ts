// Layout and people through the real command: data on stdout, talk on stderr, JSON, and codes that programs rely on.
import { describe, expect, it } from 'vitest';
import { sandboxWith, succeed } from './run-clef.ts';

const bob = 'age1tk9m2f44hca3kdrrq3q2rdgtjhnqwkswlnndr7mmzvrl4502d3xsg558yf';
const canary = 'CANARY-of-the-value';

describe('with --json', () => {
  it('stdout is one document each time, and no value is in any of it', async () => {
    const box = await sandboxWith({ DB_URL: canary });
    const json = async (...args: readonly string[]): Promise<unknown> => {
      const { stdout, stderr } = await succeed(box.clef([...args, '--json']));
      expect(`${stdout}${stderr}`).not.toContain(canary);
      return JSON.parse(stdout);
    };
    const cell = 'database/development';
    expect(await json('recipients', 'add', 'bob', bob, '--environments', 'development')).toMatchObject({
      changed: true,
      changes: [{ cell, change: 'gains', person: 'bob', key: bob }],
    });
    expect(await json('recipients', 'list')).toMatchObject({
      people: [{}, { name: 'bob', keys: [bob] }],
      requests: [],
    });
    expect(await json('rotate', '--all', '--dry-run')).toEqual({
      cells: [cell],
      changes: [],
      changed: false,
    });
    expect(await json('recipients', 'remove', 'bob')).toMatchObject({
      changed: true,
      exposed: [{ cell, keys: 1 }],
    });
    expect(await json('environment', 'rename', 'staging', 'preview')).toMatchObject({
      cells: [],
      changed: true,
    });
    expect(await json('sync', '--yes')).toMatchObject({ sopsConfig: 'written', changed: true });
    expect(await json('namespace', 'remove', 'database', '--dry-run')).toMatchObject({ changed: false });
  });

  it('an error is one object on stderr, and stdout is empty', async () => {
    const box = await sandboxWith({ DB_URL: canary });
    const refused = await box.clef(['namespace', 'remove', 'database', '--json']);
    expect(refused).toMatchObject({ exitCode: 7, stdout: '' });
    const [last = ''] = refused.stderr.trimEnd().split('\n').slice(-1);
    expect(JSON.parse(last)).toMatchObject({ error: { code: 'not_confirmed' } });
  });
});

describe('in a pipe', () => {
  it('a matrix of 20 x 5 is synced, rotated and renamed as a whole, without a progress bar', async () => {
    const box = await sandboxWith({ DB_URL: canary });
    const names = Array.from({ length: 19 }, (_, index) => `  - name: service-${index}\n`).join('');
    box.write(
      'clef.yaml',
      box
        .read('clef.yaml')
        .replace(/^namespaces:\n/m, (head) => head + names)
        .replace(/^environments:\n/m, (head) => `${head}  - name: preview\n  - name: canary\n`),
    );
    for (const args of [
      ['sync', '--yes'],
      ['rotate', '--all', '--yes'],
      ['environment', 'rename', 'canary', 'blue'],
    ]) {
      const { stdout, stderr } = await succeed(box.clef(args));
      expect(stdout).toBe('');
      expect(stderr).not.toMatch(/\[#|\r|\u001b/);
    }
    const { cells } = JSON.parse(
      (await succeed(box.clef(['rotate', '--all', '--dry-run', '--json']))).stdout,
    );
    expect(cells).toHaveLength(100);
    expect((await succeed(box.clef(['get', 'database/development', 'DB_URL']))).stdout).toBe(canary);
  });
});
