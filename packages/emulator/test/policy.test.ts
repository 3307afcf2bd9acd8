// AWS policies: which statements apply to an access, and that a Deny wins.
import { describe, expect, it } from 'vitest';
import { processorTime } from '../../../test/processor-time.ts';
import { decide, parsePolicy } from '../src/policy.ts';

const base = { Effect: 'Allow', Action: 'kms:Decrypt', Resource: '*' };
const forContext = (operator: string, name: string, value: string | readonly string[]) => ({
  ...base,
  Condition: { [operator]: { [`kms:EncryptionContext:${name}`]: value } },
});
type Verdict = 'deny' | 'allow' | 'silent';

const rows: readonly (readonly [title: string, statements: object[], verdict: Verdict])[] = [
  ['the action itself', [base], 'allow'],
  ['the action in another case', [{ ...base, Action: 'kms:decrypt' }], 'allow'],
  ['another action', [{ ...base, Action: 'kms:Encrypt' }], 'silent'],
  ['one of several actions', [{ ...base, Action: ['kms:Encrypt', 'kms:Decrypt'] }], 'allow'],
  ['a pattern of actions', [{ ...base, Action: 'kms:De*' }], 'allow'],
  ['a pattern that does not fit', [{ ...base, Action: 'kms:De?' }], 'silent'],
  ['every action', [{ ...base, Action: '*' }], 'allow'],
  ['this resource', [{ ...base, Resource: 'arn:aws:kms:eu-west-1:111122223333:key/k' }], 'allow'],
  ['a pattern of resources', [{ ...base, Resource: 'arn:aws:kms:*:111122223333:key/*' }], 'allow'],
  ['another resource', [{ ...base, Resource: 'arn:aws:kms:eu-west-1:111122223333:key/x' }], 'silent'],
  ['a context entry that is equal', [forContext('StringEquals', 'clef:identity', 'a')], 'allow'],
  ['one of several values', [forContext('StringEquals', 'clef:identity', ['b', 'a'])], 'allow'],
  ['a context entry in another case', [forContext('StringEquals', 'clef:identity', 'A')], 'silent'],
  ['the name of the entry in another case', [forContext('StringEquals', 'Clef:Identity', 'a')], 'allow'],
  ['a context entry that is missing', [forContext('StringEquals', 'clef:revision', '1')], 'silent'],
  ['an entry that must be otherwise and is', [forContext('StringNotEquals', 'clef:identity', 'b')], 'allow'],
  [
    'an entry that must be otherwise and is missing',
    [forContext('StringNotEquals', 'clef:revision', '1')],
    'allow',
  ],
  ['an entry like a pattern', [forContext('StringLike', 'clef:environment', 'prod*')], 'allow'],
  ['an entry that must be absent and is not', [forContext('Null', 'clef:identity', 'true')], 'silent'],
  ['an entry that must be present and is', [forContext('Null', 'clef:identity', 'false')], 'allow'],
  [
    'two conditions of which one fails',
    [
      {
        ...base,
        Condition: {
          StringEquals: {
            'kms:EncryptionContext:clef:identity': 'a',
            'kms:EncryptionContext:clef:environment': 'staging',
          },
        },
      },
    ],
    'silent',
  ],
  ['a Deny beside an Allow', [base, { ...base, Effect: 'Deny' }], 'deny'],
  [
    'a Deny that does not apply',
    [base, { ...forContext('StringEquals', 'clef:identity', 'b'), Effect: 'Deny' }],
    'allow',
  ],
  [
    'a Deny for everybody else',
    [base, { ...forContext('StringNotEquals', 'clef:identity', 'a'), Effect: 'Deny' }],
    'allow',
  ],
];

describe('a policy', () => {
  it.each(rows)('%s', (_, Statement, verdict) => {
    const { statements } = parsePolicy(
      JSON.parse(JSON.stringify({ Version: '2012-10-17', Statement })),
      'role',
    );
    const context = new Map([
      ['clef:identity', 'a'],
      ['clef:environment', 'production'],
    ]);
    const access = { action: 'kms:Decrypt', resource: 'arn:aws:kms:eu-west-1:111122223333:key/k', context };
    expect(decide(statements, access, () => true)).toBe(verdict);
  });

  it('many stars do not make it slow', () => {
    const { statements } = parsePolicy(
      { Statement: [{ ...base, Resource: `${'a*'.repeat(200)}b` }] },
      'role',
    );
    const access = { action: 'kms:Decrypt', resource: 'a'.repeat(5_000), context: new Map() };
    const began = processorTime();
    expect(decide(statements, access, () => true)).toBe('silent');
    expect(processorTime() - began).toBeLessThan(500);
  });
});
