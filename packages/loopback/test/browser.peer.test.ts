// A page in a real browser that knows the port, and even the token: whatever it tries, no answer is ever made for it.
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { findPeer, hasPeer } from '../../../test/peers.ts';
import { json } from '../src/index.ts';
import { serverWith, token } from './raw-client.ts';

const canary = 'value-for-nobody';

/** Every way in which a page can ask; it shows what it got. */
const page = (target: string): string => `<!doctype html><title>page</title><pre id="said"></pre><script>
const target = ${JSON.stringify(target)}, said = [];
const bearer = { authorization: ${JSON.stringify(`Bearer ${token}`)} };
const tell = (name, what) => said.push(name + ': ' + what);
const ask = async (name, options) => {
  try {
    const answer = await fetch(target, options);
    tell(name, answer.type + ' ' + (await answer.text()));
  } catch { tell(name, 'failed'); }
};
const embed = (name, tag, attribute) => new Promise((done) => {
  const element = document.createElement(tag);
  element[attribute] = target;
  if (tag === 'link') element.rel = 'stylesheet';
  element.onload = () => { tell(name, 'loaded'); done(); };
  element.onerror = () => { tell(name, 'failed'); done(); };
  document.body.append(element);
});
const frame = (name, start) => new Promise((done) => {
  const element = document.createElement('iframe');
  element.name = name;
  element.onload = () => {
    let text = 'closed';
    try {
      if (element.contentDocument.URL === 'about:blank') return;
      text = element.contentDocument.body.innerText;
    } catch {}
    tell(name, text);
    done();
  };
  document.body.append(element);
  start(element);
});
const form = (method) => frame('form ' + method, ({ name }) => {
  const element = document.createElement('form');
  Object.assign(element, { action: target, method, target: name });
  document.body.append(element);
  element.submit();
});
const listen = (name, make) => new Promise((done) => {
  try {
    const source = make();
    source.onmessage = ({ data }) => { tell(name, data); done(); };
    source.onerror = () => { tell(name, 'failed'); source.close(); done(); };
  } catch { tell(name, 'failed'); done(); }
});
onload = async () => {
  await ask('cors', {});
  await ask('cors with the token', { headers: bearer });
  await ask('credentials', { credentials: 'include' });
  await ask('no-cors', { mode: 'no-cors' });
  await ask('no-cors post', { mode: 'no-cors', method: 'POST', body: 'a=b' });
  await ask('same-origin', { mode: 'same-origin' });
  await ask('delete', { method: 'DELETE' });
  await embed('image', 'img', 'src');
  await embed('script', 'script', 'src');
  await embed('style', 'link', 'href');
  await frame('frame', (element) => { element.src = target; });
  await form('get');
  await form('post');
  await listen('events', () => new EventSource(target));
  await listen('socket', () => new WebSocket(target.replace('http', 'ws')));
  tell('beacon', navigator.sendBeacon(target, 'x') ? 'sent' : 'failed');
  await fetch('/said', { method: 'POST', body: said.join('\\n') });
};
</script>`;

type Visit = { readonly said: readonly string[]; readonly asked: readonly string[] };

/** What a page at `host` gets of `target` from a server that would answer whoever comes past the gate. */
async function visit(host: string, targetAt: (port: number) => string): Promise<Visit> {
  const asked: string[] = [];
  const server = await serverWith({
    publicPaths: ['/v1/health'],
    respond: ({ method, path }) => {
      asked.push(`${method} ${path}`);
      return json(200, canary);
    },
  });
  const said = new EventEmitter<{ all: [text: string] }>();
  const pages = createServer((request, response) => {
    if (request.method === 'GET') return void response.end(page(targetAt(server.port)));
    void text(request).then((all) => said.emit('all', all));
  });
  await once(pages.listen(0, '127.0.0.1'), 'listening');
  const told = once(said, 'all').then(([all]) => String(all));
  const { port } = pages.address() as AddressInfo;
  const browser = browse(`http://${host}:${port}/`);
  const lines = await Promise.race([told, browser.ended]);
  await browser.close();
  pages.closeAllConnections();
  pages.close();
  return { said: lines.split('\n'), asked };
}

/** Whatever is not a public name of this machine's is at 127.0.0.1, as if its owner had said so. */
function browse(url: string): { readonly ended: Promise<string>; close(): Promise<void> } {
  const profile = mkdtempSync(join(tmpdir(), 'clef-browser-'));
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--host-resolver-rules=MAP * 127.0.0.1',
    `--user-data-dir=${profile}`,
    '--remote-debugging-port=0',
  ];
  const child = spawn(findPeer('chromium') as string, [...flags, url], {
    stdio: 'ignore',
    detached: true,
  });
  const gone = once(child, 'exit');
  return {
    ended: gone.then(() => 'the browser ended'),
    close: async () => {
      process.kill(-(child.pid as number), 'SIGKILL');
      await gone;
      rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

describe.runIf(hasPeer('chromium'))('INV-65: a page in a browser', () => {
  const failures = [
    'cors: failed',
    'cors with the token: failed',
    'credentials: failed',
    'no-cors: opaque ',
    'no-cors post: opaque ',
    'same-origin: failed',
    'delete: failed',
    'image: failed',
    'script: failed',
    'style: failed',
    'frame: closed',
    'form get: closed',
    'form post: closed',
    'events: failed',
    'socket: failed',
    'beacon: sent',
  ];
  it.each([
    [
      'of another origin, at the values',
      '127.0.0.1',
      (port: number) => `http://127.0.0.1:${port}/v1/secrets`,
    ],
    [
      'of another origin, at a public path',
      '127.0.0.1',
      (port: number) => `http://127.0.0.1:${port}/v1/health`,
    ],
    ['of another site', 'evil.example', (port: number) => `http://127.0.0.1:${port}/v1/health`],
    ['of a name that leads here', 'evil.example', (port: number) => `http://evil.example:${port}/v1/health`],
  ])('%s reads nothing, and nothing is made for it', async (_, host, targetAt) => {
    const { said, asked } = await visit(host, targetAt);
    expect(asked).toEqual([]);
    expect(said.join('\n')).not.toContain(canary);
    expect(said).toEqual(failures);
  });
});
