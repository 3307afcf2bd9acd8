import { createHash } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import * as cctv from 'cctv-age';
import { describe, expect, it } from 'vitest';
import { decryptAge, decryptArmoredAge } from '../src/age/age-encryption.ts';
import { encodeArmor } from '../src/age/age-file.ts';
import { decryptWithPassphrase, parseAgeIdentities } from '../src/index.ts';

type Vector = { readonly fields: Map<string, string[]>; readonly body: Uint8Array };

function parseVector(bytes: Uint8Array): Vector {
  const fields = new Map<string, string[]>();
  let offset = 0;
  for (;;) {
    const end = bytes.indexOf(0x0a, offset);
    const line = Buffer.from(bytes.subarray(offset, end)).toString('latin1');
    offset = end + 1;
    if (line === '') break;
    const [, name = '', value = ''] = /^([^:]+): (.*)$/.exec(line) ?? [];
    fields.set(name, [...(fields.get(name) ?? []), value]);
  }
  const body = bytes.subarray(offset);
  return { fields, body: fields.has('compressed') ? inflateSync(body) : body };
}

const vectors = Object.entries(cctv as unknown as Record<string, Uint8Array>).map(([name, bytes]) => ({
  name,
  ...parseVector(bytes),
}));

async function libraryVerdict({ fields, body }: Vector): Promise<Uint8Array | 'no_match' | 'malformed'> {
  const { armor, Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  for (const identity of fields.get('identity') ?? []) decrypter.addIdentity(identity);
  try {
    return await decrypter.decrypt(
      fields.has('armored') ? armor.decode(Buffer.from(body).toString('latin1')) : body,
    );
  } catch (error) {
    return error instanceof Error && error.message.startsWith('no identity matched')
      ? 'no_match'
      : 'malformed';
  }
}

async function ourVerdict({ fields, body }: Vector): Promise<Uint8Array | 'no_match' | 'malformed'> {
  const identities = parseAgeIdentities((fields.get('identity') ?? []).join('\n'));
  return fields.has('armored')
    ? await decryptArmoredAge(Buffer.from(body).toString('latin1'), identities)
    : await decryptAge(body, identities);
}

// Files made with a passphrase have no identity to offer: opening them is the library's business from the first byte.
const withPassphrase = vectors.filter(({ fields }) => fields.has('passphrase'));
const withKeys = vectors.filter(({ fields }) => !fields.has('passphrase'));

describe('D18: the age test kit', () => {
  it('is run as a whole', () => {
    expect(vectors).toHaveLength(143);
    console.log(
      `age test kit: ${withKeys.length} with keys by our own reader; ${withPassphrase.length} with a passphrase by the library`,
    );
    expect([withKeys.length, withPassphrase.length]).toMatchInlineSnapshot(`
      [
        117,
        26,
      ]
    `);
  });

  it.each(withKeys)('$name ends as the kit says', async (vector) => {
    const expected = vector.fields.get('expect')?.[0];
    const verdict = await ourVerdict(vector);
    if (expected === 'success') {
      const digest = createHash('sha256')
        .update(verdict as Uint8Array)
        .digest('hex');
      expect(typeof verdict).toBe('object');
      expect(digest).toBe(vector.fields.get('payload')?.[0]);
    } else expect(verdict).toBe(expected === 'no match' ? 'no_match' : 'malformed');
  });

  it.each(withPassphrase)(
    '$name, opened with its passphrase, ends as the kit says',
    async ({ fields, body }) => {
      const armored = fields.has('armored') ? Buffer.from(body).toString('latin1') : encodeArmor(body);
      const passphrase = fields.get('passphrase')?.[0] ?? '';
      const text = await decryptWithPassphrase(armored, passphrase).catch((error: unknown) => error);
      if (fields.get('expect')?.[0] === 'success') {
        expect(
          createHash('sha256')
            .update(text as string)
            .digest('hex'),
        ).toBe(fields.get('payload')?.[0]);
      } else expect(text).toMatchObject({ name: 'SopsError', code: 'bad_identity' });
    },
  );

  it.each(withKeys)('$name ends as with the age library', async (vector) => {
    const theirs = await libraryVerdict(vector);
    const ours = await ourVerdict(vector);
    if (typeof theirs === 'string') expect(ours).toBe(theirs);
    else expect(Buffer.from(ours as Uint8Array).equals(theirs)).toBe(true);
  });
});
