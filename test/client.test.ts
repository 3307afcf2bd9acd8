// @clef/client against a real agent, and its README: every example runs as it stands there.
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClefClient, createClient } from '@clef/client';
import { runChild } from '@clef/host';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stage, setStage } from '../packages/agent/test/stage.ts';
import { repositoryRoot } from './import-graph.ts';

const secrets = { DB_URL: 'postgres://first', API_KEY: 'ü "quoted"\n' };
let stage: Stage;
let client: ClefClient<{ DB_URL: string; API_KEY: string }>;

beforeAll(async () => {
  stage = await setStage();
  await stage.publish({ secrets });
  stage.run();
  await stage.until('/v1/ready', ({ status }) => status === 200);
  const url = `http://127.0.0.1:${stage.port}`;
  client = createClient({ url, tokenFile: join(stage.folder, 'token') });
});
afterAll(async () => {
  client?.close();
  await stage?.close();
});

describe('the README of @clef/client', () => {
  const text = readFileSync(join(repositoryRoot, 'packages/client/README.md'), 'utf8');
  const examples = [...text.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code as string);
  const printed = [`${secrets.DB_URL}\n`, `${secrets.DB_URL} ${secrets.API_KEY}\n`, 'unknown_key\n'];

  it('has these examples', () => expect(examples).toHaveLength(printed.length));

  it.each(printed.map((wanted, index) => [index, wanted] as const))(
    'example %d runs',
    async (index, wanted) => {
      const file = join(stage.folder, `example-${index}.mjs`);
      const stdin = { contents: examples[index] as string, resolveDir: repositoryRoot };
      const conditions = ['clef-source'];
      await build({ stdin, bundle: true, platform: 'node', format: 'esm', conditions, outfile: file });
      const ran = await runChild({
        command: process.execPath,
        args: [file],
        cwd: stage.folder,
        environment: {
          CLEF_AGENT_URL: `http://127.0.0.1:${stage.port}`,
          CLEF_AGENT_TOKEN_FILE: join(stage.folder, 'token'),
        },
        stdio: 'capture',
        timeoutSeconds: 20,
      });
      expect(Buffer.from(ran.stderr).toString()).toBe('');
      expect(Buffer.from(ran.stdout).toString()).toBe(wanted);
      expect(ran.exitCode).toBe(0);
    },
  );
});

describe('a real agent', () => {
  it('onChange hears of a new revision, with the names of what changed', async () => {
    const told = new Promise((resolve) => void client.onChange(resolve));
    expect(await client.get('API_KEY')).toBe(secrets.API_KEY);
    const bytes = await stage.pack({ secrets: { ...secrets, DB_URL: 'postgres://second' } });
    await writeFile(join(stage.folder, 'new'), bytes);
    await rename(join(stage.folder, 'new'), join(stage.folder, 'artifact.json'));
    expect(await told).toEqual({ values: { ...secrets, DB_URL: 'postgres://second' }, changed: ['DB_URL'] });
  });
});
