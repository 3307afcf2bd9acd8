// One fault each: what is wrong with an artifact, the code that says so, and that the KMS was not asked.
import { formatTimestamp } from '@clef/strict';
import { generateHybridIdentity, generateX25519Identity } from 'age-encryption';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ArtifactCode, type OpenPolicy, openArtifact, parseAgeIdentity } from '../src/index.ts';
import {
  type CountingKms,
  envelope,
  envelopeOf,
  header,
  type Json,
  kmsKey,
  memoryKms,
  newP256Signer,
  newSigner,
  now,
  otherKmsKey,
  otherRegionKey,
  payloadOf,
  policyWith,
  seal,
  sha256,
  signed,
  signer,
} from './workshop.ts';

const day = 24 * 60 * 60 * 1000;
const kms = memoryKms();
let good: Uint8Array;

beforeAll(async () => {
  good = await seal(kms);
});

async function codeOf(
  artifact: Uint8Array,
  policy: OpenPolicy = policyWith(),
  service: CountingKms = kms,
): Promise<unknown> {
  const before = service.calls;
  try {
    await openArtifact(artifact, policy, { kms: service });
    return 'opened';
  } catch (error) {
    expect(service.calls, 'KMS calls').toBe(before);
    return (error as { code?: unknown }).code ?? error;
  }
}

const text = (value: string): Uint8Array => Buffer.from(value, 'utf8');
const goodText = (): string => Buffer.from(good).toString();

describe('the outer shell', () => {
  const rows: readonly (readonly [title: string, make: () => Uint8Array, code: ArtifactCode])[] = [
    ['E01: empty', () => text(''), 'format'],
    ['E01: {}', () => text('{}'), 'format'],
    ['E01: []', () => text('[]'), 'format'],
    ['E01: null', () => text('null'), 'format'],
    ['E01: a string', () => text('"x"'), 'format'],
    ['E01: one byte', () => text('{'), 'format'],
    ['E01: HTML', () => text('<!doctype html><title>Sign in</title>'), 'format'],
    ['E02: 1 MiB and one byte', () => new Uint8Array(1024 * 1024 + 1).fill(0x20), 'too_large'],
    ['E02: nested 100,000 deep', () => text('['.repeat(100_000)), 'too_large'],
    ['E02: 100,000 values', () => text(`[${'1,'.repeat(100_000)}1]`), 'too_large'],
    ['E03: a duplicate key', () => text(goodText().replace('{', '{"payload":"",')), 'format'],
    ['E03: text after the end', () => text(`${goodText()}x`), 'format'],
    ['E03: a second value', () => text(`${goodText()}{}`), 'format'],
    ['E03: a byte order mark', () => text(`\ufeff${goodText()}`), 'format'],
    ['E03: UTF-16', () => Buffer.from(goodText(), 'utf16le'), 'format'],
    ['E03: NaN', () => text(goodText().replace('"signatures"', '"x":NaN,"signatures"')), 'format'],
    ['E03: 1e999', () => text(goodText().replace('"signatures"', '"x":1e999,"signatures"')), 'format'],
    ['E03: a comment', () => text(`/* */${goodText()}`), 'format'],
    ['E05: an unknown field', () => text(JSON.stringify({ ...envelopeOf(good), payloads: '' })), 'format'],
    ['E22: gzip', () => Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), 'format'],
    ['another payload type', () => text(goodText().replace('v1+json', 'v2+json')), 'format'],
    ['a payload type in another case', () => text(goodText().replace('vnd.clef', 'vnd.Clef')), 'format'],
    ['no payload', () => text(JSON.stringify({ ...envelopeOf(good), payload: undefined })), 'format'],
    [
      'a payload in base64url',
      () => envelopeWith({ payload: `${envelopeOf(good).payload.slice(0, -4)}-_==` }),
      'format',
    ],
    [
      'a payload in base64 with a line break',
      () => envelopeWith({ payload: `${envelopeOf(good).payload}\n` }),
      'format',
    ],
    ['signatures that are no list', () => envelopeWith({ signatures: {} }), 'format'],
  ];
  it.each(rows)('%s', async (_, make, code) => {
    expect(await codeOf(make())).toBe(code);
  });

  it('E01: truncated at every sixteenth', async () => {
    for (let part = 0; part < 16; part += 1) {
      expect(await codeOf(good.subarray(0, Math.floor((good.length * part) / 16)))).toBe('format');
    }
  });

  it('E02: says of a large one that it is too large, whatever it holds', async () => {
    const opening = openArtifact(new Uint8Array(1024 * 1024 + 1), policyWith(), { kms });
    await expect(opening).rejects.toThrow('larger than 1048576 bytes');
  });

  it('E09: eight signatures, one of them good, are not too many', async () => {
    const { signatures } = envelopeOf(good);
    const strangers = Array.from({ length: 7 }, (_, index) => ({
      ...signatures[0],
      keyid: `${index}`.repeat(64),
    }));
    expect(await codeOf(envelopeWith({ signatures: [...strangers, ...signatures] }))).toBe('opened');
  });

  it('lists every fault at once', async () => {
    const error: unknown = await openArtifact(text('{"payload":1,"extra":2}'), policyWith(), { kms }).catch(
      (cause: unknown) => cause,
    );
    expect(error).toMatchObject({ code: 'format' });
    expect((error as { faults: string[] }).faults).toHaveLength(4);
  });

  it('E20: other white space and order of the shell change nothing, as the signed bytes are untouched', async () => {
    const { payloadType, payload, signatures } = envelopeOf(good);
    const spaced = text(JSON.stringify({ signatures, payload, payloadType }, null, 2));
    expect(await codeOf(spaced)).toBe('opened');
  });
});

function envelopeWith(changes: Json): Uint8Array {
  return text(JSON.stringify({ ...envelopeOf(good), ...changes }));
}

describe('the signature', () => {
  type Entry = { keyid: string; sig: string };
  const withSignatures = (change: (entry: Entry) => unknown): Uint8Array =>
    envelopeWith({ signatures: change(envelopeOf(good).signatures[0] as Entry) });
  const resized = (sig: string, size: number): string => {
    const bytes = Buffer.alloc(size);
    Buffer.from(sig, 'base64').copy(bytes);
    return bytes.toString('base64');
  };
  const rows: readonly (readonly [
    title: string,
    make: () => Uint8Array | Promise<Uint8Array>,
    code: ArtifactCode,
  ])[] = [
    ['E09: none', () => withSignatures(() => []), 'unsigned'],
    ['E09: an empty one', () => withSignatures(({ keyid }) => [{ keyid, sig: '' }]), 'signature'],
    ['E09: no sig', () => withSignatures(({ keyid }) => [{ keyid }]), 'signature'],
    ['E09: no keyid', () => withSignatures(({ sig }) => [{ sig }]), 'signature'],
    ['E09: null', () => withSignatures(() => [null]), 'signature'],
    [
      'E09: that of another artifact',
      async () => withSignatures(() => envelopeOf(otherGood).signatures),
      'signature',
    ],
    [
      'E09: truncated',
      () => withSignatures(({ keyid, sig }) => [{ keyid, sig: resized(sig, 63) }]),
      'signature',
    ],
    [
      'E09: 65 bytes',
      () => withSignatures(({ keyid, sig }) => [{ keyid, sig: resized(sig, 65) }]),
      'signature',
    ],
    [
      'E09: base64 that is not canonical',
      () => withSignatures(({ keyid, sig }) => [{ keyid, sig: sig.replace(/=+$/, '') }]),
      'signature',
    ],
    [
      'E09: hex',
      () => withSignatures(({ keyid, sig }) => [{ keyid, sig: Buffer.from(sig, 'base64').toString('hex') }]),
      'signature',
    ],
    [
      'E09: the right bytes under another key ID',
      () => withSignatures(({ sig }) => [{ keyid: '0'.repeat(64), sig }]),
      'signature',
    ],
    [
      'E09: a key ID in upper case',
      () => withSignatures(({ keyid, sig }) => [{ keyid: keyid.toUpperCase(), sig }]),
      'signature',
    ],
    ['E09: the same one twice', () => withSignatures((entry) => [entry, entry]), 'signature'],
    [
      'E09: nine, though one of them is good',
      () =>
        withSignatures((entry) => [
          entry,
          ...Array.from({ length: 8 }, (_, index) => ({ ...entry, keyid: `${index}`.repeat(64) })),
        ]),
      'signature',
    ],
    ['E09: an unknown field in one', () => withSignatures((entry) => [{ ...entry, cert: '' }]), 'signature'],
    ['E11: by a key of somebody else', async () => await signed(payloadOf(good), newSigner()), 'signature'],
    [
      'INV-53: the public key brought along',
      () => withSignatures((entry) => [{ ...entry, publicKey: signer.verifyKey.text }]),
      'signature',
    ],
    [
      'INV-38: over the bare payload',
      async () => {
        const payload = Buffer.from(envelopeOf(good).payload, 'base64');
        const sig = Buffer.from(await signer.sign(payload)).toString('base64');
        return envelope(payload, [{ keyid: signer.verifyKey.keyId, sig }]);
      },
      'signature',
    ],
  ];
  let otherGood: Uint8Array;
  beforeAll(async () => {
    otherGood = await seal(kms);
  });
  it.each(rows)('%s', async (_, make, code) => {
    expect(await codeOf(await make())).toBe(code);
  });

  it('E19: of an epoch that is no longer trusted', async () => {
    expect(await codeOf(good, policyWith({ verifyKeys: [newSigner().verifyKey] }))).toBe('signature');
  });

  it('without a trusted key and without leave, a signed artifact is refused too', async () => {
    expect(await codeOf(good, policyWith({ verifyKeys: [] }))).toBe('signature');
  });

  it('one valid signature among strangers is enough', async () => {
    const payload = Buffer.from(envelopeOf(good).payload, 'base64');
    const stranger = newSigner();
    const sig = Buffer.from(await stranger.sign(payload)).toString('base64');
    const both = envelope(payload, [
      { keyid: stranger.verifyKey.keyId, sig },
      ...envelopeOf(good).signatures,
    ]);
    expect(await codeOf(both)).toBe('opened');
  });

  it('INV-53: a signature is judged by the algorithm of the trusted key, never by its looks', async () => {
    const p256 = newP256Signer();
    const bySigner = await seal(kms, { signer: { ...signer, verifyKey: p256.verifyKey } });
    expect(await codeOf(bySigner, policyWith({ verifyKeys: [p256.verifyKey] }))).toBe('signature');
    const byP256 = await seal(kms, { signer: { ...p256, verifyKey: signer.verifyKey } });
    expect(await codeOf(byP256)).toBe('signature');
  });

  it('is checked before the payload is read', async () => {
    expect(await codeOf(await signed('not JSON', newSigner()))).toBe('signature');
    expect(await codeOf(await signed('not JSON'))).toBe('format');
  });
});

describe('the payload, well signed', () => {
  const change = (changes: Json): Promise<Uint8Array> => signed({ ...payloadOf(good), ...changes });
  const changeSeal = (changes: Json): Promise<Uint8Array> =>
    change({ seal: { ...payloadOf(good).seal, ...changes } });
  const base64 = (length: number): string => Buffer.alloc(length, 1).toString('base64');
  type Row = readonly [title: string, make: () => Promise<Uint8Array>, code: ArtifactCode];

  const versions: readonly unknown[] = [0, 2, '1', undefined, 1.5, -1, null];
  const formats: readonly Row[] = versions.map((version) => [
    `E04: version ${JSON.stringify(version)}`,
    () => change({ version }),
    'format',
  ]);

  const times: readonly (readonly [string, unknown])[] = [
    ['missing', undefined],
    ['empty', ''],
    ['a word', 'never'],
    ['milliseconds', now],
    ['another zone', '2026-11-24T12:00:00+05:00'],
    ['a zone of zero', '2026-11-24T12:00:00+00:00'],
    ['a small t', '2026-11-24t12:00:00Z'],
    ['a small z', '2026-11-24T12:00:00z'],
    ['a leap second', '2026-12-31T23:59:60Z'],
    ['30 February', '2027-02-30T00:00:00Z'],
    ['24:00', '2026-12-01T24:00:00Z'],
    ['a blank', '2026-11-24 12:00:00Z'],
    ['no zone', '2026-11-24T12:00:00'],
    ['a date alone', '2026-11-24'],
    ['null', null],
    ['false', false],
  ];
  const dates: readonly Row[] = times.flatMap(([title, value]): Row[] => [
    [`E08, INV-52: packedAt is ${title}`, () => change({ packedAt: value }), 'format'],
    [`E08, INV-52: expiresAt is ${title}`, () => change({ expiresAt: value }), 'format'],
  ]);

  const names = ['identity', 'environment', 'repository'] as const;
  const bindings: readonly Row[] = names.flatMap((name): Row[] => [
    [`E06: another ${name}`, () => change({ [name]: 'other' }), 'binding'],
    [`E06: ${name} in another case`, () => change({ [name]: header[name].toUpperCase() }), 'binding'],
    [`E06: ${name} with a blank after it`, () => change({ [name]: `${header[name]} ` }), 'binding'],
    [`E06: ${name} with a look-alike`, () => change({ [name]: `${header[name]}\u0301` }), 'binding'],
    [`E06: ${name} is __proto__`, () => change({ [name]: '__proto__' }), 'binding'],
    [`E06: ${name} is empty`, () => change({ [name]: '' }), 'format'],
    [`E06: ${name} is a number`, () => change({ [name]: 1 }), 'format'],
    [`E06: ${name} of 1 KB`, () => change({ [name]: 'a'.repeat(1024) }), 'format'],
    [`E06: no ${name}`, () => change({ [name]: undefined }), 'format'],
  ]);

  const revisions: readonly Row[] = [
    ...[0, -1, 1.5, '7', 2 ** 53, 1e21, null].map(
      (revision): Row => [`E07: revision ${JSON.stringify(revision)}`, () => change({ revision }), 'format'],
    ),
    ['E07, INV-49: a revision two days ahead', () => change({ revision: now + 2 * day }), 'fast_forward'],
    [
      'E08: packed in the future',
      () => change({ packedAt: formatTimestamp(now + 6 * 60_000) }),
      'not_yet_valid',
    ],
    ['E08: an expiry before packing', () => change({ expiresAt: '2020-01-01T00:00:00Z' }), 'format'],
    ['E08: an expiry at packing', () => change({ expiresAt: header.packedAt }), 'format'],
    [
      'E08: expired',
      () => change({ packedAt: '2020-01-01T00:00:00Z', expiresAt: '2020-01-02T00:00:00Z' }),
      'expired',
    ],
    [
      'E08: expired this instant',
      () => change({ packedAt: '2020-01-01T00:00:00Z', expiresAt: formatTimestamp(now) }),
      'expired',
    ],
  ];

  const seals: readonly Row[] = [
    ['E12: no seal', () => change({ seal: undefined }), 'format'],
    ['E12: no key', () => changeSeal({ key: undefined }), 'format'],
    [
      'E12: Azure',
      () => changeSeal({ key: 'azurekms://name.vault.azure.net/key/0123456789abcdef0123456789abcdef' }),
      'key_not_pinned',
    ],
    ['E12: another key', () => changeSeal({ key: otherKmsKey.text }), 'key_not_pinned'],
    ['E12: another region', () => changeSeal({ key: otherRegionKey.text }), 'key_not_pinned'],
    [
      'E12: an alias',
      () => changeSeal({ key: 'awskms:///arn:aws:kms:eu-west-1:111122223333:alias/a' }),
      'format',
    ],
    ['E12: a bare ARN', () => changeSeal({ key: kmsKey.text.slice('awskms:///'.length) }), 'format'],
    ['E12: a field "endpoint"', () => changeSeal({ endpoint: 'http://10.0.0.1' }), 'format'],
    ['E12: two seals', () => change({ seal: [payloadOf(good).seal, payloadOf(good).seal] }), 'format'],
    ['E12: an empty wrapped key', () => changeSeal({ wrappedIdentity: '' }), 'format'],
    ['E12: no wrapped key', () => changeSeal({ wrappedIdentity: undefined }), 'format'],
    ['E12: a wrapped key of 10 KB', () => changeSeal({ wrappedIdentity: base64(10 * 1024) }), 'format'],
    ['E12: a verifying key', () => changeSeal({ key: signer.verifyKey.text }), 'format'],
    ['E05: an unknown field', () => change({ keys: [] }), 'format'],
    ['E05: an unknown field with the name of a method', () => change({ toString: 1 }), 'format'],
    [
      'INV-38: a duplicate key',
      () => signed(JSON.stringify(payloadOf(good)).replace('{', '{"version":1,')),
      'format',
    ],
    ['no ciphertext', () => change({ ciphertext: undefined }), 'format'],
    ['an empty ciphertext', () => change({ ciphertext: '' }), 'format'],
    ['E14: a ciphertext that is no age file', () => change({ ciphertext: base64(100) }), 'format'],
    [
      'E14: an armored age file',
      () => change({ ciphertext: Buffer.from('-----BEGIN AGE ENCRYPTED FILE-----\n').toString('base64') }),
      'format',
    ],
  ];

  const revocations: readonly Row[] = [
    ['E18: revoked', () => revocation({ reason: 'key leaked' }), 'revoked'],
    ['E18: revoked without a reason', () => revocation({}), 'format'],
    ['E18: revoked with an empty reason', () => revocation({ reason: '' }), 'format'],
    ['E18: revoked: false', () => revocation(false), 'format'],
    ['E18: revoked: 0', () => revocation(0), 'format'],
    ['E18: revoked: ""', () => revocation(''), 'format'],
    ['E18: revoked: "soon"', () => revocation('soon'), 'format'],
    ['E18: revoked with an unknown field', () => revocation({ reason: 'x', revokedAt: 'soon' }), 'format'],
    ['E18: revoked and a ciphertext', () => change({ revoked: { reason: 'x' } }), 'format'],
    [
      'a revocation that has expired still revokes',
      () =>
        signed({
          ...header,
          packedAt: '2020-01-01T00:00:00Z',
          expiresAt: '2020-01-02T00:00:00Z',
          revoked: { reason: 'x' },
        }),
      'revoked',
    ],
    [
      'a revocation for somebody else',
      () => signed({ ...header, identity: 'billing', revoked: { reason: 'x' } }),
      'binding',
    ],
  ];
  const revocation = (revoked: unknown): Promise<Uint8Array> => signed({ ...header, revoked });

  it.each([...formats, ...dates, ...bindings, ...revisions, ...seals, ...revocations])(
    '%s',
    async (_, make, code) => {
      expect(await codeOf(await make())).toBe(code);
    },
  );

  it('E18: a revocation that nobody signed is no revocation', async () => {
    const forged = envelope(text(JSON.stringify({ ...header, revoked: { reason: 'x' } })), []);
    expect(await codeOf(forged)).toBe('unsigned');
    expect(await codeOf(await signed({ ...header, revoked: { reason: 'x' } }, newSigner()))).toBe(
      'signature',
    );
  });

  it('INV-54: where nothing can be verified, an unsigned revocation closes', async () => {
    const forged = envelope(text(JSON.stringify({ ...header, revoked: { reason: 'x' } })), []);
    const policy = policyWith({ verifyKeys: [], allowUnsigned: true });
    const error: unknown = await openArtifact(forged, policy, { kms }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'revoked' });
    // It may not lift the floor: whoever forged it would shut out every artifact to come.
    expect([error].map((it) => (it as { revision?: number }).revision)).toEqual([undefined]);
  });

  it('E18: a revocation says where the floor goes', async () => {
    const artifact = await revocation({ reason: 'x' });
    const payloadDigest = sha256(Buffer.from(envelopeOf(artifact).payload, 'base64'));
    await expect(openArtifact(artifact, policyWith(), { kms })).rejects.toMatchObject({
      epoch: 0,
      revision: header.revision,
      payloadDigest,
    });
  });

  it('INV-50: of nine artifacts, each opener accepts its own', async () => {
    for (const identity of ['a', 'b', 'c']) {
      const artifact = await seal(kms, { header: { ...header, identity } });
      for (const other of ['a', 'b', 'c']) {
        expect(await codeOf(artifact, policyWith({ identity: other }))).toBe(
          identity === other ? 'opened' : 'binding',
        );
      }
    }
  });
});

describe('who signed', () => {
  it('INV-53: that unsigned ones are allowed counts for nothing where keys are set', async () => {
    const allowed = policyWith({ allowUnsigned: true });
    expect(await codeOf(envelopeWith({ signatures: [] }), allowed)).toBe('unsigned');
    expect(await codeOf(await seal(kms, { signer: newSigner() }), allowed)).toBe('signature');
    expect(await codeOf(good, allowed)).toBe('opened');
  });
});

describe('INV-45: of several faults the first in the order of the checks is told', () => {
  it('of an artifact in which everything is wrong, as one after the other is accepted', async () => {
    const [stranger, ahead] = [newSigner(), now + 2 * day];
    const wrong = {
      ...header,
      repository: `6${header.repository.slice(1)}`,
      revision: ahead,
      expiresAt: formatTimestamp(now),
    };
    const artifact = await seal(kms, {
      header: { ...wrong, packedAt: formatTimestamp(now - 1_000) },
      sealingKey: otherKmsKey,
      signer: stranger,
    });
    const steps: readonly (readonly [code: ArtifactCode, changes: Partial<OpenPolicy>])[] = [
      ['signature', { floor: { epoch: 0, revision: ahead + 1, payloadDigest: '0'.repeat(64) } }],
      ['binding', { verifyKeys: [stranger.verifyKey] }],
      ['key_not_pinned', { repository: wrong.repository }],
      ['rollback', { sealingKey: otherKmsKey }],
      ['equivocation', { floor: { epoch: 0, revision: ahead, payloadDigest: '0'.repeat(64) } }],
      ['fast_forward', { floor: { epoch: 0, revision: ahead - 1, payloadDigest: '0'.repeat(64) } }],
      ['expired', { now: ahead }],
    ];
    let policy = policyWith();
    for (const [code, changes] of steps) {
      policy = { ...policy, ...changes };
      expect(await codeOf(artifact, policy)).toBe(code);
    }
  });
});

describe('the floor', () => {
  const old = newSigner();
  const verifyKeys = [old.verifyKey, signer.verifyKey];
  const floor = { epoch: 1, revision: header.revision, payloadDigest: '0'.repeat(64) };
  const sealedAt = (revision: number, by = signer): Promise<Uint8Array> =>
    seal(kms, { header: { ...header, revision }, signer: by });

  type FloorRow = readonly [
    title: string,
    revision: number,
    by: typeof signer,
    changes: Partial<OpenPolicy>,
    code: string,
  ];
  const rows: readonly FloorRow[] = [
    ['E07, INV-47: a lower revision', header.revision - 1, signer, { floor }, 'rollback'],
    [
      'E07, INV-46: the same revision with another payload',
      header.revision,
      signer,
      { floor },
      'equivocation',
    ],
    ['a higher revision', header.revision + 1, signer, { floor }, 'opened'],
    ['E19: a higher revision of an earlier epoch', header.revision + 1, old, { floor }, 'rollback'],
    ['INV-49: a lower revision of a later epoch', 1, signer, { floor: { ...floor, epoch: 0 } }, 'opened'],
    ['INV-48: below the least revision', 5, signer, { minRevision: 6 }, 'rollback'],
    ['INV-48: the least revision', 6, signer, { minRevision: 6 }, 'opened'],
  ];
  it.each(rows)('%s: revision %i', async (_, revision, by, changes, code) => {
    expect(await codeOf(await sealedAt(revision, by), policyWith({ verifyKeys, ...changes }))).toBe(code);
  });

  it('the very artifact that was accepted is accepted again', async () => {
    const same = {
      epoch: 0,
      revision: header.revision,
      payloadDigest: sha256(Buffer.from(envelopeOf(good).payload, 'base64')),
    };
    expect(await codeOf(good, policyWith({ floor: same }))).toBe('opened');
  });

  it('INV-54: an old revocation played again is a rollback', async () => {
    const revoked = await signed({ ...header, revision: 5, revoked: { reason: 'x' } });
    expect(await codeOf(revoked, policyWith({ verifyKeys, floor }))).toBe('rollback');
  });
});

describe('sealed to an age key', () => {
  it('another age key does not open it', async () => {
    const [owner, other] = [
      await parseAgeIdentity(await generateX25519Identity()),
      await parseAgeIdentity(await generateX25519Identity()),
    ];
    const artifact = await seal(kms, { sealingKey: owner.recipient });
    const policy = policyWith({ sealingKey: owner.recipient, ageIdentity: other.identity });
    expect(await codeOf(artifact, policy)).toBe('decrypt');
    expect(
      await codeOf(artifact, policyWith({ sealingKey: other.recipient, ageIdentity: other.identity })),
    ).toBe('key_not_pinned');
    expect(await codeOf(artifact, policyWith({ sealingKey: owner.recipient }))).toBe('bad_identity');
    const ofAnotherKind = { sealingKey: owner.recipient, ageIdentity: await generateHybridIdentity() };
    expect(await codeOf(artifact, policyWith(ofAnotherKind))).toBe('bad_identity');
  });

  it('has no wrapped key', async () => {
    const owner = await parseAgeIdentity(await generateX25519Identity());
    const payload = payloadOf(await seal(kms, { sealingKey: owner.recipient }));
    const artifact = await signed({ ...payload, seal: { ...payload.seal, wrappedIdentity: 'AAAA' } });
    expect(
      await codeOf(artifact, policyWith({ sealingKey: owner.recipient, ageIdentity: owner.identity })),
    ).toBe('format');
  });
});
