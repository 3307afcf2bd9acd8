// Who may do what with an AWS key: the key's policy and the role's, together, as IAM combines them.
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { authorizeAccount, authorizeKey } from '../../src/aws/authorization.ts';
import { addAwsKey } from '../../src/aws/kms-operations.ts';
import { parsePolicy } from '../../src/policy.ts';
import { type Caller, emptyState, makeAdministrator } from '../../src/state.ts';

const account = '111122223333';
const role: Caller = { role: 'service-a', session: 'i-1' };
const administrator: Caller = { role: undefined, session: 'administrator' };

type Rule = Record<string, unknown>;
const allow = (principal: unknown, more: Rule = {}): Rule => ({
  Effect: 'Allow',
  Principal: principal,
  Action: 'kms:Decrypt',
  Resource: '*',
  ...more,
});
const own = (more: Rule = {}): Rule => ({ Effect: 'Allow', Action: 'kms:Decrypt', Resource: '*', ...more });
const root = { AWS: `arn:aws:iam::${account}:root` };
const itself = { AWS: `arn:aws:iam::${account}:role/service-a` };
const deny = { Effect: 'Deny' };
const onlyB = { Condition: { StringEquals: { 'kms:EncryptionContext:clef:identity': 'b' } } };

function attempt(
  caller: Caller,
  keyRules: readonly Rule[],
  roleRules: readonly Rule[],
  isRevoked = false,
): string {
  const state = emptyState(account, 'clef-emulator', makeAdministrator(randomBytes));
  const parse = (Statement: readonly Rule[], kind: 'key' | 'role') =>
    parsePolicy(JSON.parse(JSON.stringify({ Statement })), kind);
  const policy = roleRules.length === 0 ? undefined : parse(roleRules, 'role');
  state.roles.set('service-a', { name: 'service-a', policy, isRevoked });
  const call = { state, region: 'eu-west-1', now: 0, randomBytes };
  const key = addAwsKey(call, { policy: parse(keyRules, 'key') });
  try {
    authorizeKey(state, caller, 'kms:Decrypt', key, new Map([['clef:identity', 'a']]));
    return 'allowed';
  } catch (cause) {
    return /explicit deny in an? (identity|resource)/.exec((cause as Error).message)?.[1] ?? 'not allowed';
  }
}

describe('a role', () => {
  const rows: readonly (readonly [title: string, keyRules: Rule[], roleRules: Rule[], verdict: string])[] = [
    ['named by the key', [allow(itself)], [], 'allowed'],
    [
      'named by its session',
      [allow({ AWS: `arn:aws:sts::${account}:assumed-role/service-a/i-1` })],
      [],
      'allowed',
    ],
    [
      'named by another session',
      [allow({ AWS: `arn:aws:sts::${account}:assumed-role/service-a/i-2` })],
      [],
      'not allowed',
    ],
    [
      'one of several that are named',
      [allow({ AWS: [`arn:aws:iam::${account}:role/b`, itself.AWS] })],
      [],
      'allowed',
    ],
    ['everybody is named', [allow('*')], [], 'allowed'],
    ['another role is named', [allow({ AWS: `arn:aws:iam::${account}:role/service-b` })], [], 'not allowed'],
    [
      'the same name in another account',
      [allow({ AWS: 'arn:aws:iam::999922223333:role/service-a' })],
      [],
      'not allowed',
    ],
    ['a longer name', [allow({ AWS: `${itself.AWS}b` })], [], 'not allowed'],
    ['the account alone', [allow(root)], [], 'not allowed'],
    ['its own policy alone', [allow(administratorOnly())], [own()], 'not allowed'],
    ['the account and its own policy', [allow(root)], [own()], 'allowed'],
    ['the account by its number and its own policy', [allow({ AWS: account })], [own()], 'allowed'],
    [
      'the account, and a policy for another key',
      [allow(root)],
      [own({ Resource: 'arn:aws:kms:*:*:key/x' })],
      'not allowed',
    ],
    ['the account, and a policy for another context', [allow(root)], [own(onlyB)], 'not allowed'],
    ['named by the key for another context', [allow(itself, onlyB)], [], 'not allowed'],
    ['named, and denied by the key', [allow(itself), allow(itself, deny)], [], 'resource'],
    ['named, and denied with the whole account', [allow(itself), allow(root, deny)], [], 'resource'],
    ['named, and denied by its own policy', [allow(itself)], [own(deny)], 'identity'],
    [
      'named, and denied for another context',
      [allow(itself), allow('*', { ...deny, ...onlyB })],
      [],
      'allowed',
    ],
  ];
  it.each(rows)('%s', (_, keyRules, roleRules, verdict) => {
    expect(attempt(role, keyRules, roleRules)).toBe(verdict);
  });

  it('that is revoked is denied whatever is written', () => {
    expect(attempt(role, [allow(itself)], [own()], true)).toBe('identity');
  });
});

describe('the administrator', () => {
  it('is not locked out by a policy that forgets it', () => {
    expect(attempt(administrator, [allow(itself)], [])).toBe('allowed');
  });
  it('is denied where the policy says so', () => {
    expect(attempt(administrator, [allow(root), allow('*', deny)], [])).toBe('resource');
  });
});

describe('what concerns no key', () => {
  const list = (rules: Rule[], isRevoked: boolean): (() => void) => {
    const state = emptyState(account, 'clef-emulator', makeAdministrator(randomBytes));
    const policy = parsePolicy(JSON.parse(JSON.stringify({ Statement: rules })), 'role');
    state.roles.set('service-a', { name: 'service-a', policy, isRevoked });
    return () => authorizeAccount(state, role, 'kms:ListKeys');
  };
  it('needs the role’s own policy', () => {
    expect(list([own({ Action: 'kms:List*' })], false)).not.toThrow();
    expect(list([own()], false)).toThrow('not authorized');
    expect(list([own({ Action: 'kms:List*' })], true)).toThrow('explicit deny');
  });
});

function administratorOnly() {
  return { AWS: `arn:aws:iam::${account}:user/administrator` };
}
