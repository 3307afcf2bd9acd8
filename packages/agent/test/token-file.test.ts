import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generatedTokenPrefix, openTokens, TokenFileError } from '../src/token-file.ts';

const world = {
  randomBytes: (length: number) => new Uint8Array(randomBytes(length)),
  userId: process.getuid?.(),
};
const one = 'a'.repeat(43);
const two = 'b'.repeat(43);
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clef-token-'));
  path = join(folder, 'token');
});
afterEach(() => rm(folder, { recursive: true }));

const setting = () => ({ kind: 'file', path, isDefault: false }) as const;
const texts = (tokens: readonly Uint8Array[]) => tokens.map((token) => new TextDecoder().decode(token));

async function provide(text: string, mode = 0o400): Promise<void> {
  await rm(path, { force: true });
  await writeFile(path, text, { mode });
  await chmod(path, mode);
}

async function failure(): Promise<TokenFileError> {
  const error = await openTokens(setting(), undefined, world).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TokenFileError);
  return error as TokenFileError;
}

describe('INV-68: a provided token file', () => {
  test.each([
    [`${one}`, [one]],
    [`${one}\n`, [one]],
    [`${one}\n${two}\n`, [one, two]],
    ['x'.repeat(32), ['x'.repeat(32)]],
    ['x'.repeat(512), ['x'.repeat(512)]],
  ])('%j is read', async (text, expected) => {
    await provide(text);
    const tokens = await openTokens(setting(), undefined, world);
    expect(texts(tokens.accepted())).toEqual(expected);
  });

  test.each([0o400, 0o440, 0o600, 0o640])('mode %i is accepted', async (mode) => {
    await provide(one, mode);
    expect(texts((await openTokens(setting(), undefined, world)).accepted())).toEqual([one]);
  });

  test.each([0o644, 0o444, 0o404, 0o660, 0o666, 0o620])('H06: mode %i is refused', async (mode) => {
    await provide(one, mode);
    expect((await failure()).kind).toBe('exposed');
  });

  test('H06: another owner is refused', async () => {
    await provide(one);
    // Only root can give a file away; anybody can be somebody else.
    const isRoot = process.getuid?.() === 0;
    if (isRoot) await chown(path, 65_534, 65_534);
    const reader = { ...world, userId: isRoot ? 0 : 65_534 };
    await expect(openTokens(setting(), undefined, reader)).rejects.toMatchObject({ kind: 'exposed' });
  });

  test('H06: a symbolic link is refused', async () => {
    await writeFile(join(folder, 'real'), one, { mode: 0o400 });
    await symlink(join(folder, 'real'), path);
    expect((await failure()).kind).toBe('exposed');
  });

  test('H06: a directory is refused', async () => {
    await mkdir(path);
    expect((await failure()).kind).toBe('content');
  });

  test.each([
    ['empty', ''],
    ['a blank line', '\n'],
    ['8 characters', '12345678'],
    ['31 characters', 'x'.repeat(31)],
    ['a space', `${one} ${two}`],
    ['not ASCII', 'é'.repeat(40)],
    ['three lines', `${one}\n${two}\n${'c'.repeat(43)}\n`],
    ['a carriage return', `${one}\r\n`],
    ['513 characters', 'x'.repeat(513)],
    ['10 KB', 'x'.repeat(10_240)],
  ])('H06: %s is refused, and not quoted', async (_, text) => {
    await provide(text);
    const error = await failure();
    expect(error.kind).toBe('content');
    if (text.length > 8) expect(error.message).not.toContain(text.slice(0, 8));
  });

  test('it is read again when it changes, and kept when it becomes illegible', async () => {
    await provide(one);
    const tokens = await openTokens(setting(), undefined, world);
    expect(await tokens.reload()).toBe(false);
    await provide(`${two}\n${one}\n`);
    expect(await tokens.reload()).toBe(true);
    expect(texts(tokens.accepted())).toEqual([two, one]);
    await provide('short');
    await expect(tokens.reload()).rejects.toBeInstanceOf(TokenFileError);
    await rm(path);
    await expect(tokens.reload()).rejects.toBeInstanceOf(TokenFileError);
    expect(texts(tokens.accepted())).toEqual([two, one]);
    await tokens.withdraw();
  });

  test('it is not removed at the end', async () => {
    await provide(one);
    const tokens = await openTokens(setting(), undefined, world);
    await tokens.publish();
    await tokens.withdraw();
    expect(await readFile(path, 'utf8')).toBe(one);
  });
});

describe('INV-68, INV-69: a generated token file', () => {
  test('nothing is written before it is published; then 0400, 256 bits, accepted; then removed', async () => {
    const tokens = await openTokens(setting(), undefined, world);
    await expect(lstat(path)).rejects.toThrow();
    expect(tokens.accepted()).toEqual([]);
    await tokens.publish();
    const text = await readFile(path, 'utf8');
    expect(text).toMatch(/^clef_agent_[A-Za-z0-9_-]{43}\n$/);
    expect(texts(tokens.accepted())).toEqual([text.trim()]);
    expect((await lstat(path)).mode & 0o777).toBe(0o400);
    await tokens.withdraw();
    await expect(lstat(path)).rejects.toThrow();
    expect(tokens.accepted()).toHaveLength(1);
    tokens.forget();
    expect(tokens.accepted()).toEqual([]);
  });

  test('it is accepted before anybody can find it', async () => {
    const tokens = await openTokens(setting(), undefined, world);
    const publishing = tokens.publish();
    expect(tokens.accepted()).toHaveLength(1);
    await publishing;
    expect(texts(tokens.accepted())).toEqual([(await readFile(path, 'utf8')).trim()]);
  });

  test('one that a killed agent left behind is made anew', async () => {
    const left = generatedTokenPrefix + 'x'.repeat(43);
    await provide(`${left}\n`);
    const tokens = await openTokens(setting(), undefined, world);
    expect(await readFile(path, 'utf8')).toContain(left);
    await tokens.publish();
    expect(await readFile(path, 'utf8')).not.toContain(left);
  });

  test('what appears at its place meanwhile is neither followed nor replaced', async () => {
    const sentinel = join(folder, 'sentinel');
    await writeFile(sentinel, 'untouched');
    const tokens = await openTokens(setting(), undefined, world);
    await symlink(sentinel, path);
    await expect(tokens.publish()).rejects.toBeInstanceOf(TokenFileError);
    await rm(path);
    await provide(one);
    await expect(tokens.publish()).rejects.toBeInstanceOf(TokenFileError);
    expect(await readFile(path, 'utf8')).toBe(one);
    expect(await readFile(sentinel, 'utf8')).toBe('untouched');
    expect(tokens.accepted()).toEqual([]);
  });

  test('one that somebody replaced is not removed', async () => {
    const tokens = await openTokens(setting(), undefined, world);
    await tokens.publish();
    await provide(one);
    await utimes(path, 1, 1);
    await tokens.withdraw();
    expect(await readFile(path, 'utf8')).toBe(one);
  });

  test('a group gets 0440', async () => {
    const tokens = await openTokens(setting(), String(process.getgid?.()), world);
    await tokens.publish();
    const facts = await lstat(path);
    expect([facts.mode & 0o777, facts.gid, facts.uid]).toEqual([
      0o440,
      process.getgid?.(),
      process.getuid?.(),
    ]);
  });

  test('who may write to its folder has no other file given to the group in its place', async () => {
    const victim = join(folder, 'victim');
    await writeFile(victim, 'of somebody else', { mode: 0o700 });
    await symlink(victim, join(folder, 'link'));
    const racer = new Worker(
      `const { lstatSync, renameSync } = require('node:fs');
      const { parentPort, workerData: [link, path] } = require('node:worker_threads');
      parentPort.postMessage('ready');
      const end = Date.now() + 5000;
      while (lstatSync(path, { throwIfNoEntry: false }) === undefined && Date.now() < end);
      renameSync(link, path);`,
      { eval: true, workerData: [join(folder, 'link'), path] },
    );
    const over = once(racer, 'exit');
    await once(racer, 'message');
    const tokens = await openTokens(setting(), String(process.getgid?.()), world);
    await tokens.publish();
    await over;
    expect((await lstat(path)).isSymbolicLink()).toBe(true);
    expect((await lstat(victim)).mode & 0o777).toBe(0o700);
  });

  test('an unknown group, or a folder that is not there, is an error and leaves nothing', async () => {
    const unknown = await openTokens(setting(), 'no-such-group', world);
    await expect(unknown.publish()).rejects.toMatchObject({ kind: 'machine' });
    await expect(lstat(path)).rejects.toThrow();
    path = join(folder, 'none', 'token');
    const nowhere = await openTokens(setting(), undefined, world);
    await expect(nowhere.publish()).rejects.toMatchObject({ kind: 'machine' });
  });

  test('at the default place its folder is made, 0700', async () => {
    path = join(folder, 'clef-agent', '7779.token');
    const tokens = await openTokens({ kind: 'file', path, isDefault: true }, undefined, world);
    await tokens.publish();
    expect((await lstat(join(folder, 'clef-agent'))).mode & 0o777).toBe(0o700);
  });
});
