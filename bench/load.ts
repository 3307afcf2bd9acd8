// A load generator that costs little: fixed request bytes over a few connections, answers counted by their length. It runs
// in a process of its own: node bench/load.ts PORT TOKEN CONNECTIONS LIMIT keep|fresh
// LIMIT is a number of requests, or of seconds with an "s". `fresh` makes a connection for each request.
// Prints { answers, perSecond, p50, p99, failures } as JSON, in milliseconds.
import { connect, type Socket } from 'node:net';

const [port = '', token = '', connections = '16', limit = '3s', kind = 'keep'] = process.argv.slice(2);
const closing = kind === 'fresh' ? 'Connection: close\r\n' : '';
const request = Buffer.from(
  `GET /v1/secrets HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n${closing}\r\n`,
);

/** Tens of microseconds, up to a second. */
const latencies = new Uint32Array(100_001);
let answers = 0;
let failures = 0;
/** A number of requests is given up after 120 seconds: a machine that busy proves nothing. */
const stopAt = performance.now() + (limit.endsWith('s') ? Number.parseFloat(limit) : 120) * 1000;
const wanted = limit.endsWith('s') ? Number.POSITIVE_INFINITY : Number(limit);
let asked = 0;

function isOver(): boolean {
  return asked >= wanted || performance.now() >= stopAt;
}

/** One client: the next request when the last is answered, over one connection or over one for each. */
function drive(): Promise<void> {
  return new Promise((resolve) => {
    const open = (): void => {
      if (isOver()) {
        resolve();
        return;
      }
      let isDone = false;
      const sent = performance.now();
      const socket = connect(Number(port), '127.0.0.1');
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (kind === 'fresh' || !isDone) open();
        else resolve();
      });
      follow(socket, sent, () => {
        isDone = true;
      });
    };
    open();
  });
}

function follow(socket: Socket, opened: number, finish: () => void): void {
  let answerBytes = 0;
  let received = 0;
  let isAnswered = true;
  let sent = opened;
  const ask = (at: number): void => {
    asked += 1;
    isAnswered = false;
    sent = at;
    socket.write(request);
  };
  socket.on('connect', () => ask(opened));
  socket.on('close', () => {
    // The last answer of a connection is shorter by a header, and counts when any of it came.
    if (!isAnswered && received === 0) failures += 1;
  });
  socket.on('data', (chunk: Buffer) => {
    if (answerBytes === 0) answerBytes = lengthOfAnswer(chunk);
    received += chunk.length;
    if (received < answerBytes) return;
    received = 0;
    isAnswered = true;
    const now = performance.now();
    answers += 1;
    const bucket = Math.min(latencies.length - 1, Math.floor((now - sent) * 100));
    latencies[bucket] = (latencies[bucket] ?? 0) + 1;
    if (kind === 'fresh') return void socket.destroy();
    if (!isOver()) return ask(now);
    finish();
    socket.destroy();
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

function percentile(part: number): number {
  let seen = 0;
  for (const [bucket, count] of latencies.entries()) {
    seen += count;
    if (seen >= answers * part) return bucket / 100;
  }
  return Number.POSITIVE_INFINITY;
}

const start = performance.now();
await Promise.all(Array.from({ length: Number(connections) }, drive));
const seconds = (performance.now() - start) / 1000;
const figures = {
  answers,
  perSecond: Math.round(answers / seconds),
  p50: percentile(0.5),
  p99: percentile(0.99),
  failures,
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
