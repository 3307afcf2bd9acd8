// Several cells behind a slow KMS: their data keys are asked for at once, each once.
import type { RequestListener } from 'node:http';
import { expect, it } from 'vitest';
import { serve } from '../../../test/fakes/answer-json.ts';
import { exportSecrets } from '../src/secrets/export-secrets.ts';
import { fillCell, repositoryWith } from './repository-with.ts';

const names = ['one', 'two', 'three', 'four'];
const arn = 'arn:aws:kms:eu-west-1:111122223333:key/0291dd12-df25-4b8f-a315-18d83fa3bcf5';

/** Takes its time, and notes what it was asked and how many waited at once. It wraps by giving back what it was given. */
function slowKms() {
  const seen = { calls: [] as string[], open: 0, most: 0 };
  const listener: RequestListener = (request, response) => {
    const verb = String(request.headers['x-amz-target']).replace('TrentService.', '');
    seen.calls.push(verb);
    seen.open += 1;
    seen.most = Math.max(seen.most, seen.open);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { Plaintext, CiphertextBlob } = JSON.parse(Buffer.concat(chunks).toString()) as Record<
        string,
        string
      >;
      const answer = verb === 'Encrypt' ? { CiphertextBlob: Plaintext } : { Plaintext: CiphertextBlob };
      setTimeout(() => {
        seen.open -= 1;
        response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
        response.end(JSON.stringify({ KeyId: arn, ...answer }));
      }, 200);
    });
  };
  return { seen, listener };
}

it('the data keys of four cells are unwrapped in parallel, with one call each', async () => {
  const { seen, listener } = slowKms();
  const { url, stop } = await serve(listener);
  try {
    const repository = await repositoryWith(
      {},
      {
        manifest: (text) =>
          text.replace('- name: development', `- name: development\n    encrypt_to: awskms:///${arn}`),
      },
    );
    const environment = {
      ...repository.world.environment,
      AWS_ENDPOINT_URL_KMS: url,
      AWS_ACCESS_KEY_ID: 'AKIATEST',
      AWS_SECRET_ACCESS_KEY: 'test',
    };
    const open = (more: Readonly<Record<string, string>> = {}) =>
      repository.open({ environment: { ...environment, ...more } });
    for (const name of names)
      await fillCell({ open: () => open() }, `${name}/development`, { [name.toUpperCase()]: 'x' });
    Object.assign(seen, { calls: [], most: 0 });
    const [cell = '', ...also] = names.map((name) => `${name}/development`);
    // A folder without age keys: the KMS is the only way in.
    const text = await exportSecrets(await open({ CLEF_CONFIG_DIR: '/nonexistent' }), {
      cell,
      also,
      format: 'json',
    });
    expect(Object.keys(JSON.parse(text))).toEqual(names.map((name) => name.toUpperCase()));
    expect(seen.calls).toEqual(names.map(() => 'Decrypt'));
    expect(seen.most).toBe(names.length);
  } finally {
    await stop();
  }
});
