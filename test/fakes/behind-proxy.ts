// Puts a server of ours where programs expect a cloud: a proxy that leads every host to it, and a certificate for the hosts
// that it stands for.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runPeer } from '../peers.ts';
import { serve } from './answer-json.ts';

export type BehindProxy = {
  /** What makes a Go program use it. */
  readonly variables: Readonly<Record<'HTTPS_PROXY' | 'SSL_CERT_FILE', string>>;
  readonly stop: () => Promise<void>;
};

/** Hands every request on to another server. */
export function passOn(url: string): RequestListener {
  return (incoming, outgoing) => {
    const { host: _, ...headers } = incoming.headers;
    const options = { method: incoming.method ?? 'GET', headers };
    const onward = httpRequest(new URL(incoming.url ?? '/', url), options, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  };
}

export async function behindProxy(hosts: readonly string[], listener: RequestListener): Promise<BehindProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'clef-proxy-'));
  const names = `subjectAltName=${hosts.map((host) => `DNS:${host}`).join(',')}`;
  const made = await runPeer(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=clef-test'],
      ...['-addext', names, '-keyout', 'key.pem', '-out', 'cert.pem'],
    ],
    { cwd: folder },
  );
  if (made.exitCode !== 0) throw new Error(made.stderr);
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => readFileSync(join(folder, name)));
  const cloud = createTlsServer({ key, cert }, listener);
  const served = await serve(cloud as unknown as ReturnType<typeof createServer>);
  const proxy = createServer().on('connect', (_request, socket, head) => {
    const tunnel = connect(Number(new URL(served.url).port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      tunnel.write(head);
      tunnel.pipe(socket).pipe(tunnel);
    });
    for (const end of [tunnel, socket]) end.on('error', () => [tunnel, socket].map((each) => each.destroy()));
  });
  const proxied = await serve(proxy);
  return {
    variables: { HTTPS_PROXY: proxied.url, SSL_CERT_FILE: join(folder, 'cert.pem') },
    stop: async () => {
      await Promise.all([served.stop(), proxied.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
