// The KMS of the kit: two keys in software, and the two calls that open what they wrapped (AWS Decrypt, Google decrypt). It
// checks what binds, the context, and counts its calls; it asks nobody who they are.
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { crc32c } from './crc32c.mjs';

export const awsArn = 'arn:aws:kms:eu-west-1:111122223333:key/00000001-0000-4000-8000-000000000000';
export const gcpName = 'projects/clef-vectors/locations/global/keyRings/kit/cryptoKeys/sealing';

const material = (name) => createHash('sha256').update(`clef artifact vectors: ${name}`).digest();

/** What AWS binds: the entries of the encryption context, sorted by name. */
const awsAad = (entries) => JSON.stringify([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));

/** Wraps as AWS would: `nonce` has 12 bytes and may be used once. */
export function wrapOnAws(plaintext, entries, nonce) {
  return seal(awsArn, plaintext, awsAad(entries), nonce);
}

/** Wraps as Google Cloud would, bound to additional data. */
export function wrapOnGcp(plaintext, aad, nonce) {
  return seal(gcpName, plaintext, aad, nonce);
}

function seal(name, plaintext, aad, nonce) {
  const cipher = createCipheriv('aes-256-gcm', material(name), nonce).setAAD(Buffer.from(aad));
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function open(name, blob, aad) {
  if (blob.length < 29) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', material(name), blob.subarray(0, 12));
  decipher.setAAD(Buffer.from(aad)).setAuthTag(blob.subarray(-16));
  try {
    return Buffer.concat([decipher.update(blob.subarray(12, -16)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** Starts it on 127.0.0.1. `calls()` says how often it was asked since it was last asked for that. */
export async function startKms() {
  let calls = 0;
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      calls += 1;
      const body = Buffer.concat(chunks).toString();
      const isAws = request.headers['x-amz-target'] === 'TrentService.Decrypt';
      const [status, answer] = isAws ? decryptOnAws(body) : decryptOnGcp(request.url, body);
      response.writeHead(status, {
        'content-type': isAws ? 'application/x-amz-json-1.1' : 'application/json',
      });
      response.end(JSON.stringify(answer));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  return {
    /** For the implementation under test. */
    variables: {
      AWS_ENDPOINT_URL_KMS: url,
      AWS_ACCESS_KEY_ID: 'AKIAVECTORS',
      AWS_SECRET_ACCESS_KEY: 'vectors',
      CLEF_GCP_KMS_ENDPOINT: url,
      GOOGLE_OAUTH_ACCESS_TOKEN: 'vectors',
    },
    calls() {
      const made = calls;
      calls = 0;
      return made;
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

function decryptOnAws(body) {
  const { KeyId, CiphertextBlob, EncryptionContext = {} } = JSON.parse(body);
  if (KeyId !== awsArn) return [400, { __type: 'NotFoundException' }];
  const blob = Buffer.from(CiphertextBlob, 'base64');
  const plaintext = open(awsArn, blob, awsAad(Object.entries(EncryptionContext)));
  if (plaintext === undefined) return [400, { __type: 'InvalidCiphertextException' }];
  return [
    200,
    { KeyId: awsArn, Plaintext: plaintext.toString('base64'), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' },
  ];
}

function decryptOnGcp(path, body) {
  if (path !== `/v1/${gcpName}:decrypt`) return [404, { error: { status: 'NOT_FOUND' } }];
  const { ciphertext, additionalAuthenticatedData = '' } = JSON.parse(body);
  const blob = Buffer.from(ciphertext, 'base64');
  const plaintext = open(gcpName, blob, Buffer.from(additionalAuthenticatedData, 'base64'));
  if (plaintext === undefined) return [400, { error: { status: 'INVALID_ARGUMENT' } }];
  return [200, { plaintext: plaintext.toString('base64'), plaintextCrc32c: String(crc32c(plaintext)) }];
}
