// Who signs artifacts: the KMS key that clef.yaml names, else an Ed25519 key from the file that CLEF_SIGNING_KEY_FILE names,
// else one from the configuration folder. A private key is never an argument and never a variable's value.
import { isAbsolute, join } from 'node:path';
import {
  ArtifactError,
  createEd25519Signer,
  createKmsSigner,
  generateEd25519KeyPair,
  type Signer,
} from '@clef/artifact';
import {
  createFileExclusive,
  ensurePrivateDirectory,
  HostError,
  readRegularFile,
  statRegularFile,
} from '@clef/host';
import type { KeyReference } from '@clef/kms';
import { ClefError } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import type { World } from '../world.ts';
import { openCloudKeys } from './cloud-keys.ts';
import { configFolder } from './config-folder.ts';

const maxSigningKeyBytes = 16 * 1024;

/**
 * The signer of this person or job: `kmsKey`, which is "sign" of the service's environment, or an Ed25519 key of their own.
 * @throws {ClefError} `signing_key`, `io`; for a KMS key `kms_denied`, `kms_unavailable`, `kms_mismatch`, `not_supported`.
 */
export async function findSigner(world: World, kmsKey?: KeyReference): Promise<Signer> {
  if (kmsKey === undefined) return findOwnSigner(world);
  try {
    return await createKmsSigner(kmsKey, openCloudKeys(world));
  } catch (error) {
    throw fromGroundError(error, { action: 'sign' });
  }
}

async function findOwnSigner(world: World): Promise<Signer> {
  const path = signingKeyPath(world);
  let pem: Uint8Array;
  try {
    pem = await readRegularFile(path, { maxBytes: maxSigningKeyBytes });
  } catch (error) {
    if (error instanceof HostError && error.code === 'not_found') throw missing(path);
    throw fromGroundError(error, { action: `read the signing key "${path}"`, file: path });
  }
  await warnIfReadable(world, path);
  try {
    return createEd25519Signer(pem);
  } catch (error) {
    if (!(error instanceof ArtifactError)) throw error;
    throw new ClefError({
      code: 'signing_key',
      message: `Cannot sign with "${path}": ${error.message}`,
      hint: 'give an Ed25519 private key in PEM (PKCS #8), not wrapped with a passphrase',
      location: { file: path },
    });
  } finally {
    pem.fill(0);
  }
}

/** The public half of the person's signing key, which is made in the configuration folder where there is none. */
export async function defaultVerifyKey(
  world: World,
): Promise<{ readonly verifyKey: string; readonly made: boolean }> {
  const path = signingKeyPath(world);
  if (world.environment['CLEF_SIGNING_KEY_FILE'] !== undefined || (await isThere(path))) {
    return { verifyKey: (await findSigner(world)).verifyKey.text, made: false };
  }
  const { privateKeyPem, verifyKey } = generateEd25519KeyPair();
  try {
    await ensurePrivateDirectory(configFolder(world));
    await createFileExclusive(path, privateKeyPem, { mode: 0o600 });
  } catch (error) {
    throw fromGroundError(error, { action: `write the signing key "${path}"`, file: path });
  } finally {
    privateKeyPem.fill(0);
  }
  return { verifyKey, made: true };
}

function signingKeyPath(world: World): string {
  const given = world.environment['CLEF_SIGNING_KEY_FILE'];
  if (given === undefined) return join(configFolder(world), 'signing-key.pem');
  if (given.includes('PRIVATE KEY')) {
    throw new ClefError({
      code: 'private_key_given',
      message: 'CLEF_SIGNING_KEY_FILE holds a private key instead of the path of one',
      hint: 'put the key into a file that only you can read, and treat this key as leaked',
    });
  }
  return isAbsolute(given) ? given : join(world.cwd, given);
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await statRegularFile(path)) !== undefined;
  } catch (error) {
    throw fromGroundError(error, { action: `look for the signing key "${path}"`, file: path });
  }
}

async function warnIfReadable(world: World, path: string): Promise<void> {
  const facts = await statRegularFile(path);
  if (facts === undefined || (facts.mode & 0o077) === 0 || world.platform === 'win32') return;
  world.notify({
    level: 'warning',
    message: `the signing key "${path}" can be read by others; run: chmod 600 "${path}"`,
  });
}

function missing(path: string): ClefError {
  return new ClefError({
    code: 'signing_key',
    message: `There is no signing key in "${path}"`,
    hint: 'set CLEF_SIGNING_KEY_FILE to an Ed25519 private key whose public half is among the "verify" keys in clef.yaml',
  });
}
