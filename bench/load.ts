// A load generator that costs little: fixed request bytes over a few connections, answers counted by their length.
// It runs in a process of its own: node bench/load.ts PORT TOKEN CONNECTIONS SECONDS
import { connect } from 'node:net';

const [port = '', token = '', connections = '16', seconds = '3'] = process.argv.slice(2);
const request = Buffer.from(
  `GET /v1/secrets HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
);

let answers = 0;
const stop = performance.now() + Number(seconds) * 1000;

function drive(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1');
    let answerBytes = 0;
    let received = 0;
    socket.setNoDelay(true);
    socket.on('connect', () => socket.write(request));
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.on('data', (chunk: Buffer) => {
      if (answerBytes === 0) answerBytes = lengthOfAnswer(chunk);
      received += chunk.length;
      if (received < answerBytes) return;
      received = 0;
      answers += 1;
      if (performance.now() < stop) socket.write(request);
      else socket.destroy();
    });
  });
}

function lengthOfAnswer(first: Buffer): number {
  const text = first.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  const [, length] = /\r\ncontent-length: ([0-9]+)/i.exec(text) ?? [];
  if (!text.startsWith('HTTP/1.1 200') || end < 0 || length === undefined) {
    throw new Error(`The server answered ${text.slice(0, 80)}`);
  }
  return end + 4 + Number(length);
}

const start = performance.now();
await Promise.all(Array.from({ length: Number(connections) }, drive));
process.stdout.write(`${Math.round(answers / ((performance.now() - start) / 1000))}\n`);
