import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostError, runEditor, withAbsolutePath } from '../src/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'clef-path-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('withAbsolutePath', () => {
  it.each([
    ['/usr/bin:/bin', '/usr/bin:/bin'],
    [':/bin', '/bin'],
    ['/bin:', '/bin'],
    ['.:./x:../y:z:/bin::~/bin', '/bin'],
    ['', undefined],
    ['.', undefined],
  ])('keeps of %j only %j', (path, kept) => {
    expect(withAbsolutePath({ PATH: path, A: '.' })).toEqual({ PATH: kept, A: '.' });
  });
});

it.each([
  ['the usual ones', undefined],
  ['one by its name', 'nano -w'],
])('INV-110: no editor of the folder that one stands in is run: %s', async (_, commandLine) => {
  mkdirSync(join(folder, 'bin'));
  for (const name of ['vim', 'nano', 'vi'])
    writeFileSync(join(folder, name), '#!/bin/sh\nexit 7\n', { mode: 0o755 });
  const environment = { PATH: `${folder}/bin:` };
  const run = runEditor('secrets', { commandLine, cwd: folder, environment });
  await expect(run).rejects.toThrow(HostError);
  // A path is a choice, and no name that is looked up.
  expect(await runEditor('secrets', { commandLine: './nano', cwd: folder, environment })).toMatchObject({
    exitCode: 7,
  });
});
