// moto_server, an independent server of AWS's protocols, on this machine for as long as a test needs it.
import { startChild } from '@clef/host';
import { freePort, pause } from './scene.ts';

export type Moto = {
  readonly url: string;
  /** Credentials that moto takes, as any, and its address for this service. */
  readonly variables: (service: 'KMS' | 'S3' | 'STS' | 'ECS') => Readonly<Record<string, string>>;
  readonly close: () => Promise<void>;
};

const startSeconds = 60;

/** @throws {Error} where it does not answer within a minute. Ask `hasPeer('moto_server')` first. */
export async function startMoto(): Promise<Moto> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = await startChild({
    command: 'moto_server',
    args: ['--host', '127.0.0.1', '--port', String(port)],
    environment: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
  });
  await untilReady(url);
  return {
    url,
    variables: (service) => ({
      [`AWS_ENDPOINT_URL_${service}`]: url,
      AWS_ACCESS_KEY_ID: 'testing',
      AWS_SECRET_ACCESS_KEY: 'testing',
    }),
    close: async () => {
      server.kill('SIGKILL');
      await server.exited;
    },
  };
}

async function untilReady(url: string): Promise<void> {
  const giveUpAt = performance.now() + startSeconds * 1000;
  while (performance.now() < giveUpAt) {
    const isUp = await fetch(`${url}/moto-api/`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    await pause(100);
  }
  throw new Error('moto_server does not answer');
}
