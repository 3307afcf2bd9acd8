// What a person meets at a terminal: hidden questions, confirmations, the way back to the editor, the progress bar.
import { lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { serve } from '../../../test/fakes/answer-json.ts';
import { hasPeer } from '../../../test/peers.ts';
import { atTerminal } from './at-a-terminal.ts';
import { type Sandbox, sandbox, sandboxWith, succeed } from './run-clef.ts';

const cell = 'database/development';
const guarded = 'database/production';
const ctrlC = '\u0003';

/** Every file of the sandbox that holds the text. */
function filesWith(box: Sandbox, text: string): readonly string[] {
  const top = join(box.folder, '..');
  return readdirSync(top, { recursive: true, encoding: 'utf8' })
    .map((name) => join(top, name))
    .filter((path) => lstatSync(path).isFile() && readFileSync(path, 'latin1').includes(text));
}

/** The folders of \`clef edit\` that hold the text; other tests may have theirs. */
function editFoldersWith(text: string): readonly string[] {
  return readdirSync('/dev/shm')
    .filter((name) => name.startsWith('clef-edit-'))
    .filter((name) =>
      readdirSync(join('/dev/shm', name)).some((file) =>
        readFileSync(join('/dev/shm', name, file), 'latin1').includes(text),
      ),
    );
}

describe.runIf(hasPeer('python3'))('at a terminal', () => {
  it('INV-19: set asks for the value, and what is typed is neither on the screen nor in a file', async () => {
    const box = await sandboxWith({ A: 'one' });
    const set = await atTerminal(box, ['set', cell, 'PW'], [['Value of PW', 'CANARY-b81f-typed\r']]);
    expect(set).toMatchObject({ exitCode: 0, screen: expect.stringContaining(`Stored PW in ${cell}`) });
    expect(set.screen).not.toMatch(/CANARY-b81f|typed/);
    expect(filesWith(box, 'CANARY-b81f')).toEqual([]);
    expect((await succeed(box.clef(['get', cell, 'PW']))).stdout).toBe('CANARY-b81f-typed');
  });

  it('a question stays on its line where the terminal does not know its width', async () => {
    const box = await sandboxWith({ A: 'one' });
    const set = await atTerminal(box, ['set', cell, 'PW'], [['Value of PW', 'x1\r']], { columns: 0 });
    expect(set.exitCode).toBe(0);
  });

  it('A08: nothing typed is refused', async () => {
    const box = await sandboxWith({ A: 'one' });
    expect(await atTerminal(box, ['set', cell, 'PW'], [['Value of PW', '\r']])).toMatchObject({
      exitCode: 2,
    });
  });

  it.each([
    ['a yes stores', 'y', 0],
    ['a no does not', 'n', 7],
    ['neither does Enter alone', '\r', 7],
    ['nor Ctrl-C', ctrlC, 130],
  ])('A26: a protected cell is asked about before the value is: %s', async (_, keys, exitCode) => {
    const box = await sandboxWith({ A: 'one' });
    const answers = [
      ['Change database/production?', keys] as const,
      ...(exitCode === 0 ? [['Value of PW', 'x1\r'] as const] : []),
    ];
    const ran = await atTerminal(box, ['set', guarded, 'PW'], answers);
    expect(ran).toMatchObject({ exitCode });
    expect(await box.clef(['get', guarded, 'PW'])).toMatchObject({ exitCode: exitCode === 0 ? 0 : 4 });
  });

  it.each([
    ['set', ['set', cell, 'A'], 'Value of A'],
    ['search --value', ['search', '--value'], 'Value to search for'],
    ['compare', ['compare', cell, 'A'], 'Value to compare A with'],
  ])(
    'F-15: Ctrl-C at the question of %s ends it with 130, and nothing is changed',
    async (_, args, question) => {
      const box = await sandboxWith({ A: 'one' });
      const before = box.read('secrets/database/development.enc.yaml');
      const ran = await atTerminal(box, args, [[question, ctrlC]]);
      expect(ran).toMatchObject({ exitCode: 130, screen: expect.stringContaining('nothing was changed') });
      expect(box.read('secrets/database/development.enc.yaml')).toBe(before);
      expect(readdirSync(join(box.folder, '.clef')).filter((name) => /lock|journal/.test(name))).toEqual([]);
    },
  );

  it('F-15: exec too, at the question for a passphrase', async () => {
    const box = sandbox();
    await atTerminal(
      box,
      ['init', '--passphrase'],
      [
        ['Passphrase', 'long enough words\r'],
        ['once more', 'long enough words\r'],
      ],
    );
    await succeed(box.clef(['set', cell, 'A'], { input: 'one' }));
    const cancelled = await atTerminal(box, ['exec', cell, '--', 'echo', 'ran'], [['Passphrase', ctrlC]]);
    expect(cancelled.exitCode).toBe(130);
    expect(cancelled.screen).not.toMatch(/\bran\b/);
  });

  it('A14: "-" on a terminal, which would show what is typed, is refused', async () => {
    const box = await sandboxWith({ A: 'one' });
    expect(await atTerminal(box, ['set', cell, 'PW', '-'], [])).toMatchObject({ exitCode: 2 });
    expect(await box.clef(['get', cell, 'PW'])).toMatchObject({ exitCode: 4 });
  });

  describe('edit', () => {
    const editorOf = (box: Sandbox): string =>
      box.write(
        'editor.sh',
        `echo >> turns
         if [ "$(wc -l < turns)" = 1 ]; then printf 'A: one\\nnot a name: x\\n' > "$1"
         else grep '^#! line' "$1" > seen; printf 'A: CANARY-b81f-two\\n' > "$1"; fi\n`,
      );
    const question = 'Back to the editor?';

    it.each([
      ['yes opens the same text, with what is wrong on top', 'y', 0, 'CANARY-b81f-two'],
      ['no drops the change', 'n', 3, 'one'],
      ['Ctrl-C too', ctrlC, 130, 'one'],
    ])('a text with mistakes: %s', async (_, keys, exitCode, value) => {
      const box = await sandboxWith({ A: 'one' });
      const environment = { EDITOR: `sh '${editorOf(box)}'` };
      const ran = await atTerminal(box, ['edit', cell], [[question, keys]], { environment });
      expect(ran).toMatchObject({ exitCode, screen: expect.stringMatching(/line 2/) });
      expect(ran.screen).not.toContain('CANARY-b81f');
      if (exitCode === 0) expect(box.read('seen')).toMatch(/^#! line \d+: The key name/);
      expect((await succeed(box.clef(['get', cell, 'A']))).stdout).toBe(value);
      expect(editFoldersWith('CANARY-b81f')).toEqual([]);
    });

    const keepsAll = {
      '.vimrc':
        "set nocompatible modeline modelines=5 backup writebackup backupdir=~/keep\nset undofile undodir=~/keep swapfile directory=~/keep viminfo='100,n~/.viminfo\n",
      '.nanorc': 'set backup\nset backupdir "HOME/keep"\nset historylog\nset positionlog\nset locking\n',
    };
    const modeline = 'x vim: set fileencoding=utf-16 fileformat=dos :';

    it.each([
      ['vim', 'vim', ['old-CANARY-b81f', ':1,$yank\r:%s/old-CANARY-b81f/new-CANARY-b81f/\r:wq\r']],
      ['vim', 'vi', ['old-CANARY-b81f', ':1,$yank\r:%s/old-CANARY-b81f/new-CANARY-b81f/\r:wq\r']],
      // For root nano takes the home of the password file.
      [
        'nano',
        'nano --rcfile=HOME/.nanorc',
        ['old-CANAR', '\u001cold-CANARY-b81f\rnew-CANARY-b81f\ry\u000f\r\u0018'],
      ],
    ] as const)(
      'INV-18: in the real %s ("%s"), set to keep copies in the home: no file there holds a value, and a modeline sets nothing',
      async (peer, editor, answer) => {
        hasPeer(peer);
        const box = await sandboxWith({ A: 'old-CANARY-b81f', Z: modeline });
        for (const name of ['keep', 'data']) mkdirSync(join(box.home, name));
        for (const [name, text] of Object.entries(keepsAll))
          box.write(`../home/${name}`, text.replace('HOME', box.home));
        const environment = {
          EDITOR: editor.replace('HOME', box.home),
          XDG_DATA_HOME: join(box.home, 'data'),
        };
        const ran = await atTerminal(box, ['edit', cell], [answer], { environment });
        expect(ran).toMatchObject({ exitCode: 0, screen: expect.stringContaining('1 changed') });
        expect((await succeed(box.clef(['get', cell, 'A']))).stdout).toBe('new-CANARY-b81f');
        expect((await succeed(box.clef(['get', cell, 'Z']))).stdout).toBe(modeline);
        expect(filesWith(box, 'CANARY-b81f')).toEqual([]);
        expect(readdirSync(join(box.home, 'keep'))).toEqual([]);
        expect(editFoldersWith('CANARY-b81f')).toEqual([]);
      },
    );
  });

  it('rotate of a 20 x 5 matrix behind a slow KMS shows how far it is on a terminal, and nothing in a pipe', async () => {
    const arn = 'arn:aws:kms:eu-west-1:111122223333:key/0291dd12-df25-4b8f-a315-18d83fa3bcf5';
    let delay = 0;
    const { url, stop } = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { Plaintext, CiphertextBlob } = JSON.parse(Buffer.concat(chunks).toString());
        const answer =
          Plaintext === undefined ? { Plaintext: CiphertextBlob } : { CiphertextBlob: Plaintext };
        setTimeout(() => {
          response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
          response.end(JSON.stringify({ KeyId: arn, ...answer }));
        }, delay);
      });
    });
    try {
      const box = sandbox();
      const environment = {
        AWS_ENDPOINT_URL_KMS: url,
        AWS_ACCESS_KEY_ID: 'AKIATEST',
        AWS_SECRET_ACCESS_KEY: 'test',
      };
      await succeed(box.clef(['init']));
      const manifest = box.read('clef.yaml');
      const spaces = Array.from(
        { length: 20 },
        (_, index) => `  - name: ${'abcdefghijklmnopqrst'[index]}${'-space'.repeat(1 + (index % 2))}`,
      );
      box.write(
        'clef.yaml',
        manifest
          .replace(
            '- name: development',
            `- name: qa\n  - name: demo\n  - name: development\n    encrypt_to: awskms:///${arn}`,
          )
          .replace(/^namespaces:.*$/m, `namespaces:\n${spaces.join('\n')}`),
      );
      const made = await succeed(box.clef(['sync', '--yes'], { environment }));
      expect(made.stderr).toContain('Made ');
      delay = 500;
      const line = ['rotate', '--all', '--yes'];
      const shown = await atTerminal(box, line, [], { environment });
      expect(shown.screen).toMatch(/\[#+ *\] \d+\/100/);
      expect(shown).toMatchObject({ exitCode: 0, screen: expect.stringContaining('100 new data keys') });
      // The bar is gone before anything else is said.
      expect(shown.screen.slice(shown.screen.lastIndexOf('\u001b[2K'))).not.toMatch(/\[#/);
      const piped = await succeed(box.clef(line, { environment }));
      expect(`${piped.stdout}${piped.stderr}`).not.toMatch(/\[#|\u001b|\r/);
    } finally {
      await stop();
    }
  });
});
