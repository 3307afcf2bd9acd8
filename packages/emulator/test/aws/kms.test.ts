// AWS KMS over the wire: what each operation answers, and every malformed request with the error AWS would name.
import { encodeBase64 } from '@clef/strict';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Emulator } from '../../src/index.ts';
import { emulator } from '../emulated.ts';
import { callAws, send } from '../wire.ts';

const b64 = (text: string): string => encodeBase64(Buffer.from(text));
const fixedId = '11111111-2222-4333-8444-555555555555';

let cloud: Emulator;
beforeAll(async () => {
  cloud = await emulator({ keyId: fixedId });
});

async function ask(operation: string, body: object | string, region?: string) {
  return await callAws(cloud, operation, body, region === undefined ? {} : { region });
}

async function sealed(context?: object): Promise<string> {
  const body = { KeyId: fixedId, Plaintext: b64('x'), EncryptionContext: context };
  return (await ask('Encrypt', body)).body['CiphertextBlob'] as string;
}

describe('operations', () => {
  it('the default key has the id that was asked for', async () => {
    const { body } = await ask('DescribeKey', { KeyId: 'alias/clef' });
    expect(body['KeyMetadata']).toMatchObject({
      KeyId: fixedId,
      Arn: `arn:aws:kms:eu-west-1:111122223333:key/${fixedId}`,
      KeyState: 'Enabled',
      KeySpec: 'SYMMETRIC_DEFAULT',
      KeyUsage: 'ENCRYPT_DECRYPT',
    });
  });

  it.each([
    ['its id', fixedId],
    ['its ARN', `arn:aws:kms:eu-west-1:111122223333:key/${fixedId}`],
    ['an alias', 'alias/clef'],
    ['the ARN of an alias', 'arn:aws:kms:eu-west-1:111122223333:alias/clef'],
  ])('a key is found by %s', async (_, KeyId) => {
    const answer = await ask('Encrypt', { KeyId, Plaintext: b64('x') });
    expect(answer.body['KeyId']).toBe(cloud.awsKey.arn);
  });

  it('a new key gets an alias and is listed, page by page', async () => {
    const created = (await ask('CreateKey', { Description: 'd' })).body['KeyMetadata'] as Record<
      string,
      string
    >;
    const TargetKeyId = created['KeyId'];
    expect((await ask('CreateAlias', { AliasName: 'alias/new', TargetKeyId })).status).toBe(200);
    const aliases = (await ask('ListAliases', { KeyId: TargetKeyId })).body['Aliases'];
    expect(aliases).toEqual([
      { AliasName: 'alias/new', AliasArn: 'arn:aws:kms:eu-west-1:111122223333:alias/new', TargetKeyId },
    ]);
    const first = (await ask('ListKeys', { Limit: 1 })).body;
    expect(first).toMatchObject({ Keys: [{ KeyId: fixedId }], Truncated: true });
    const second = (await ask('ListKeys', { Limit: 1, Marker: first['NextMarker'] })).body;
    expect(second).toMatchObject({ Keys: [{ KeyId: TargetKeyId }], Truncated: false });
  });

  it('GenerateDataKey gives a key in both forms', async () => {
    const EncryptionContext = { a: '1' };
    const made = (await ask('GenerateDataKey', { KeyId: fixedId, KeySpec: 'AES_256', EncryptionContext }))
      .body;
    expect(Buffer.from(made['Plaintext'] as string, 'base64')).toHaveLength(32);
    const opened = await ask('Decrypt', { CiphertextBlob: made['CiphertextBlob'], EncryptionContext });
    expect(opened.body['Plaintext']).toBe(made['Plaintext']);
  });

  it('DisableKey and EnableKey', async () => {
    const { arn } = await cloud.createKey();
    await ask('DisableKey', { KeyId: arn });
    expect((await ask('Encrypt', { KeyId: arn, Plaintext: b64('x') })).body['__type']).toBe(
      'DisabledException',
    );
    await ask('EnableKey', { KeyId: arn });
    expect((await ask('Encrypt', { KeyId: arn, Plaintext: b64('x') })).status).toBe(200);
  });

  it('a policy that was put is the policy that one gets', async () => {
    const { arn } = await cloud.createKey();
    const Policy = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Deny', Principal: '*', Action: 'kms:Encrypt', Resource: '*' }],
    };
    expect((await ask('PutKeyPolicy', { KeyId: arn, Policy: JSON.stringify(Policy) })).status).toBe(200);
    expect(JSON.parse((await ask('GetKeyPolicy', { KeyId: arn })).body['Policy'] as string)).toEqual(Policy);
    const denied = await ask('Encrypt', { KeyId: arn, Plaintext: b64('x') });
    expect(denied.body['__type']).toBe('AccessDeniedException');
    expect(denied.body['message']).toContain('with an explicit deny in a resource-based policy');
  });

  const askSts = (form: string) =>
    callAws(cloud, '', form, {
      service: 'sts',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-amz-target': undefined },
    });

  it('GetCallerIdentity tells whose credentials they are', async () => {
    const answer = await askSts('Action=GetCallerIdentity&Version=2011-06-15');
    expect(answer.text).toContain('<Arn>arn:aws:iam::111122223333:root</Arn>');
  });

  it.each(['', 'Action=AssumeRole&Version=2011-06-15', 'Action=GetCallerIdentity'])(
    'STS refuses "%s"',
    async (form) => {
      const answer = await askSts(form);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain('<Code>InvalidAction</Code>');
    },
  );
});

describe('the encryption context', () => {
  const rows: readonly (readonly [
    title: string,
    made: object | undefined,
    given: object | undefined,
    isOpened: boolean,
  ])[] = [
    ['the same', { a: '1', b: '2' }, { a: '1', b: '2' }, true],
    ['in another order', { a: '1', b: '2' }, { b: '2', a: '1' }, true],
    ['none, and an empty one', undefined, {}, true],
    ['missing', { a: '1' }, undefined, false],
    ['in addition', undefined, { a: '1' }, false],
    ['one entry less', { a: '1', b: '2' }, { a: '1' }, false],
    ['another value', { a: '1' }, { a: '2' }, false],
    ['another case', { a: 'x' }, { a: 'X' }, false],
    ['the same letters split elsewhere', { ab: 'c' }, { a: 'bc' }, false],
    ['name and value swapped', { a: 'b' }, { b: 'a' }, false],
  ];
  it.each(rows)('%s', async (_, made, given, isOpened) => {
    const answer = await ask('Decrypt', { CiphertextBlob: await sealed(made), EncryptionContext: given });
    expect(answer.body['__type']).toBe(isOpened ? undefined : 'InvalidCiphertextException');
  });
});

describe('malformed requests', () => {
  const encrypt = { KeyId: fixedId, Plaintext: b64('x') };
  const allow = { Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' };
  const policy = (document: unknown) => ({ KeyId: fixedId, Policy: JSON.stringify(document) });
  const rows: readonly (readonly [title: string, operation: string, body: object | string, error: string])[] =
    [
      ['an operation that is not offered', 'ScheduleKeyDeletion', {}, 'UnknownOperationException'],
      ['the name of an inherited property', 'toString', {}, 'UnknownOperationException'],
      ['no JSON', 'Encrypt', 'KeyId=x', 'SerializationException'],
      ['no body', 'Encrypt', '', 'SerializationException'],
      ['a list', 'Encrypt', [], 'SerializationException'],
      ['a name twice', 'Encrypt', '{"KeyId":"a","KeyId":"b"}', 'SerializationException'],
      ['something after the object', 'ListKeys', '{} {}', 'SerializationException'],
      ['too deep', 'ListKeys', `{"Limit":${'['.repeat(9)}${']'.repeat(9)}}`, 'SerializationException'],
      ['too long', 'ListKeys', { Marker: 'x'.repeat(70_000) }, 'SerializationException'],
      ['a parameter that is not honoured', 'Encrypt', { ...encrypt, Recipient: {} }, 'ValidationException'],
      ['a dry run', 'Encrypt', { ...encrypt, DryRun: true }, 'UnsupportedOperationException'],
      ['grant tokens', 'Encrypt', { ...encrypt, GrantTokens: ['x'] }, 'UnsupportedOperationException'],
      ['no key', 'Encrypt', { Plaintext: b64('x') }, 'ValidationException'],
      ['null as key', 'Encrypt', { ...encrypt, KeyId: null }, 'ValidationException'],
      ['an empty key', 'Encrypt', { ...encrypt, KeyId: '' }, 'ValidationException'],
      ['a number as key', 'Encrypt', { ...encrypt, KeyId: 1 }, 'SerializationException'],
      ['an unknown key', 'Encrypt', { ...encrypt, KeyId: fixedId.replace('5', '6') }, 'NotFoundException'],
      ['an unknown alias', 'Encrypt', { ...encrypt, KeyId: 'alias/none' }, 'NotFoundException'],
      [
        'a key ARN of another region',
        'Encrypt',
        { ...encrypt, KeyId: `arn:aws:kms:us-east-1:111122223333:key/${fixedId}` },
        'NotFoundException',
      ],
      [
        'a key ARN of another account',
        'Encrypt',
        { ...encrypt, KeyId: `arn:aws:kms:eu-west-1:999922223333:key/${fixedId}` },
        'NotFoundException',
      ],
      [
        'an ARN of another service',
        'Encrypt',
        { ...encrypt, KeyId: 'arn:aws:s3:::bucket' },
        'InvalidArnException',
      ],
      ['no plaintext', 'Encrypt', { KeyId: fixedId }, 'ValidationException'],
      ['an empty plaintext', 'Encrypt', { ...encrypt, Plaintext: '' }, 'ValidationException'],
      [
        'a plaintext of 4,097 bytes',
        'Encrypt',
        { ...encrypt, Plaintext: b64('x'.repeat(4097)) },
        'ValidationException',
      ],
      [
        'a plaintext that is not base64',
        'Encrypt',
        { ...encrypt, Plaintext: 'not base64!' },
        'SerializationException',
      ],
      [
        'a plaintext in the wrong alphabet',
        'Encrypt',
        { ...encrypt, Plaintext: '_-==' },
        'SerializationException',
      ],
      [
        'an asymmetric algorithm',
        'Encrypt',
        { ...encrypt, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' },
        'ValidationException',
      ],
      [
        'a context that is a list',
        'Encrypt',
        { ...encrypt, EncryptionContext: [] },
        'SerializationException',
      ],
      [
        'a context with a number',
        'Encrypt',
        { ...encrypt, EncryptionContext: { a: 1 } },
        'SerializationException',
      ],
      [
        'a context with null',
        'Encrypt',
        { ...encrypt, EncryptionContext: { a: null } },
        'SerializationException',
      ],
      [
        'context names that differ in case',
        'Encrypt',
        { ...encrypt, EncryptionContext: { a: '1', A: '1' } },
        'ValidationException',
      ],
      [
        'a context of 8,193 characters',
        'Encrypt',
        { ...encrypt, EncryptionContext: { a: 'x'.repeat(8192) } },
        'ValidationException',
      ],
      ['no ciphertext', 'Decrypt', {}, 'ValidationException'],
      [
        'a ciphertext of 6,145 bytes',
        'Decrypt',
        { CiphertextBlob: b64('x'.repeat(6145)) },
        'ValidationException',
      ],
      [
        'a ciphertext that is noise',
        'Decrypt',
        { CiphertextBlob: b64('noise') },
        'InvalidCiphertextException',
      ],
      ['neither length nor kind of data key', 'GenerateDataKey', { KeyId: fixedId }, 'ValidationException'],
      [
        'both length and kind of data key',
        'GenerateDataKey',
        { KeyId: fixedId, KeySpec: 'AES_256', NumberOfBytes: 32 },
        'ValidationException',
      ],
      [
        'a data key of 0 bytes',
        'GenerateDataKey',
        { KeyId: fixedId, NumberOfBytes: 0 },
        'ValidationException',
      ],
      [
        'a data key of 1,025 bytes',
        'GenerateDataKey',
        { KeyId: fixedId, NumberOfBytes: 1025 },
        'ValidationException',
      ],
      [
        'a data key of 1.5 bytes',
        'GenerateDataKey',
        { KeyId: fixedId, NumberOfBytes: 1.5 },
        'SerializationException',
      ],
      [
        'an alias without its prefix',
        'CreateAlias',
        { AliasName: 'x', TargetKeyId: fixedId },
        'InvalidAliasNameException',
      ],
      [
        'an alias of AWS itself',
        'CreateAlias',
        { AliasName: 'alias/aws/s3', TargetKeyId: fixedId },
        'InvalidAliasNameException',
      ],
      [
        'an alias that is taken',
        'CreateAlias',
        { AliasName: 'alias/clef', TargetKeyId: fixedId },
        'AlreadyExistsException',
      ],
      [
        'an alias of an alias',
        'CreateAlias',
        { AliasName: 'alias/x', TargetKeyId: 'alias/clef' },
        'InvalidArnException',
      ],
      ['an asymmetric key', 'CreateKey', { KeySpec: 'RSA_2048' }, 'ValidationException'],
      ['a multi-region key', 'CreateKey', { MultiRegion: true }, 'UnsupportedOperationException'],
      ['a marker of somebody else', 'ListKeys', { Marker: 'abc' }, 'InvalidMarkerException'],
      ['a limit of 0', 'ListKeys', { Limit: 0 }, 'ValidationException'],
      [
        'a policy that is no JSON',
        'PutKeyPolicy',
        { KeyId: fixedId, Policy: '{' },
        'MalformedPolicyDocumentException',
      ],
      [
        'a policy without statements',
        'PutKeyPolicy',
        policy({ Statement: [] }),
        'MalformedPolicyDocumentException',
      ],
      [
        'an unknown version',
        'PutKeyPolicy',
        policy({ Version: '1', Statement: allow }),
        'MalformedPolicyDocumentException',
      ],
      [
        'NotAction',
        'PutKeyPolicy',
        policy({ Statement: { ...allow, NotAction: 'kms:*' } }),
        'MalformedPolicyDocumentException',
      ],
      [
        'an action of another service',
        'PutKeyPolicy',
        policy({ Statement: { ...allow, Action: 's3:*' } }),
        'MalformedPolicyDocumentException',
      ],
      [
        'a federated principal',
        'PutKeyPolicy',
        policy({ Statement: { ...allow, Principal: { Federated: 'x' } } }),
        'MalformedPolicyDocumentException',
      ],
      [
        'an operator that is not honoured',
        'PutKeyPolicy',
        policy({ Statement: { ...allow, Condition: { ArnLike: {} } } }),
        'MalformedPolicyDocumentException',
      ],
      [
        'a condition key that is not honoured',
        'PutKeyPolicy',
        policy({ Statement: { ...allow, Condition: { StringEquals: { 'aws:SourceIp': 'x' } } } }),
        'MalformedPolicyDocumentException',
      ],
    ];
  it.each(rows)('%s', async (_, operation, body, error) => {
    const answer = await ask(operation, body);
    expect(answer.body['__type']).toBe(error);
    expect(answer.status).toBe(400);
  });

  it('a ciphertext of another key', async () => {
    const { arn } = await cloud.createKey();
    const answer = await ask('Decrypt', { KeyId: arn, CiphertextBlob: await sealed() });
    expect(answer.body['__type']).toBe('IncorrectKeyException');
  });

  it('a ciphertext of a key that is not here', async () => {
    const other = await emulator();
    const made = await callAws(other, 'Encrypt', { KeyId: 'alias/clef', Plaintext: b64('x') });
    const answer = await ask('Decrypt', { CiphertextBlob: made.body['CiphertextBlob'] });
    expect(answer.body['__type']).toBe('AccessDeniedException');
    expect(answer.body['message']).toContain('does not exist in this region');
  });

  it('a ciphertext in another region', async () => {
    const answer = await ask('Decrypt', { CiphertextBlob: await sealed() }, 'us-east-1');
    expect(answer.body['__type']).toBe('AccessDeniedException');
  });

  it('another content type, another method, a query', async () => {
    const plain = { headers: { 'content-type': 'application/json' } };
    for (const signing of [plain, { path: '/?Action=Encrypt' }]) {
      expect((await callAws(cloud, 'ListKeys', {}, signing)).body['__type']).toBe(
        'UnknownOperationException',
      );
    }
    expect((await send(cloud.url, 'PUT', {}, '{}')).status).toBe(405);
    expect((await send(`${cloud.url}/nothing`, 'POST', {}, '{}')).status).toBe(404);
  });
});

describe('what is written about a call', () => {
  it('names only: no plaintext, ciphertext or credential', async () => {
    const calls: object[] = [];
    const own = await emulator({ onCall: (call) => calls.push(call) });
    await callAws(own, 'Encrypt', { KeyId: 'alias/clef', Plaintext: b64('x') });
    await callAws(own, 'Encrypt', { KeyId: 'alias/none', Plaintext: b64('x') });
    expect(calls).toEqual([
      { operation: 'aws.Encrypt', principal: 'arn:aws:iam::111122223333:root', outcome: 'ok' },
      { operation: 'aws.Encrypt', principal: 'arn:aws:iam::111122223333:root', outcome: 'NotFoundException' },
    ]);
    expect(own.calls()).toEqual({ 'aws.Encrypt': 2 });
  });
});
