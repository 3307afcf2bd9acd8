// An HTTP server that answers questions in JSON: what a fake of a service is served with.
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Question = {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Readonly<Record<string, string>>;
};

export type JsonAnswer = {
  readonly status: number;
  readonly value: object;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Service = (question: Question) => JsonAnswer;

/** Takes questions as JSON; any other body is left out. */
export function listenerFor(service: Service): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const sent = Buffer.concat(chunks).toString();
      const body = sent.startsWith('{') ? (JSON.parse(sent) as Record<string, string>) : {};
      const { status, value, headers } = service({ path: request.url ?? '', headers: request.headers, body });
      response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(JSON.stringify(value));
    });
  };
}

export type Served = { readonly url: string; readonly stop: () => Promise<void> };

/** Serves on a free port of this machine. */
export async function serve(server: RequestListener | Server): Promise<Served> {
  const listening = typeof server === 'function' ? createServer(server) : server;
  await new Promise<void>((settle) => listening.listen(0, '127.0.0.1', settle));
  return {
    url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`,
    stop: async () => {
      listening.closeAllConnections();
      await new Promise((settle) => listening.close(settle));
    },
  };
}
