// The recipes of docs/recipes.md that a tool of this machine can run, as they stand there.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clefPath, type Sandbox, sandboxWith } from '../packages/cli/test/run-clef.ts';
import { repositoryRoot } from './import-graph.ts';
import { hasPeer, runPeer } from './peers.ts';

const value = `it's "CANARY" $HOME\n\n two  lines `;

/** The first block of a kind below a heading. */
function recipe(heading: string, kind: string, index = 0): string {
  const text = readFileSync(join(repositoryRoot, 'docs/recipes.md'), 'utf8');
  const section = text.slice(text.indexOf(`\n## ${heading}\n`)).split('\n## ')[1] ?? '';
  const block = [...section.matchAll(new RegExp(`^\`\`\`${kind}\n(.*?)^\`\`\``, 'gms'))][index]?.[1];
  if (block === undefined) throw new Error(`There is no block ${index} of ${kind} below "${heading}"`);
  return block;
}

/** A repository with `clef` on its PATH. */
async function stage(): Promise<{
  readonly box: Sandbox;
  readonly environment: Record<string, string | undefined>;
}> {
  const box = await sandboxWith({ DB_URL: value });
  box.write('bin/clef', `#!/bin/sh\nexec "${process.execPath}" "${clefPath}" "$@"\n`);
  await box.shell('chmod +x bin/clef');
  return { box, environment: { ...box.environment, PATH: `${box.folder}/bin:${process.env['PATH']}` } };
}

/** The files below a folder that hold the value. */
function filesWithValue(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => {
    const path = join(folder, name);
    return statSync(path).isFile() && readFileSync(path, 'latin1').includes('CANARY');
  });
}

const show = ['sh', '-c', 'printf %s "$DB_URL"; printf %s "$secrets"'];

describe.runIf(hasPeer('bash'))('a shell', () => {
  it('eval "$(…)" gives the exact value', async () => {
    const { box, environment } = await stage();
    const script = `${recipe('A shell', 'sh')}printf %s "$DB_URL"`;
    expect(await runPeer('bash', ['-c', script], { cwd: box.folder, environment })).toEqual({
      exitCode: 0,
      stdout: value,
      stderr: '',
    });
  });

  it('the careful form ends the script where Clef fails', async () => {
    const { box, environment } = await stage();
    const script = `${recipe('A shell', 'sh', 1).replace('development', 'nope')}echo went on`;
    const ran = await runPeer('bash', ['-c', script], { cwd: box.folder, environment });
    expect(ran).toMatchObject({ exitCode: 4, stdout: '' });
  });

  it('Docker’s <(…) is a pipe', async () => {
    const { box, environment } = await stage();
    await box.clef(['set', 'api/production', 'K', '--yes'], { input: 'plain' });
    const script = recipe('Docker', 'sh')
      .split('\n')[0]
      ?.replace('docker run --env-file', 'cat')
      .replace(' image', '');
    expect((await runPeer('bash', ['-c', script ?? ''], { cwd: box.folder, environment })).stdout).toBe(
      'K=plain\n',
    );
  });
});

describe.runIf(hasPeer('direnv'))('direnv', () => {
  it('loads the exact value, and writes it nowhere', async () => {
    const { box, environment } = await stage();
    box.write('.envrc', recipe('direnv', 'sh'));
    await runPeer('direnv', ['allow', '.'], { cwd: box.folder, environment });
    const ran = await runPeer('direnv', ['exec', '.', ...show], { cwd: box.folder, environment });
    expect(ran).toMatchObject({ exitCode: 0, stdout: value });
    expect([...filesWithValue(box.folder), ...filesWithValue(box.home)]).toEqual([]);
  });

  it('runs nothing where Clef fails', async () => {
    const { box, environment } = await stage();
    box.write('.envrc', recipe('direnv', 'sh').replaceAll('development', 'nope'));
    await runPeer('direnv', ['allow', '.'], { cwd: box.folder, environment });
    const ran = await runPeer('direnv', ['exec', '.', 'echo', 'went on'], { cwd: box.folder, environment });
    expect(ran).toMatchObject({ exitCode: 1, stdout: '' });
    expect(ran.stderr).toContain('No environment "nope"');
  });
});

describe.runIf(hasPeer('bash'))('mise', () => {
  it('its script is the careful form, and bash is what mise runs it with', async () => {
    const { box, environment } = await stage();
    const script = `${recipe('mise', 'sh')}export -p`;
    const ran = await runPeer('bash', ['--noprofile', '-c', script], { cwd: box.folder, environment });
    expect(ran.exitCode).toBe(0);
    expect(ran.stdout).toContain('declare -x DB_URL=');
    expect(ran.stdout).not.toContain('declare -x secrets');
  });
});
