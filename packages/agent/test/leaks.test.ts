// One agent through every way in which its source, its artifacts and its KMS fail: what it logs, answers and keeps holds no
// value, no name of a key, no credential, no address and no word of those it talked to.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KmsError } from '@clef/kms';
import { expect, test } from 'vitest';
import { type FakeStore, fakeStore, refusal, type Script } from '../../../test/fakes/object-stores.ts';
import { get, type PackRequest, type Stage, setStage } from './stage.ts';

const credential = 'canary-token-of-google';
const secrets = { CANARY_KEY: 'canary-value' };
const day = 86_400_000;

type Step = (stage: Stage, store: FakeStore) => unknown;

const answers =
  (script: Script): Step =>
  (_, store) => {
    store.script = script;
  };
const headers = { 'x-goog-generation': '7' };
const statuses = [400, 401, 403, 404, 410, 429, 500, 503, 304].map((status): [string, Step] => [
  `status ${status}`,
  answers(refusal('gs', status, { 'retry-after': '1' })),
]);
const others: [string, Script][] = [
  ['HTML', (response) => response.writeHead(200, headers).end('<html>UPSTREAM-TEXT canary</html>')],
  [
    'JSON of something else',
    (response) => response.writeHead(200, headers).end('{"canary":"UPSTREAM-TEXT"}'),
  ],
  ['nothing', (response) => response.writeHead(200, headers).end()],
  ['too much', (response) => response.writeHead(200, headers).end(Buffer.alloc(1_100_000, 'canary'))],
  [
    'a compressed body',
    (response) => response.writeHead(200, { ...headers, 'content-encoding': 'gzip' }).end('canary'),
  ],
  ['no generation', (response) => response.writeHead(200).end('canary')],
  ['a connection that breaks', (response) => response.socket?.destroy()],
  [
    'half an answer',
    (response) => {
      response.writeHead(200, { ...headers, 'content-length': '100' });
      response.write('canary', () => response.destroy());
    },
  ],
];
const artifacts: [string, (stage: Stage) => PackRequest][] = [
  ['another signer', () => ({ signer: 'second' })],
  ['no signature', () => ({ signer: 'none' })],
  ['another identity', () => ({ identity: 'canary-identity' })],
  ['another environment', () => ({ environment: 'canary-environment' })],
  ['another repository', () => ({ repository: 'canary-repository' })],
  [
    'another key',
    () => ({ seal: 'awskms:///arn:aws:kms:eu-west-1:111122223333:key/5f0c6a3e-0000-4000-8000-00000000000f' }),
  ],
  ['an age key', ({ ageRecipient }) => ({ seal: ageRecipient })],
  ['an older one', () => ({ packedAt: Date.now() - day / 2 })],
  ['one far ahead', () => ({ revision: Date.now() + 3 * day })],
  ['one of the future', () => ({ packedAt: Date.now() + day / 2 })],
  ['an expired one', () => ({ revision: Date.now() + 1_000, packedAt: Date.now() - 7_200_000 })],
  ['a forged revocation', () => ({ revoked: 'canary-reason', signer: 'second' })],
];
const kms: [string, KmsError['code']][] = [
  ['a KMS that gives something else', 'mismatch'],
  ['a KMS that is not there', 'unavailable'],
  ['no credentials for the KMS', 'no_credentials'],
  ['a KMS that says no', 'denied'],
];

test('INV-60, INV-77, INV-83: through over thirty failures and a revocation nothing is told that may not be', async () => {
  const stage = await setStage();
  try {
    const [store, elsewhere] = await Promise.all([
      fakeStore('gs', () => true),
      fakeStore('https', () => true),
    ]);
    let failing: KmsError['code'] | undefined;
    const openKms = () => ({
      ...stage.kms,
      unwrap: (...question: Parameters<Stage['kms']['unwrap']>) =>
        failing === undefined
          ? stage.kms.unwrap(...question)
          : Promise.reject(new KmsError(failing, 'UPSTREAM-TEXT canary arn:aws:kms:eu-west-1:111122223333')),
    });
    store.object = await stage.pack({ secrets });
    const agent = stage.run(
      {
        CLEF_AGENT_SOURCE: store.address,
        CLEF_GCS_ENDPOINT: store.url,
        GOOGLE_OAUTH_ACCESS_TOKEN: credential,
      },
      { openKms },
    );
    const told: string[] = [];
    const listen = async (): Promise<void> => {
      const token = await stage.token();
      for (const path of [
        '/v1/secrets',
        '/v1/secrets/CANARY_KEY',
        '/v1/keys',
        '/v1/ready',
        '/v1/health',
        '/metrics',
        '/v1/none',
      ])
        for (const shown of [token, 'canary-wrong-token']) {
          const { status, text, headers: head } = await get(stage.port, path, shown);
          const isOwed = status === 200 && /secrets|keys/.test(path);
          told.push(JSON.stringify(head), isOwed ? '' : text);
        }
    };
    const round = async (change: () => unknown, isOver: () => boolean): Promise<void> => {
      await change();
      for (let tries = 0; tries < 400 && !isOver(); tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 10));
      await listen();
    };
    const polled = (times: number): (() => boolean) => {
      const before = store.asked.length;
      return () => store.asked.length >= before + times;
    };
    await stage.until('/v1/ready', ({ status }) => status === 200);

    const scripts: [string, Step][] = [
      ...statuses,
      ...others.map(([title, script]): [string, Step] => [title, answers(script)]),
      [
        'a redirect',
        answers((response) => response.writeHead(302, { location: elsewhere.url }).end('canary')),
      ],
    ];
    for (const [, step] of scripts) await round(() => step(stage, store), polled(2));
    store.script = undefined;
    for (const [, request] of artifacts) {
      const bytes = await stage.pack({ secrets, ...request(stage) });
      await round(() => (store.object = bytes), polled(2));
    }
    for (const [, code] of kms) {
      failing = code;
      const bytes = await stage.pack({ secrets });
      await round(
        () => (store.object = bytes),
        () => agent.lines.some((line) => line.includes(`kms_${code}`)),
      );
    }
    failing = undefined;
    const revocation = await stage.pack({ revoked: 'canary-reason', revision: Date.now() + 60_000 });
    await round(
      () => (store.object = revocation),
      () => agent.lines.some((line) => line.includes('"event":"revoked"')),
    );

    const reasons = new Set(
      [...agent.lines.join('\n').matchAll(/"reason":"([a-z_]+)"/g)].map(([, reason]) => reason),
    );
    expect([...reasons].length, [...reasons].join()).toBeGreaterThan(18);
    expect(elsewhere.asked, 'nobody is redirected, with or without a credential').toEqual([]);
    const state = join(stage.folder, 'state');
    const kept = readdirSync(state).map((name) => readFileSync(join(state, name), 'latin1'));
    const token = await stage.token();
    const everything = [...told, ...agent.lines, ...agent.printed, ...kept].join('\n');
    for (const word of [/canary/i, /UPSTREAM/, /arn:aws/, /AGE-SECRET/, /web\/production/, /gs:/])
      expect(word.exec(everything)?.[0], String(word)).toBeUndefined();
    for (const text of [token, stage.folder, store.url, elsewhere.url])
      expect(everything.includes(text)).toBe(false);
  } finally {
    await stage.close();
  }
}, 60_000);
