// Clients that never finish their request: many connections that each send a byte of a header now and then, and come back when
// they are cut off. In a process of its own: node bench/slow-clients.ts PORT COUNT. Says "open" when all have been
// opened once, and goes on until it is killed.
import { connect } from 'node:net';

const [port = '', count = '5000'] = process.argv.slice(2);
const head = 'GET /v1/secrets HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ';
let opened = 0;

function openOne(): void {
  const socket = connect(Number(port), '127.0.0.1');
  const timer = setInterval(() => socket.writable && socket.write('x'), 1_000);
  socket.on('connect', () => {
    socket.write(head);
    opened += 1;
    if (opened === Number(count)) process.stdout.write('open\n');
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clearInterval(timer);
    setTimeout(openOne, 500 + Math.random() * 1_000);
  });
}

let started = 0;
const more = setInterval(() => {
  for (let batch = 0; batch < 100 && started < Number(count); batch += 1, started += 1) openOne();
  if (started >= Number(count)) clearInterval(more);
}, 20);
