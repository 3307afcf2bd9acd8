// The main job beside independent programs: another implementation of AWS KMS, the command lines of both clouds, and the
// real sops, each of which must agree with Clef on what was wrapped, under which context, and for whom.
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { artifactContext, parseArtifact, type SealedPayload } from '@clef/artifact';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asGoogle } from '../packages/emulator/test/peers.ts';
import { type Moto, startMoto } from './moto.ts';
import { findPeer, hasPeer } from './peers.ts';
import {
  administrator,
  bare,
  clef,
  deploy,
  type Environment,
  git,
  productionUrl,
  type Ran,
  run,
  type Scene,
  setScenes,
  succeed,
} from './scene.ts';

const sops = findPeer('sops') ?? 'sops';

let aws: Scene;
let gcp: Scene;
beforeAll(async () => {
  ({ aws, gcp } = await setScenes());
});
afterAll(() => Promise.all([aws, gcp].map((scene) => scene?.close())));

function sealedPayload(artifact: Uint8Array): SealedPayload {
  const { payload } = parseArtifact(artifact);
  if ('revoked' in payload) throw new Error('a revocation');
  return payload;
}

/** The context of an artifact, rebuilt here from formats.md, for any identity. */
function contextOf({ header, ciphertext }: SealedPayload, identity: string) {
  const digest = createHash('sha256').update(ciphertext).digest('hex');
  return artifactContext({ ...header, identity, digest });
}

/** Runs a peer in a folder that is also its home. */
function peer(
  folder: string,
  environment: Environment,
  command: string,
  ...args: readonly string[]
): Promise<Ran> {
  const own = { PATH: process.env['PATH'], HOME: folder, AWS_PAGER: '' };
  return run(command, args, { cwd: folder, environment: { ...own, ...environment } });
}

describe.runIf(hasPeer('aws'))('aws kms decrypt', () => {
  let folder: string;
  let payload: SealedPayload;
  beforeAll(async () => {
    folder = await aws.newFolder();
    payload = sealedPayload(await aws.pack('api-gateway'));
    await writeFile(join(folder, 'wrapped'), payload.seal.wrappedIdentity as Uint8Array);
  });

  const decrypt = (identity: string, environment: Environment): Promise<Ran> => {
    const context = Object.fromEntries(contextOf(payload, identity).entries);
    const blob = ['--ciphertext-blob', 'fileb://wrapped', '--encryption-context', JSON.stringify(context)];
    return peer(folder, environment, 'aws', 'kms', 'decrypt', ...blob, '--output', 'json');
  };

  it('INV-36: unwraps the one-time key of an artifact under its own context, with the role of the service', async () => {
    const opened = await decrypt('api-gateway', await aws.machine('api-gateway'));
    expect(opened).toMatchObject({ exitCode: 0 });
    const { Plaintext, KeyId } = JSON.parse(opened.stdout) as Record<string, string>;
    expect(Buffer.from(Plaintext ?? '', 'base64').toString()).toMatch(/^AGE-SECRET-KEY-PQ-1[0-9A-Z]+$/);
    expect(KeyId).toBe(bare(aws.sealingKey));
  });

  it('is refused with another context by the cipher, and as another service by the policy', async () => {
    const elsewhere = await decrypt('sister', administrator(aws));
    expect(elsewhere.exitCode).not.toBe(0);
    expect(elsewhere.stderr).toContain('InvalidCiphertextException');
    const sister = await decrypt('api-gateway', await aws.machine('sister-service'));
    expect(sister.exitCode).not.toBe(0);
    expect(sister.stderr).toContain('AccessDeniedException');
  });
});

describe.runIf(hasPeer('gcloud'))('gcloud kms decrypt', () => {
  let folder: string;
  let payload: SealedPayload;
  beforeAll(async () => {
    folder = await gcp.newFolder();
    payload = sealedPayload(await gcp.pack('api-gateway'));
    await writeFile(join(folder, 'wrapped'), payload.seal.wrappedIdentity as Uint8Array);
    await writeFile(join(folder, 'token'), gcp.emulator.administrator.gcpToken);
  });

  const decrypt = async (identity: string): Promise<Ran> => {
    await writeFile(join(folder, 'context'), additionalData(payload, identity));
    const environment = {
      CLOUDSDK_CONFIG: join(folder, 'configuration'),
      CLOUDSDK_CORE_PROJECT: gcp.emulator.project,
      CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
      CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: join(folder, 'token'),
      CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: `${gcp.emulator.url}/`,
    };
    const key = bare(gcp.sealingKey).split('/').at(-1) ?? '';
    const files = ['--ciphertext-file=wrapped', '--plaintext-file=opened'];
    const place = ['--location=global', '--keyring=clef', `--key=${key}`];
    const context = '--additional-authenticated-data-file=context';
    return peer(folder, environment, 'gcloud', 'kms', 'decrypt', ...place, ...files, context);
  };

  it('INV-36: unwraps the one-time key of an artifact under its own context, and under no other', async () => {
    expect(await decrypt('api-gateway')).toMatchObject({ exitCode: 0 });
    expect(await readFile(join(folder, 'opened'), 'utf8')).toMatch(/^AGE-SECRET-KEY-PQ-1[0-9A-Z]+$/);
    const refused = await decrypt('sister');
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain('INVALID_ARGUMENT');
  });
});

/** formats.md, "Wrapping": the label and a NUL, then each value with its length before it. */
function additionalData(payload: SealedPayload, identity: string): Uint8Array {
  const { label, entries } = contextOf(payload, identity);
  const parts = entries.flatMap(([, value]) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(value));
    return [length, Buffer.from(value)];
  });
  return Buffer.concat([Buffer.from(`${label}\0`), ...parts]);
}

const cellFile = 'secrets/database/production.enc.yaml';

describe.runIf(hasPeer('sops'))('the real sops', () => {
  /** The variables with which sops is the role "writer" in each cloud. */
  const roles = {
    aws: (scene: Scene) => scene.machine('writer', 'ec2'),
    // Its SDK knows no other endpoint than Google's, so it is led to the emulator, with a token.
    gcp: async (scene: Scene) => ({
      ...(await asGoogle(scene.emulator.url)),
      SOPS_GCP_KMS_CLIENT_TYPE: 'rest',
      GOOGLE_OAUTH_ACCESS_TOKEN: scene.emulator.administrator.gcpToken,
    }),
  } as const;

  it.each(['aws', 'gcp'] as const)(
    '%s: decrypts a cell that clef wrote by role, with no age key',
    async (cloud) => {
      const scene = { aws, gcp }[cloud];
      const repository = await scene.copyOfRepository();
      const read = await peer(repository, await roles[cloud](scene), sops, 'decrypt', cellFile);
      expect(read).toEqual({ exitCode: 0, stdout: `DB_URL: ${productionUrl}\n`, stderr: '' });
    },
  );

  it.each(['aws', 'gcp'] as const)(
    '%s: writes a cell, and edits one, that clef reads by role',
    async (cloud) => {
      const scene = { aws, gcp }[cloud];
      const repository = await scene.copyOfRepository();
      const asSops = await roles[cloud](scene);
      const asClef = { ...scene.ci, ...(await scene.machine('writer')) };
      const get = (key: string): Promise<Ran> =>
        clef(repository, asClef, ['get', 'database/production', key]);

      await succeed(peer(repository, asSops, sops, 'set', cellFile, '["API_KEY"]', '"by sops: ü"'));
      expect(await get('API_KEY')).toMatchObject({ exitCode: 0, stdout: 'by sops: ü' });
      expect((await get('DB_URL')).stdout).toBe(productionUrl);

      await writeFile(join(repository, 'plain.yaml'), 'NEW: all of it by sops\n');
      const flag = cloud === 'aws' ? '--kms' : '--gcp-kms';
      const made = await succeed(
        peer(repository, asSops, sops, 'encrypt', flag, bare(scene.cellKey), 'plain.yaml'),
      );
      await deploy(join(repository, cellFile), made);
      expect(await get('NEW')).toMatchObject({
        exitCode: 0,
        stdout: 'all of it by sops',
        stderr: expect.not.stringContaining('recipients'),
      });
      const job = { ...scene.ci, ...(await scene.machine('ci-runner')) };
      const args = [
        'pack',
        'api-gateway',
        'production',
        '--allow-dirty',
        '--to',
        join(repository, 'out.json'),
      ];
      expect(await clef(repository, job, args)).toMatchObject({ exitCode: 0 });
    },
  );
});

describe.runIf(hasPeer('moto_server') && hasPeer('aws'))('moto, another AWS KMS', () => {
  let moto: Moto;
  let environment: Environment;
  let repository: string;
  const keys: string[] = [];
  beforeAll(async () => {
    moto = await startMoto();
    environment = {
      ...moto.variables('KMS'),
      AWS_REGION: 'eu-west-1',
      AWS_DEFAULT_REGION: 'eu-west-1',
    };
    for (let count = 0; count < 2; count++) {
      const made = peer(aws.folder, environment, 'aws', 'kms', 'create-key', '--output', 'json');
      keys.push(JSON.parse(await succeed(made)).KeyMetadata.Arn);
    }
    repository = await moveTo(keys as [string, string]);
  });
  afterAll(async () => {
    await moto?.close();
  });

  /** The repository with production on the first key and everything sealed to the second. */
  async function moveTo([cellKey, sealingKey]: readonly [string, string]): Promise<string> {
    const copy = await aws.copyOfRepository();
    const file = join(copy, 'clef.yaml');
    const text = (await readFile(file, 'utf8'))
      .replaceAll(bare(aws.cellKey), cellKey)
      .replaceAll(bare(aws.sealingKey), sealingKey);
    await writeFile(file, text);
    await git(copy, aws.alice, 'rm', '--quiet', '-r', 'secrets/database', 'secrets/mail');
    const writer = { ...aws.ci, ...environment };
    await succeed(clef(copy, writer, ['set', 'database/production', 'DB_URL', '--yes'], 'through moto'));
    await git(copy, aws.alice, 'add', '--all');
    await git(copy, aws.alice, 'commit', '--quiet', '--message', 'Moved');
    return copy;
  }

  it('clef pack seals with it, and the agent opens the artifact with it', async () => {
    const folder = await aws.newFolder();
    const source = join(folder, 'artifact.json');
    const job = { ...aws.ci, ...environment };
    await succeed(clef(repository, job, ['pack', 'api-gateway', 'production', '--to', source]));
    const variables = { ...environment, CLEF_AGENT_KMS_KEY: `awskms:///${keys[1]}` };
    const agent = await aws.startAgent({ source, folder, variables });
    await agent.child.waitForLine(/"event":"ready"/, 60);
    expect(await agent.ask('/v1/secrets')).toEqual({ status: 200, text: '{"DB_URL":"through moto"}' });
    expect(await agent.end()).toBe(0);
  });

  it('INV-36: aws kms decrypt unwraps with it under the context of the artifact, and under no other', async () => {
    const folder = await aws.newFolder();
    const file = join(folder, 'artifact.json');
    const job = { ...aws.ci, ...environment };
    await succeed(clef(repository, job, ['pack', 'api-gateway', 'production', '--to', file]));
    const payload = sealedPayload(await readFile(file));
    await writeFile(join(folder, 'wrapped'), payload.seal.wrappedIdentity as Uint8Array);
    const decrypt = (identity: string): Promise<Ran> => {
      const context = JSON.stringify(Object.fromEntries(contextOf(payload, identity).entries));
      const args = ['--ciphertext-blob', 'fileb://wrapped', '--encryption-context', context];
      return peer(folder, environment, 'aws', 'kms', 'decrypt', ...args);
    };
    expect((await decrypt('api-gateway')).exitCode).toBe(0);
    const refused = await decrypt('sister');
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain('InvalidCiphertext');
  });
});
