// The exports, read by the programs that they are for (INV-96, J14, J15): 10,000 random values each, in few processes.

import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { hasPeer, runPeer } from '../../../test/peers.ts';
import type { ExportFormat } from '../src/secrets/export-formats/all.ts';
import { evaluated, evaluatedValues, exported, heldBy, tenThousandValues, written } from './exports.ts';
import { oddKeys, oddValues } from './odd-values.ts';
import { temporaryFolder } from './repository-with.ts';

const odd = Object.fromEntries(Object.values(oddValues).map((value, index) => [`K${index}`, value]));
const shells = [
  ['bash', 'sh'],
  ['dash', 'sh'],
  ['zsh', 'sh'],
  ['fish', 'fish'],
] as const;

describe.each(shells)('INV-96: %s', (shell, format) => {
  it.runIf(hasPeer(shell))('gives back every odd value of a cell', async () => {
    expect(await evaluatedValues(shell, await exported(odd, format))).toEqual(odd);
  });

  it.runIf(hasPeer(shell))('gives back 10,000 random values', async () => {
    expect(await evaluatedValues(shell, written(format, tenThousandValues))).toEqual(tenThousandValues);
  });

  it.runIf(hasPeer(shell))(
    'holds the value of every variable that it has itself, or the name is refused',
    async () => {
      const own = { bash: 'compgen -v', dash: 'set', zsh: 'typeset', fish: 'set -n' }[shell];
      const list = await runPeer(shell, shell === 'fish' ? ['--no-config', '-c', own] : ['-c', own], {
        cwd: '/',
        environment: { HOME: '/nonexistent' },
      });
      const names = list.stdout.split('\n').flatMap((line) => /([A-Za-z_]\w*)(=|$)/.exec(line)?.[1] ?? []);
      expect(names.length).toBeGreaterThan(5);
      const { held } = heldBy(format, Object.fromEntries(names.map((name) => [name, `text of ${name}: 7y`])));
      // Without these the shell itself would not come as far as showing the rest.
      const kept = ['PATH', 'IFS', 'HOME', 'LC_ALL', 'fish_function_path'];
      const values = Object.fromEntries(Object.entries(held).filter(([name]) => !kept.includes(name)));
      const environment = await evaluated(shell, written(format, values));
      expect(environment).toMatchObject(values);
    },
  );
});

it.runIf(hasPeer('bash'))('INV-96: as the documentation says it, eval "$(…)" with the quotes', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'text'), written('sh', { K: ' a\n\n b * $(id) ' }));
  const script = 'eval "$(cat text)"; printf %s "$K"';
  expect((await runPeer('bash', ['-c', script], { cwd: folder })).stdout).toBe(' a\n\n b * $(id) ');
});

describe('J14: data', () => {
  const all = { ...tenThousandValues, ...Object.fromEntries(oddKeys.map((key) => [key, `of ${key}`])) };
  const readers = {
    json: 'import json,sys; json.dump(json.load(sys.stdin), sys.stdout)',
    yaml: 'import json,sys,yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)',
    kubernetes:
      'import base64,json,sys,yaml; s=yaml.safe_load(sys.stdin); assert s["kind"]=="Secret"; json.dump({k: base64.b64decode(v,validate=True).decode() for k,v in s["data"].items()}, sys.stdout)',
  } as const;

  it.runIf(hasPeer('python3')).each(Object.entries(readers))(
    '%s, read by python',
    async (format, program) => {
      const { exitCode, stdout, stderr } = await runPeer('python3', ['-c', program], {
        cwd: '/',
        environment: { PYTHONUTF8: '1' },
        input: written(format as ExportFormat, all),
      });
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(JSON.parse(stdout)).toEqual(JSON.parse(written('json', all)));
    },
  );

  it.runIf(hasPeer('kubectl'))('a Secret, read by kubectl', async () => {
    const { exitCode, stdout, stderr } = await runPeer(
      'kubectl',
      ['annotate', '--local', '-f', '-', 'read=yes', '-o', 'json'],
      { cwd: '/', environment: { HOME: '/nonexistent' }, input: written('kubernetes', all) },
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const secret = JSON.parse(stdout) as { metadata: { name: string }; data: Record<string, string> };
    expect(secret.metadata.name).toBe('database-development');
    const data = Object.entries(secret.data).map(([key, base64]) => [
      key,
      Buffer.from(base64, 'base64').toString(),
    ]);
    expect(new Map(data as [string, string][])).toEqual(
      new Map(Object.entries(JSON.parse(written('json', all)))),
    );
  });
});

it.runIf(hasPeer('docker'))('J14: an env file, read by the docker client', async () => {
  const folder = temporaryFolder();
  const { held, refusedKeys } = heldBy('docker', tenThousandValues);
  for (const key of refusedKeys) expect(tenThousandValues[key]).toMatch(/[\r\n]/);
  expect(Object.keys(held).length).toBeGreaterThan(5_000);
  writeFileSync(join(folder, 'env'), written('docker', held));
  const environment = await environmentThatDockerSends(folder);
  expect(Object.fromEntries(environment.map((entry) => splitAtEquals(entry)))).toEqual(held);
});

function splitAtEquals(entry: string): readonly [string, string] {
  return [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)];
}

/** What the real client asks a daemon to create: the daemon is ours and creates nothing. */
async function environmentThatDockerSends(folder: string): Promise<readonly string[]> {
  let body = '';
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const received = await text(request);
    response.setHeader('Api-Version', '1.44').setHeader('Content-Type', 'application/json');
    if (request.url?.includes('/containers/create') !== true) return void response.end('OK');
    body = received;
    response.statusCode = 201;
    response.end('{"Id":"none","Warnings":[]}');
  };
  const daemon = createServer((request, response) => void answer(request, response));
  const socket = join(folder, 'docker.sock');
  await new Promise<void>((settle) => daemon.listen(socket, settle));
  try {
    const args = ['-H', `unix://${socket}`, 'create', '--env-file', 'env', 'image'];
    const { exitCode, stderr } = await runPeer('docker', args, {
      cwd: folder,
      environment: { HOME: folder },
    });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  } finally {
    daemon.closeAllConnections();
    daemon.close();
  }
  return (JSON.parse(body) as { Env: string[] }).Env;
}

it.runIf(hasPeer('systemd-analyze'))(
  'J14: systemd finds nothing wrong with 10,000 credentials, and something with a bad one',
  async () => {
    const verify = async (dropIn: string): Promise<string> => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, 'app.service'), '[Unit]\nDescription=app\n[Service]\nExecStart=/bin/true\n');
      mkdirSync(join(folder, 'app.service.d'));
      writeFileSync(join(folder, 'app.service.d', 'clef.conf'), dropIn);
      const { stderr } = await runPeer('systemd-analyze', ['verify', './app.service'], { cwd: folder });
      return stderr
        .split('\n')
        .filter((line) => line.includes('clef.conf'))
        .join('\n');
    };
    expect(await verify(written('systemd', tenThousandValues))).toBe('');
    expect(await verify('[Service]\nSetCredential=K:\\zz\n')).toMatch(/unescape/);
  },
);
