// Vault's transit engine at `team/transit` with a few keys that encrypt for real.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { JsonAnswer, Service } from './answer-json.ts';

export const vaultToken = 'example-token';

/** Encrypts and decrypts under associated data, as Vault answers. */
export function fakeVaultTransit(names: readonly string[] = ['clef']): Service {
  const secrets = new Map(names.map((name) => [name, randomBytes(32)]));
  return ({ path, headers, body }) => {
    if (headers['x-vault-token'] !== vaultToken)
      return { status: 403, value: { errors: ['permission denied'] } };
    const [, verb, name = ''] = /^\/v1\/team\/transit\/(encrypt|decrypt)\/([a-z-]+)$/.exec(path) ?? [];
    const secret = secrets.get(name);
    if (secret === undefined) return { status: 404, value: { errors: [] } };
    const aad = Buffer.from(body['associated_data'] ?? '', 'base64');
    return verb === 'encrypt'
      ? sealed(secret, aad, Buffer.from(body['plaintext'] ?? '', 'base64'))
      : opened(secret, aad, Buffer.from((body['ciphertext'] ?? '').replace(/^vault:v1:/, ''), 'base64'));
  };
}

function sealed(secret: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): JsonAnswer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(aad);
  const parts = [nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
  const ciphertext = `vault:v1:${Buffer.concat(parts).toString('base64')}`;
  return { status: 200, value: { data: { ciphertext, key_version: 1 } } };
}

function opened(secret: Uint8Array, aad: Uint8Array, bytes: Buffer): JsonAnswer {
  const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, 12)).setAAD(aad);
  try {
    decipher.setAuthTag(bytes.subarray(-16));
    const plaintext = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]);
    return { status: 200, value: { data: { plaintext: plaintext.toString('base64') } } };
  } catch {
    return { status: 400, value: { errors: ['cipher: message authentication failed'] } };
  }
}
