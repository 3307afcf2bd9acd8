// A KMS endpoint on this machine that answers what a test tells it to, and keeps what it was asked.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Service } from '../../../test/fakes/answer-json.ts';

export type Asked = {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, string>;
};

/** One answer; the last is given again to every further question. */
export type Answer = (response: ServerResponse, asked: Asked) => void;

export type ScriptedServer = {
  readonly url: string;
  readonly asked: Asked[];
  readonly answer: (...answers: readonly Answer[]) => void;
  readonly close: () => Promise<void>;
};

export async function startScriptedServer(): Promise<ScriptedServer> {
  let script: readonly Answer[] = [];
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = readBody(Buffer.concat(chunks).toString());
      const question = { path: request.url ?? '', headers: request.headers, body };
      asked.push(question);
      const [next, ...rest] = script;
      if (rest.length > 0) script = rest;
      next?.(response, question);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    answer: (...answers) => {
      script = answers;
      asked.length = 0;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** JSON to KMS, a form to those who give out tokens. */
function readBody(sent: string): Record<string, string> {
  if (!sent.startsWith('{')) return Object.fromEntries(new URLSearchParams(sent));
  return JSON.parse(sent) as Record<string, string>;
}

export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return text(status, JSON.stringify(body), headers);
}

export function text(
  status: number,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
}

/** What a fake of a service answers. */
export function served(service: Service): Answer {
  return (response, asked) => {
    const { status, value, headers } = service(asked);
    json(status, value, headers)(response, asked);
  };
}

/** Takes the question and never answers. */
export const hang: Answer = () => undefined;

/** Sends the head and a byte a second, for ever. */
export const trickle: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 100);
  response.on('close', () => clearInterval(timer));
};

/** Sends blanks without an end, as fast as they are taken. */
export const endless: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const more = (): void => {
    while (!response.destroyed && response.write(' '.repeat(65_536)));
  };
  response.on('drain', more);
  more();
};

/** Ends the connection in the middle of the body. */
export const breakOff: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('{"KeyId":');
  setTimeout(() => response.destroy(), 20);
};
