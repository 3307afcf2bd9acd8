// The limit of one try (catalogue F-31), which is no setting: both clouds are asked at once, as it takes its 5 seconds.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, expect, it } from 'vitest';
import { openKms, parseKeyReference } from '../src/index.ts';
import { hang, json, type ScriptedServer, startScriptedServer } from './scripted-server.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const servers: ScriptedServer[] = [];
afterAll(() => Promise.all(servers.map((server) => server.close())));

it.concurrent.each([
  ['AWS', 'awskms:///arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-4cde-8f01-23456789abcd'],
  ['Google Cloud', 'gcpkms://projects/my-project/locations/global/keyRings/ring/cryptoKeys/key'],
])('F-31: a try ends after 5 seconds, and the next may find an answer: %s', async (_, reference) => {
  const server = await startScriptedServer();
  servers.push(server);
  server.answer(hang, json(200, {}));
  const environment = {
    AWS_ENDPOINT_URL_KMS: server.url,
    AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'example',
    CLEF_GCP_KMS_ENDPOINT: server.url,
    GOOGLE_OAUTH_ACCESS_TOKEN: 'example-token',
  };
  // Node 20 collects signals that nothing holds but a timer.
  const collecting = setInterval(collectGarbage, 200);
  const kms = openKms({ environment, attempts: 2, random: () => 0 });
  const before = performance.now();
  // The answer of the second try fits nothing.
  await expect(kms.unwrap(parseKeyReference(reference), new Uint8Array(9))).rejects.toMatchObject({
    code: 'mismatch',
  });
  clearInterval(collecting);
  expect(performance.now() - before).toBeLessThan(9000);
  expect(server.asked).toHaveLength(2);
});
