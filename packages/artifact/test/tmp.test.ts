import { test, expect } from 'vitest';
import { parseKeyReference } from '@clef/kms';
import { sealArtifact, openArtifact, inspectArtifact, createEd25519Signer, generateEd25519KeyPair } from '../src/index.ts';
test('smoke', async () => {
  const pair = generateEd25519KeyPair();
  const signer = createEd25519Signer(pair.privateKeyPem);
  const key = parseKeyReference('awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab');
  const kms = { wrap: async (_k: unknown, b: Uint8Array) => Uint8Array.from(b), unwrap: async (_k: unknown, b: Uint8Array) => Uint8Array.from(b) };
  const header = { version: 1, repository: 'r', identity: 'api', environment: 'production', revision: 1000, packedAt: '2026-01-01T00:00:00Z', expiresAt: '2026-02-01T00:00:00Z' } as const;
  const t0 = performance.now();
  const bytes = await sealArtifact({ header, secrets: new Map([['A', 'b']]), sealingKey: key, kms, signer });
  const t1 = performance.now();
  console.log(bytes.length, inspectArtifact(bytes), t1 - t0);
  for (let i=0;i<3;i++){ const t=performance.now();
  const opened = await openArtifact(bytes, { repository: 'r', identity: 'api', environment: 'production', sealingKey: key, verifyKeys: [signer.verifyKey], allowUnsigned: false, now: Date.parse('2026-01-02T00:00:00Z') }, { kms });
  console.log(opened, performance.now()-t);}
  for (let i=0;i<3;i++){ const t=performance.now(); await sealArtifact({ header, secrets: new Map([['A', 'b']]), sealingKey: key, kms, signer }); console.log('seal', performance.now()-t);}
});
