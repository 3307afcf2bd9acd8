// `clef demo` as a stranger runs it first: nothing but node and git, a temporary folder of its own, no network.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clef, type Ran } from './scene.ts';

const chapters = [
  '1. A developer starts: a git repository, a secret, a program',
  '2. Production moves to a KMS key (here an emulated one, over the real AWS protocol)',
  '3. A service identity, and CI packs for it with its own role',
  '4. Production: an agent with nothing but the role of its machine',
  '5. The role is revoked: the next unwrap is refused',
];

let folder: string;
let demo: Ran;
let seconds: number;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clef-demo-test-'));
  for (const name of ['home', 'temporary', 'here']) await mkdir(join(folder, name));
  const environment = {
    PATH: process.env['PATH'],
    HOME: join(folder, 'home'),
    TMPDIR: join(folder, 'temporary'),
  };
  const startedAt = performance.now();
  demo = await clef(join(folder, 'here'), environment, ['demo']);
  seconds = (performance.now() - startedAt) / 1000;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('clef demo', () => {
  it('ends with 0, with nothing to complain about', () => {
    expect(demo).toMatchObject({ exitCode: 0, stderr: '' });
  });

  it('tells its five chapters, in order', () => {
    expect(demo.stdout.split('\n').filter((line) => /^[0-9]\. /.test(line))).toEqual(chapters);
  });

  it('shows what each chapter is about', () => {
    const told = [
      'connecting to postgres://localhost:5432/myapp',
      '"event":"ready"',
      "200 { DB_URL: 'postgres://db.internal:5432/myapp' }",
      '"event":"denied"',
      '503 {',
    ];
    const places = told.map((text) => demo.stdout.indexOf(text));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(Math.min(...places)).toBeGreaterThan(0);
  });

  it('is over in less than 15 seconds', () => {
    expect(seconds).toBeLessThan(15);
  });

  it.each(['temporary', 'home', 'here'])('leaves nothing behind in %s', async (name) => {
    expect(await readdir(join(folder, name))).toEqual([]);
  });
});
