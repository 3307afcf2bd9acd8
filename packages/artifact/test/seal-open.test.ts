// Sealing and opening as they should go: what is sealed comes back, to the right opener only, and says little.
import { randomBytes } from 'node:crypto';
import { parseKeyReference } from '@clef/kms';
import { generateHybridIdentity, generateX25519Identity } from 'age-encryption';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { ArtifactHeader } from '../src/index.ts';
import {
  artifactContext,
  inspectArtifact,
  openArtifact,
  parseAgeIdentity,
  parseArtifact,
  sealArtifact,
} from '../src/index.ts';
import {
  header,
  kmsKey,
  memoryKms,
  newP256Signer,
  newSigner,
  payloadOf,
  policyWith,
  seal,
  sha256,
  signed,
  signer,
} from './workshop.ts';

const oddSecrets = new Map([
  ['__proto__', 'data'],
  ['constructor', 'x'],
  ['toString', 'y'],
  ['hasOwnProperty', 'z'],
  ['MULTI', 'line one\r\nline two\u2028 '],
  ['JSON', '{"a":"\\u0000"}'],
  ['_', '🔑'],
]);

describe('sealing and opening', () => {
  it('gives back what was sealed, with one call each way', async () => {
    const kms = memoryKms();
    const artifact = await seal(kms, { secrets: oddSecrets });
    expect(kms.calls).toBe(1);
    const opened = await openArtifact(artifact, policyWith(), { kms });
    expect(kms.calls).toBe(2);
    expect([...opened.secrets]).toEqual([...oddSecrets]);
    expect(opened).toMatchObject({
      header,
      epoch: 0,
      payloadDigest: inspectArtifact(artifact).payloadDigest,
    });
  });

  it('INV-75: a name such as __proto__ is a name like any other', async () => {
    const kms = memoryKms();
    const { secrets } = await openArtifact(await seal(kms, { secrets: oddSecrets }), policyWith(), { kms });
    expect(secrets.get('__proto__')).toBe('data');
    expect(secrets.get('valueOf')).toBeUndefined();
  });

  it('gives back any map of names and values', async () => {
    const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/);
    const value = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 200 })
      .filter((text) => !text.includes('\0'));
    const kms = memoryKms();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 20 }), async (entries) => {
        const secrets = new Map(entries);
        const opened = await openArtifact(await seal(kms, { secrets }), policyWith(), { kms });
        expect(opened.secrets).toEqual(secrets);
      }),
      { numRuns: 15 },
    );
  });

  it.each([
    ['Ed25519', newSigner()],
    ['ECDSA P-256', newP256Signer()],
  ])('verifies signatures of %s', async (_, by) => {
    const kms = memoryKms();
    const artifact = await seal(kms, { signer: by });
    const opened = await openArtifact(artifact, policyWith({ verifyKeys: [by.verifyKey] }), { kms });
    expect(opened.secrets.size).toBe(1);
  });

  it('seals to an age recipient without any KMS, X25519 and post-quantum', async () => {
    for (const identity of [await generateX25519Identity(), await generateHybridIdentity()]) {
      const { recipient, identity: ageIdentity } = await parseAgeIdentity(
        `# made for a test\r\n${identity}\r\n`,
      );
      const artifact = await seal(memoryKms(), { sealingKey: recipient });
      expect(payloadOf(artifact).seal).toEqual({ key: recipient.text });
      const opened = await openArtifact(artifact, policyWith({ sealingKey: recipient, ageIdentity }), {});
      expect(opened.secrets.size).toBe(1);
    }
  });

  it('the epoch is the highest position among the keys that signed', async () => {
    const kms = memoryKms();
    const [old, next] = [newSigner(), newSigner()];
    const byOld = await seal(kms, { signer: old });
    const verifyKeys = [old.verifyKey, next.verifyKey];
    expect((await openArtifact(byOld, policyWith({ verifyKeys }), { kms })).epoch).toBe(0);
    const byNext = await seal(kms, { signer: next });
    expect((await openArtifact(byNext, policyWith({ verifyKeys }), { kms })).epoch).toBe(1);
  });

  it('accepts an unsigned artifact only where no key is trusted and it is allowed', async () => {
    const kms = memoryKms();
    const artifact = await sealArtifact({ header, secrets: oddSecrets, sealingKey: kmsKey, kms });
    const opened = await openArtifact(artifact, policyWith({ verifyKeys: [], allowUnsigned: true }), { kms });
    expect(opened).toMatchObject({ epoch: 0 });
    await expect(openArtifact(artifact, policyWith({ allowUnsigned: true }), { kms })).rejects.toMatchObject({
      code: 'unsigned',
    });
  });
});

describe('what an artifact tells', () => {
  it('INV-35: every artifact has a key pair of its own', async () => {
    const keys: string[] = [];
    const kms = memoryKms();
    const spy = {
      wrap: async (...args: Parameters<typeof kms.wrap>) => {
        keys.push(Buffer.from(args[1]).toString());
        return await kms.wrap(...args);
      },
    };
    for (let index = 0; index < 20; index += 1) await seal({ ...kms, ...spy });
    expect(new Set(keys).size).toBe(20);
    expect(keys.every((key) => /^AGE-SECRET-KEY-PQ-1[A-Z0-9]{58}$/.test(key))).toBe(true);
  });

  it('INV-35: the bytes of the one-time key are wiped after wrapping, those from the KMS after opening', async () => {
    const seen: Uint8Array[] = [];
    const kms = memoryKms();
    const keep = {
      wrap: async (...args: Parameters<typeof kms.wrap>) => {
        seen.push(args[1]);
        return await kms.wrap(...args);
      },
      unwrap: async (...args: Parameters<typeof kms.unwrap>) => {
        const key = await kms.unwrap(...args);
        seen.push(key);
        return key;
      },
    };
    await openArtifact(await seal(keep), policyWith(), { kms: keep });
    expect(seen).toHaveLength(2);
    expect(seen.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
  });

  it('INV-84: the bytes of the values are wiped when they have been read', async () => {
    const kms = memoryKms();
    const artifact = await seal(kms);
    const reading = vi.spyOn(Buffer.prototype, 'toString');
    let read: readonly Buffer[];
    try {
      await openArtifact(artifact, policyWith(), { kms });
    } finally {
      const { contexts, results } = reading.mock;
      read = (contexts as Buffer[]).filter((_, index) =>
        String(results[index]?.value).includes('postgres://'),
      );
      reading.mockRestore();
    }
    expect(read.length).toBeGreaterThan(0);
    expect(read.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
  });

  it('fits the one-time key, with a hash before it, into the 4,096 bytes of AWS', async () => {
    const kms = memoryKms();
    const wrap = async (...args: Parameters<typeof kms.wrap>): Promise<Uint8Array> => {
      expect(args[1].length + 32).toBeLessThanOrEqual(4096);
      expect(args[1].length).toBe(77);
      return await kms.wrap(...args);
    };
    await seal({ ...kms, wrap });
  });

  it('INV-42: two payloads within a step of 4,096 bytes are equally long', async () => {
    const kms = memoryKms();
    const short = await seal(kms, { secrets: new Map([['A', 'x']]) });
    const long = await seal(kms, { secrets: new Map([['DB_PASSWORD', 'y'.repeat(3000)]]) });
    expect(short.length).toBe(long.length);
    expect((await seal(kms, { secrets: new Map([['A', 'x'.repeat(5000)]]) })).length).toBeGreaterThan(
      short.length,
    );
  });

  it('shows neither the names nor the values of secrets', async () => {
    const artifact = await seal(memoryKms(), { secrets: new Map([['CANARY_NAME', 'canary-value']]) });
    const visible = Buffer.from(artifact).toString() + JSON.stringify(payloadOf(artifact));
    expect(visible).not.toMatch(/canary/i);
    expect(inspectArtifact(artifact)).toMatchObject({
      isVerified: false,
      header,
      sealingKey: kmsKey.text,
      keyIds: [signer.verifyKey.keyId],
    });
  });

  it('has the fields of formats.md, in their order', async () => {
    const payload = payloadOf(await seal(memoryKms()));
    expect(Object.keys(payload)).toEqual([
      'version',
      'repository',
      'identity',
      'environment',
      'revision',
      'commit',
      'packedAt',
      'expiresAt',
      'seal',
      'ciphertext',
    ]);
    expect(Object.keys(payload.seal)).toEqual(['key', 'wrappedIdentity']);
  });
});

describe('INV-36: the wrapped key is bound to its artifact', () => {
  it('by exactly these names, the digest being that of the decoded ciphertext', async () => {
    const contexts: unknown[] = [];
    const kms = memoryKms();
    const artifact = await seal({
      ...kms,
      wrap: async (...args) => {
        contexts.push(args[2]);
        return await kms.wrap(...args);
      },
    });
    const payload = parseArtifact(artifact).payload;
    const digest = 'ciphertext' in payload ? sha256(payload.ciphertext) : '';
    const expected = {
      label: 'clef.artifact.v1',
      entries: [
        ['clef:version', '1'],
        ['clef:repository', header.repository],
        ['clef:identity', 'api-gateway'],
        ['clef:environment', 'production'],
        ['clef:revision', String(header.revision)],
        ['clef:digest', digest],
      ],
    };
    expect(contexts).toEqual([expected]);
    expect(artifactContext({ ...header, digest })).toEqual(expected);
  });

  it('a sister identity opens it neither as itself nor by claiming to be the other', async () => {
    const kms = memoryKms();
    const artifact = await seal(kms);
    // As itself: refused before the KMS is asked.
    const calls = kms.calls;
    await expect(openArtifact(artifact, policyWith({ identity: 'billing' }), { kms })).rejects.toMatchObject({
      code: 'binding',
    });
    expect(kms.calls).toBe(calls);
    // Skipping every check, with its own context: the KMS refuses.
    const payload = parseArtifact(artifact).payload;
    if (!('seal' in payload) || payload.seal.wrappedIdentity === undefined)
      throw new Error('not sealed by a KMS');
    const digest = sha256(payload.ciphertext);
    const own = artifactContext({ ...header, identity: 'billing', digest });
    await expect(kms.unwrap(kmsKey, payload.seal.wrappedIdentity, own)).rejects.toMatchObject({
      code: 'denied',
    });
    // With the other's context: the key's policy refuses, as it lets each role use its own identity only.
    const policed = {
      unwrap: async (...args: Parameters<typeof kms.unwrap>) => {
        const claimed = args[2]?.entries.find(([name]) => name === 'clef:identity')?.[1];
        if (claimed !== 'billing') throw Object.assign(new Error('AccessDenied'), { code: 'denied' });
        return await kms.unwrap(...args);
      },
    };
    await expect(openArtifact(artifact, policyWith(), { kms: policed })).rejects.toMatchObject({
      code: 'denied',
    });
  });

  const fields: readonly (readonly [string, Partial<ArtifactHeader>])[] = [
    ['repository', { repository: 'another' }],
    ['identity', { identity: 'billing' }],
    ['environment', { environment: 'staging' }],
    ['revision', { revision: header.revision + 1 }],
  ];
  it.each(fields)(
    'a wrapped key moved to an artifact with another %s does not unwrap',
    async (_, changes) => {
      const kms = memoryKms();
      const [from, to] = [await seal(kms), await seal(kms, { header: { ...header, ...changes } })];
      const moved = { ...payloadOf(to), seal: payloadOf(from).seal };
      await expect(openArtifact(await signed(moved), policyWith(changes), { kms })).rejects.toMatchObject({
        code: 'kms_denied',
      });
    },
  );

  it('a wrapped key moved to an artifact with the same header and another ciphertext does not unwrap', async () => {
    const kms = memoryKms();
    const [from, to] = [await seal(kms), await seal(kms)];
    const moved = await signed({ ...payloadOf(to), seal: payloadOf(from).seal });
    await expect(openArtifact(moved, policyWith(), { kms })).rejects.toMatchObject({ code: 'kms_denied' });
  });
});

describe('what cannot be sealed', () => {
  const canary = 'canary-value';
  const rows: readonly (readonly [string, string, string])[] = [
    ['E15: a name with "="', 'A=B', canary],
    ['E15: a name with ":"', 'a:b', canary],
    ['an empty name', '', canary],
    ['a name that begins with a digit', '1A', canary],
    ['a name of 194 characters', 'A'.repeat(194), canary],
    ['an empty value', 'A', ''],
    ['a value with NUL', 'A', `${canary}\0`],
    ['half of a surrogate pair', 'A', `${canary}\ud800`],
    ['a value larger than 256 KiB', 'A', canary.repeat(30_000)],
  ];
  it.each(rows)('%s', async (_, name, value) => {
    const kms = memoryKms();
    const error = await seal(kms, { secrets: new Map([[name, value]]) }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'bad_content' });
    expect(String(error)).not.toContain(canary);
    expect(kms.calls).toBe(0);
  });

  it('INV-42: more than 1 MiB', async () => {
    const secrets = new Map(
      Array.from({ length: 5 }, (_, index) => [`A${index}`, randomBytes(120 * 1024).toString('hex')]),
    );
    await expect(seal(memoryKms(), { secrets })).rejects.toMatchObject({ code: 'too_large' });
  });

  const headers: readonly (readonly [string, Partial<ArtifactHeader>])[] = [
    ['an expiry before packing', { expiresAt: '2020-01-01T00:00:00Z' }],
    ['revision 0', { revision: 0 }],
    ['a revision that is no integer', { revision: 1.5 }],
    ['a time with a zone', { packedAt: '2026-11-24T12:00:00+05:00' }],
    ['an empty identity', { identity: '' }],
    ['an identity with a control character', { identity: 'a\u001b[2J' }],
  ];
  it.each(headers)('a header with %s', async (_, changes) => {
    await expect(seal(memoryKms(), { header: { ...header, ...changes } })).rejects.toMatchObject({
      code: 'bad_content',
    });
  });

  it.each(['pgp:0000000000000000000000000000000000000001', signer.verifyKey.text])(
    'with the key %s',
    async (text) => {
      await expect(seal(memoryKms(), { sealingKey: parseKeyReference(text) })).rejects.toMatchObject({
        code: 'bad_content',
      });
    },
  );
});
