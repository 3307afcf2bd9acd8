// What the agent is measured against: a plain node:http server that checks a bearer token and sends the same bytes and the
// same headers. Arguments: the token, and a file with the answer as JSON { headers, body }.
import { timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [token = '', answerFile = ''] = process.argv.slice(2);
const { headers, body } = JSON.parse(readFileSync(answerFile, 'utf8')) as {
  readonly headers: Record<string, string>;
  readonly body: string;
};
const wanted = Buffer.from(`Bearer ${token}`);
const bytes = Buffer.from(body);

const server = createServer((request, response) => {
  const given = Buffer.from(request.headers.authorization ?? '');
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    response.writeHead(401).end();
    return;
  }
  response.writeHead(200, { ...headers, 'content-length': bytes.length });
  response.end(bytes);
});
// As long as the agent's. (Node's own limit of requests a connection would announce a close that never comes.)
server.keepAliveTimeout = 30_000;
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`listening ${(server.address() as { port: number }).port}\n`);
});
