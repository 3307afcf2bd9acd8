// Signature Version 4 as the server checks it: against AWS's published examples, and with one thing wrong at a time.
import { describe, expect, it } from 'vitest';
import { verifySignature } from '../../src/aws/signature.ts';
import type { AwsCredential } from '../../src/state.ts';
import { emulator } from '../emulated.ts';
import { callAws, type Signing } from '../wire.ts';

describe("AWS's own examples", () => {
  const credential: AwsCredential = {
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
    sessionToken: undefined,
    expiresAtMs: Number.POSITIVE_INFINITY,
    caller: { role: undefined, session: 'administrator' },
  };
  const rows = [
    ['get-vanilla', 'GET', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    ['post-vanilla', 'POST', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
  ] as const;
  const verify = (method: string, signature: string) =>
    verifySignature(
      {
        method,
        path: '/',
        query: undefined,
        header: () => undefined,
        body: new Uint8Array(),
        headers: new Map([
          ['host', 'example.amazonaws.com'],
          ['x-amz-date', '20150830T123600Z'],
          [
            'authorization',
            `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=${signature}`,
          ],
        ]),
      },
      'service',
      new Map([[credential.accessKeyId, credential]]),
      Date.parse('2015-08-30T12:36:00Z'),
    );

  it.each(rows)('%s is accepted', (_, method, signature) => {
    expect(verify(method, signature)).toEqual({ credential, region: 'us-east-1' });
  });
  it.each(rows)('%s with the last digit changed is not', (_, method, signature) => {
    expect(() => verify(method, signature.replace(/.$/, '0'))).toThrow('does not match');
  });
});

describe('a request with one thing wrong', async () => {
  const cloud = await emulator();
  const minutes = (count: number): Date => new Date(Date.now() + count * 60_000);
  const rows: readonly (readonly [title: string, signing: Partial<Signing>, error: string])[] = [
    ['no Authorization', { authorization: () => undefined }, 'MissingAuthenticationTokenException'],
    ['another scheme', { authorization: () => 'Basic YTpi' }, 'IncompleteSignatureException'],
    [
      'no SignedHeaders',
      { authorization: (proper) => proper.replace(/SignedHeaders=[^,]*, /, '') },
      'IncompleteSignatureException',
    ],
    ['a short signature', { authorization: (proper) => proper.slice(0, -1) }, 'IncompleteSignatureException'],
    [
      'something after the signature',
      { authorization: (proper) => `${proper}, x=1` },
      'IncompleteSignatureException',
    ],
    ['an unknown access key', { accessKeyId: 'AKIA0000000000000000' }, 'UnrecognizedClientException'],
    ['a session token on a key without session', { sessionToken: 'abc' }, 'UnrecognizedClientException'],
    ['another secret', { secretAccessKey: 'wrong' }, 'InvalidSignatureException'],
    ['another service', { service: 'sts' }, 'InvalidSignatureException'],
    ['the scope of another day', { scopeDate: '20200101' }, 'InvalidSignatureException'],
    ['no date', { headers: { 'x-amz-date': undefined } }, 'IncompleteSignatureException'],
    [
      'a date that does not exist',
      { headers: { 'x-amz-date': '20261399T000000Z' }, scopeDate: '20261399' },
      'InvalidSignatureException',
    ],
    ['signed 6 minutes ago', { date: minutes(-6) }, 'InvalidSignatureException'],
    ['signed 6 minutes ahead', { date: minutes(6) }, 'InvalidSignatureException'],
    ['the target not signed', { unsigned: ['x-amz-target'] }, 'InvalidSignatureException'],
    ['the host not signed', { unsigned: ['host'] }, 'InvalidSignatureException'],
    [
      'a further x-amz header that is not signed',
      { headers: { 'x-amz-extra': '1' }, unsigned: ['x-amz-extra'] },
      'InvalidSignatureException',
    ],
    [
      'the hash of another payload',
      { headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } },
      'InvalidSignatureException',
    ],
    [
      'a signed header that is not there',
      { authorization: (proper) => proper.replace('host;', 'host;ghost;') },
      'InvalidSignatureException',
    ],
  ];
  it.each(rows)('%s', async (_, signing, error) => {
    const answer = await callAws(cloud, 'ListKeys', {}, signing);
    expect(answer.body['__type']).toBe(error);
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain(cloud.administrator.secretAccessKey);
  });
  it.each([
    ['4 minutes off', { date: minutes(-4) }],
    ['for another region', { region: 'us-east-1' }],
    ['a further header that is signed', { headers: { 'x-amz-extra': 'a b' } }],
  ])('accepted: %s', async (_, signing) => {
    expect((await callAws(cloud, 'ListKeys', {}, signing)).status).toBe(200);
  });
});

describe('a session', () => {
  it('is over when its time is', async () => {
    let now = Date.now();
    const cloud = await emulator({ now: () => now, sessionSeconds: 60 });
    await cloud.createRole('service-a');
    await cloud.putRolePolicy('service-a', {
      Statement: { Effect: 'Allow', Action: 'kms:ListKeys', Resource: '*' },
    });
    const { variables } = await cloud.instance('service-a', 'ecs');
    const answer = await fetch(variables['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? '', {
      headers: { authorization: variables['AWS_CONTAINER_AUTHORIZATION_TOKEN'] ?? '' },
    });
    const issued = (await answer.json()) as Record<string, string>;
    const session = {
      accessKeyId: issued['AccessKeyId'] ?? '',
      secretAccessKey: issued['SecretAccessKey'] ?? '',
      sessionToken: issued['Token'] ?? '',
    };
    expect((await callAws(cloud, 'ListKeys', {}, session)).status).toBe(200);
    const { sessionToken: _, ...withoutToken } = session;
    expect((await callAws(cloud, 'ListKeys', {}, withoutToken)).body['__type']).toBe(
      'UnrecognizedClientException',
    );
    now += 61_000;
    expect((await callAws(cloud, 'ListKeys', {}, session)).body['__type']).toBe('ExpiredTokenException');
  });
});
