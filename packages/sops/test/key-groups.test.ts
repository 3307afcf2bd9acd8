import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addRecipients,
  dataKeyBytes,
  decryptTree,
  encryptTree,
  formatSopsFile,
  generateAgeIdentity,
  type Keyring,
  keyGroupsOf,
  parseAgeIdentities,
  parseDecryptionOrder,
  parseSopsFile,
  type Recipients,
  rewrap,
  rotateDataKey,
  SopsError,
  type SopsFile,
  unwrapDataKey,
} from '../src/index.ts';
import { joinShares, splitForGroups } from '../src/key-groups.ts';
import { flatTree, flatValues } from './trees.ts';
import { fakeCloud } from './vectors.ts';

const sources = { now: Date.parse('2026-11-24T00:00:00Z'), randomBytes };

type Person = { readonly recipient: { type: 'age'; recipient: string }; readonly identity: string };

function person(): Person {
  const { identity, recipient } = generateAgeIdentity(randomBytes);
  return { recipient: { type: 'age', recipient }, identity };
}

function keysOf(...people: readonly Person[]): Keyring {
  return { ageIdentities: async () => parseAgeIdentities(people.map((p) => p.identity).join('\n')) };
}

const [a, b, c, d, e] = [person(), person(), person(), person(), person()];

function encrypt(recipients: Recipients): Promise<SopsFile> {
  return encryptTree(flatTree({ A: '1' }), {
    ...sources,
    format: 'yaml',
    recipients,
    keyring: { kms: fakeCloud },
  });
}

async function valuesWith(file: SopsFile, ...people: readonly Person[]): Promise<unknown> {
  const again = parseSopsFile(formatSopsFile(file), 'yaml');
  return flatValues(decryptTree(again, await unwrapDataKey(again, keysOf(...people))));
}

async function codeOf(action: Promise<unknown>): Promise<string> {
  try {
    await action;
    return 'ok';
  } catch (error) {
    if (error instanceof SopsError) return error.code;
    throw error;
  }
}

describe('key groups', () => {
  const groups = [[a.recipient, d.recipient], [b.recipient], [c.recipient]];

  it.each<[title: string, threshold: number | undefined, people: readonly Person[], code: string]>([
    ['two of three groups', 2, [a, b], 'ok'],
    ['two other ones', 2, [c, d], 'ok'],
    ['more than are needed', 2, [a, b, c], 'ok'],
    ['one group is too few', 2, [a], 'no_matching_key'],
    ['two keys of one group are one share', 2, [a, d], 'no_matching_key'],
    ['a stranger', 2, [e], 'no_matching_key'],
    ['no threshold means all', undefined, [a, b, c], 'ok'],
    ['no threshold, one missing', undefined, [a, b], 'no_matching_key'],
  ])('open by threshold: %s', async (_title, threshold, people, code) => {
    const file = await encrypt({ groups, ...(threshold === undefined ? {} : { threshold }) });
    expect(await codeOf(valuesWith(file, ...people))).toBe(code);
    expect(keyGroupsOf(file)).toEqual({ groups, threshold: threshold ?? 3 });
  });

  it.each<[title: string, recipients: Recipients, code: string]>([
    ['a threshold of one', { groups, threshold: 1 }, 'bad_shamir'],
    ['a threshold above the groups', { groups, threshold: 4 }, 'bad_shamir'],
    ['a threshold that is no number of groups', { groups, threshold: 1.5 }, 'bad_shamir'],
    ['a negative threshold', { groups, threshold: -1 }, 'bad_shamir'],
    ['an empty group', { groups: [[a.recipient], []] }, 'bad_shamir'],
    ['256 groups', { groups: Array.from({ length: 256 }, () => [a.recipient]) }, 'bad_shamir'],
    ['no group', { groups: [] }, 'no_recipients'],
    ['only empty groups', { groups: [[], []] }, 'no_recipients'],
    ['one empty group', { groups: [[]] }, 'no_recipients'],
  ])('are refused with %s', async (_title, recipients, code) => {
    expect(await codeOf(encrypt(recipients))).toBe(code);
  });

  it('are written as sops writes them', async () => {
    const file = await encrypt({
      groups: [
        [a.recipient],
        [{ type: 'gcp_kms', resourceId: 'projects/p/locations/l/keyRings/r/cryptoKeys/k' }],
      ],
    });
    const lines = Buffer.from(formatSopsFile(file)).toString('utf8').split('\n');
    const start = lines.indexOf('sops:');
    expect(lines.slice(start, start + 5).map((line) => line.trim())).toEqual([
      'sops:',
      'shamir_threshold: 2',
      'key_groups:',
      '- hc_vault: []',
      'age:',
    ]);
    expect(lines.filter((line) => line.trim() === 'age: []')).toHaveLength(1);
  });

  it('of one group are a plain list, with the threshold that was asked for', async () => {
    const file = await encrypt({ groups: [[a.recipient]], threshold: 1 });
    expect(Buffer.from(formatSopsFile(file)).toString('utf8')).toMatch(
      /\n {4}shamir_threshold: 1\n {4}age:\n/,
    );
    expect(await valuesWith(file, a)).toEqual({ A: '1' });
    const shared = await addRecipients(file, await unwrapDataKey(file, keysOf(a)), [b.recipient], sources);
    expect(keyGroupsOf(shared)).toEqual({ groups: [[a.recipient, b.recipient]], threshold: 1 });
  });

  it('C07: a file with hundreds of groups has few keys tried at a time, in which programs and services are asked', async () => {
    const many = Array.from({ length: 200 }, (_, index) => [
      {
        type: 'gcp_kms' as const,
        resourceId: `projects/p/locations/l/keyRings/r/cryptoKeys/k${index}`,
      },
    ]);
    const file = await encrypt({ groups: many, threshold: 200 });
    const calls = { total: 0, running: 0, most: 0 };
    const unwrap: typeof fakeCloud.unwrap = async (...question) => {
      calls.total += 1;
      calls.running += 1;
      calls.most = Math.max(calls.most, calls.running);
      await new Promise(setImmediate);
      calls.running -= 1;
      return fakeCloud.unwrap(...question);
    };
    const key = await unwrapDataKey(file, { kms: { ...fakeCloud, unwrap } });
    expect(flatValues(decryptTree(file, key))).toEqual({ A: '1' });
    expect(calls).toEqual({ total: 200, running: 0, most: 8 });
  });

  it('take a newcomer into the first group: new shares, the same data key, values and MAC', async () => {
    const file = await encrypt({ groups, threshold: 2 });
    const key = await unwrapDataKey(file, keysOf(a, b));
    const shared = await addRecipients(file, key, [e.recipient], sources);
    expect(keyGroupsOf(shared)).toEqual({
      groups: [[a.recipient, d.recipient, e.recipient], [b.recipient], [c.recipient]],
      threshold: 2,
    });
    expect(await valuesWith(shared, e, c)).toEqual({ A: '1' });
    expect(await codeOf(valuesWith(shared, e, a))).toBe('no_matching_key');
    expect([shared.metadata.mac, shared.metadata.lastModified]).toEqual([
      file.metadata.mac,
      file.metadata.lastModified,
    ]);
  });

  it.each<[title: string, recipients: Recipients, openers: readonly Person[], threshold: number]>([
    ['to fewer groups', { groups: [[a.recipient], [b.recipient]] }, [a, b], 2],
    ['to a plain list', [e.recipient], [e], 0],
    ['to more groups', { groups: [...groups, [e.recipient]], threshold: 3 }, [a, b, e], 3],
  ])('change %s, under the same data key or a new one', async (_title, recipients, openers, threshold) => {
    const file = await encrypt({ groups, threshold: 2 });
    const key = await unwrapDataKey(file, keysOf(a, b));
    const rewrapped = await rewrap(file, key, recipients, sources);
    expect(await valuesWith(rewrapped, ...openers)).toEqual({ A: '1' });
    expect(rewrapped.metadata.shamirThreshold).toBe(threshold);
    const sameKey = await unwrapDataKey(rewrapped, keysOf(...openers));
    expect(dataKeyBytes(sameKey)).toEqual(dataKeyBytes(key));
    const rotated = await rotateDataKey(file, key, recipients, sources);
    expect(await valuesWith(rotated, ...openers)).toEqual({ A: '1' });
    const otherKey = await unwrapDataKey(rotated, keysOf(...openers));
    expect(dataKeyBytes(otherKey)).not.toEqual(dataKeyBytes(key));
  });

  it('say how many groups opened', async () => {
    const file = await encrypt({ groups, threshold: 2 });
    await expect(unwrapDataKey(file, keysOf(a))).rejects.toMatchObject({
      message: expect.stringContaining('keys of 2 of its 3 key groups are needed, and 1 opened'),
    });
  });
});

describe('shares', () => {
  it('of any secret, any number of groups and any threshold give it back', async () => {
    const shape = fc
      .integer({ min: 2, max: 9 })
      .chain((count) => fc.tuple(fc.constant(count), fc.integer({ min: 2, max: count })));
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        shape,
        fc.nat(),
        async (secret, [count, threshold], skip) => {
          const shares = await splitForGroups(secret, {
            groups: Array.from({ length: count }, () => [a.recipient]),
            threshold,
          });
          expect(shares.map((share) => share.length)).toEqual(Array.from({ length: count }, () => 33));
          const from = skip % (count - threshold + 1);
          const some = await joinShares(shares.slice(from, from + threshold), threshold);
          expect(Buffer.from(some ?? []).equals(secret)).toBe(true);
          if (threshold === 2) return;
          const tooFew = await joinShares(shares.slice(0, threshold - 1), 0);
          expect(Buffer.from(tooFew ?? []).equals(secret)).toBe(false);
        },
      ),
      { numRuns: 50 },
    );
  });

  const share = (x: number, length = 33): Uint8Array => new Uint8Array(length).fill(7).fill(x, length - 1);

  it.each<[title: string, shares: readonly Uint8Array[], threshold: number, isJoined: boolean]>([
    ['two for different points', [share(1), share(2)], 2, true],
    ['no threshold in the file still needs two', [share(1)], 0, false],
    ['a threshold of one still needs two', [share(1)], 1, false],
    ['no threshold in the file, two shares', [share(1), share(2)], 0, true],
    ['fewer than the threshold', [share(1), share(2)], 3, false],
    ['two for the same point', [share(1), share(1)], 2, false],
    ['a share for the point of the secret itself', [share(0), share(1)], 2, false],
    ['a share that is too short', [share(1, 32), share(2)], 2, false],
    ['all of them too long', [share(1, 34), share(2, 34)], 2, false],
    ['none', [], 0, false],
  ])('are joined or refused: %s', async (_title, shares, threshold, isJoined) => {
    expect((await joinShares(shares, threshold)) !== undefined).toBe(isJoined);
  });
});

describe('tries', () => {
  const gcp = (name: string) => ({
    type: 'gcp_kms' as const,
    resourceId: `projects/p/locations/l/keyRings/r/cryptoKeys/${name}`,
  });

  /** A cloud that notes who was asked; `slow` never answers and `bad` refuses. */
  function noting(asked: string[]): Keyring {
    return {
      kms: {
        wrap: fakeCloud.wrap,
        unwrap: (recipient, wrapped) => {
          const name =
            recipient.type === 'gcp_kms' ? (recipient.resourceId.split('/').at(-1) ?? '') : recipient.type;
          asked.push(name);
          if (name.startsWith('slow')) return new Promise(() => undefined);
          if (name.startsWith('bad')) return Promise.reject(new Error('denied'));
          return fakeCloud.unwrap(recipient, wrapped);
        },
      },
    };
  }

  it.each<[title: string, names: readonly string[], asked: readonly string[]]>([
    ['the first that works ends them', ['good', 'other'], ['good']],
    ['a refusal starts the next at once', ['bad', 'good', 'other'], ['bad', 'good']],
    ['nobody waits for a slow one', ['slow', 'good', 'other'], ['slow', 'good']],
    ['nobody waits for several slow ones', ['slow', 'slow2', 'good'], ['slow', 'slow2', 'good']],
  ])('%s', async (_title, names, expected) => {
    const file = await encrypt(names.map(gcp));
    const asked: string[] = [];
    const start = performance.now();
    await unwrapDataKey(file, noting(asked));
    expect(asked).toEqual(expected);
    const slow = names.filter((name) => name.startsWith('slow')).length;
    expect(performance.now() - start).toBeLessThan(slow * 250 + 1000);
  });

  it('ask for each distinct wrapped key once, over all groups', async () => {
    const file = await encrypt({ groups: [[gcp('bad')], [gcp('good')], [a.recipient]], threshold: 2 });
    const text = Buffer.from(formatSopsFile(file)).toString('utf8');
    const stanza =
      /- gcp_kms:\n( +- resource_id: \S+bad\n(?: +\S+: .*\n)+?)(?= +hc_vault)/.exec(text)?.[1] ?? '';
    const twice = parseSopsFile(Buffer.from(text.replace(stanza, stanza + stanza)), 'yaml');
    expect(twice.metadata.keyGroups[0]).toHaveLength(2);
    const asked: string[] = [];
    await unwrapDataKey(twice, { ...noting(asked), ...keysOf(a) });
    expect(asked.sort()).toEqual(['bad', 'good']);
  });

  it.each<[order: string | undefined, asked: readonly string[]]>([
    [undefined, ['age']],
    ['kms,age', ['kms']],
    ['gcp_kms', ['good']],
    ['azure_kv,gcp_kms', ['azure_kv']],
    ['pgp,age', ['age']],
  ])('follow the order %s', async (order, expected) => {
    const recipients = [
      a.recipient,
      { type: 'kms' as const, arn: 'arn:aws:kms:eu-west-1:111122223333:key/x' },
      gcp('good'),
      { type: 'azure_kv' as const, vaultUrl: 'https://v.vault.azure.net', name: 'k', version: '1' },
    ];
    const file = await encrypt(recipients);
    const asked: string[] = [];
    const ageIdentities = async () => {
      asked.push('age');
      return parseAgeIdentities(a.identity);
    };
    await unwrapDataKey(file, {
      ...noting(asked),
      ageIdentities,
      ...(order === undefined ? {} : { order: parseDecryptionOrder(order) }),
    });
    expect(asked).toEqual(expected);
  });

  it.each([['age,age'], ['age,ege'], ['age,'], [',']])('an order of "%s" is refused', (text) => {
    expect(() => parseDecryptionOrder(text)).toThrow(SopsError);
  });
});
