// Another user of this machine, for real: a process of user 65534. Only root can start one.
import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';
import { request, serverWith } from './raw-client.ts';

const client = `
  const socket = require('node:net').connect(Number(process.argv[1]), '127.0.0.1');
  socket.on('data', (bytes) => { process.stdout.write(bytes.toString('latin1').slice(9, 12)); socket.destroy(); });
  socket.write(process.argv[2]);
`;

function askAs(uid: number, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', client, String(port), request(port)], {
      uid,
      gid: uid,
      cwd: '/',
      env: {},
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', () => resolve(said));
  });
}

it('INV-80: user 65534 with the stolen token gets 403, user 0 its answer; and the other way round', async () => {
  expect(process.getuid?.(), 'this test must be run by root').toBe(0);
  const forRoot = await serverWith({ allowUids: new Set([0]) });
  expect(await askAs(65_534, forRoot.port)).toBe('403');
  expect(await askAs(0, forRoot.port)).toBe('200');
  const forNobody = await serverWith({ allowUids: new Set([65_534]) });
  expect(await askAs(65_534, forNobody.port)).toBe('200');
  expect(await askAs(0, forNobody.port)).toBe('403');
});
