// What a half-typed line may go on with.
import { exportFormats } from '@clef/core';
import { describe, expect, it } from 'vitest';
import type { Completes } from '../src/command.ts';
import { complete } from '../src/complete.ts';
import { exportFormatNames } from '../src/rows/secrets.ts';
import { sandboxWith } from './run-clef.ts';

/** Names of a repository that is not there: the kind and the cell that were asked for. */
const namesOf = async (completes: Completes, cell: string | undefined): Promise<readonly string[]> => {
  if (typeof completes !== 'string') return completes;
  return [`${completes}-a`, `${completes}-b${cell === undefined ? '' : `-of-${cell}`}`];
};

const words = async (...line: readonly string[]): Promise<readonly string[]> =>
  (await complete(line, namesOf)).map(({ word }) => word);

it('the formats that a shell completes are those that export knows', () => {
  expect([...exportFormatNames].sort()).toEqual([...exportFormats].sort());
});

describe('completing a line', () => {
  it.each([
    ['the first word', ['recip'], ['recipients']],
    ['the second word of a group', ['recipients', 'a'], ['add', 'approve']],
    ['a cell', ['get', ''], ['cell-a', 'cell-b']],
    ['a key of the cell that stands before it', ['get', 'x/y', 'key-b'], ['key-b-of-x/y']],
    ['a key, behind an option with a value', ['get', '--dir', 'z', 'x/y', 'key-b'], ['key-b-of-x/y']],
    ['the value of an option', ['export', 'x/y', '--format', 'j'], ['json']],
    ['the value of an option behind an equals sign', ['export', 'x/y', '--format=j'], ['--format=json']],
    ['the last name of a list', ['exec', 'x/y', '--only', 'A,key-b'], ['A,key-b-of-x/y']],
    [
      'the last name of a list, which goes on',
      ['exec', 'x/y', '--only', 'A,'],
      ['A,key-a', 'A,key-b-of-x/y'],
    ],
    ['an option', ['get', 'x/y', '--ra'], ['--raw']],
    ['no option twice', ['get', '--raw', '--ra'], []],
    ['an option that may be repeated', ['set', '--allow-env', 'A', '--allow-e'], ['--allow-env']],
    ['nothing behind --', ['exec', 'x/y', '--', 'no'], []],
    ['nothing for a word that no command has', ['nosuch', ''], []],
    ['files where the table knows no names', ['pack', 'a', 'b', '--to', ''], []],
    ['no command for programs', ['complet'], ['completion']],
  ] as const)('%s', async (_, line, expected) => {
    expect(await words(...line)).toEqual(expected);
  });

  it('the names are those of the repository, without a word on stderr and whatever is wrong with it', async () => {
    const box = await sandboxWith({ DB_URL: 'value', DB_PASSWORD: 'other' });
    const ask = async (...line: readonly string[]) => box.clef(['complete', '--', ...line]);
    expect(await ask('get', 'database/d')).toMatchObject({
      exitCode: 0,
      stdout: 'database/development\t\n',
      stderr: '',
    });
    expect(await ask('get', 'database/development', 'DB_P')).toMatchObject({
      stdout: 'DB_PASSWORD\t\n',
      stderr: '',
    });
    expect(await ask('get', '--dir', 'nowhere', '')).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
    expect(await ask('get', 'data base/x', '')).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
  });
});
