// A health check from inside: asks the agent beside it for one public path and exits 0 on 200, else 1. An orchestrator that
// asks from the node's own address would be refused: the agent listens on 127.0.0.1 and wants that Host.
const { request } = require('node:http');

const path = process.argv[2] ?? '/v1/ready';
const listen = process.env['CLEF_AGENT_LISTEN'] ?? '127.0.0.1:7779';
const place = listen.startsWith('/')
  ? { socketPath: listen, headers: { host: 'localhost' } }
  : { host: '127.0.0.1', port: Number(listen.split(':')[1]) };

request({ ...place, path, timeout: 2_000 }, (response) => process.exit(response.statusCode === 200 ? 0 : 1))
  .on('timeout', () => process.exit(1))
  .on('error', () => process.exit(1))
  .end();
