// Few descriptors: connections take what is left over, never what the refresh loop needs.
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startChild } from '@clef/host';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { budgetFor } from '../src/connection-budget.ts';
import { type Stage, setStage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(() => stage.close());

test.each([
  ['', { maxConnections: 512, maxStreams: 1_024 }],
  [
    'Max open files            20000                20000                files',
    { maxConnections: 512, maxStreams: 1_024 },
  ],
  [
    'Max open files            1024                 4096                 files',
    { maxConnections: 512, maxStreams: 472 },
  ],
  [
    'Max open files            80                   80                   files',
    { maxConnections: 24, maxStreams: 16 },
  ],
  [
    'Max open files            10                   10                   files',
    { maxConnections: 5, maxStreams: 3 },
  ],
  [
    'Max open files            unlimited            unlimited            files',
    { maxConnections: 512, maxStreams: 1_024 },
  ],
])('the budget for %j', (limits, expected) => {
  expect(budgetFor(limits)).toEqual(expected);
});

test('F55: with 80 descriptors and 300 clients that hold on, an honest one is answered and a new artifact is taken', async () => {
  await stage.publish({ seal: stage.ageRecipient, secrets: { A: '1' } });
  const bin = fileURLToPath(new URL('../bin/clef-agent.js', import.meta.url));
  const agent = await startChild({
    command: '/bin/sh',
    args: ['-c', 'ulimit -n 80; exec "$@"', 'sh', process.execPath, bin],
    environment: {
      PATH: process.env['PATH'],
      ...stage.variables,
      CLEF_AGENT_KMS_KEY: undefined,
      CLEF_AGENT_AGE_KEY_FILE: join(stage.folder, 'key.txt'),
    },
  });
  const clients: Socket[] = [];
  try {
    await agent.waitForLine(/"event":"ready"/, 20);
    for (let count = 0; count < 300; count += 1)
      clients.push(connect(stage.port, '127.0.0.1').on('error', () => undefined));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await stage.ask('/v1/secrets')).text).toBe('{"A":"1"}');
    await stage.publish({ seal: stage.ageRecipient, secrets: { A: '2' } });
    await stage.until('/v1/secrets', ({ text }) => text === '{"A":"2"}');
    expect(new TextDecoder().decode(agent.stderr())).not.toMatch(/state_not_saved|source_failed/);
  } finally {
    for (const client of clients) client.destroy();
    agent.kill('SIGKILL');
    await agent.exited;
  }
});
