// May this caller do this with this key? The key's own policy decides; where it trusts the account, the role's policy.
import { roleArn, rootArn, sessionArn } from '../identifiers.ts';
import { type Access, decide, type Policy, parsePolicy, type Statement } from '../policy.ts';
import type { AwsKey, Caller, State } from '../state.ts';
import { AwsRefusal } from './aws-refusal.ts';

/** What AWS gives a key that was created without a policy: the account, through IAM, decides. */
export function defaultKeyPolicy(account: string): Policy {
  const principal = { AWS: rootArn(account) };
  const statement = { Effect: 'Allow', Principal: principal, Action: 'kms:*', Resource: '*' };
  const document = {
    Version: '2012-10-17',
    Statement: [{ Sid: 'Enable IAM User Permissions', ...statement }],
  };
  return parsePolicy(document, 'key');
}

/** The caller's ARN, as GetCallerIdentity and refusals show it. The administrator is the account's root. */
export function callerArn(state: State, caller: Caller): string {
  if (caller.role === undefined) return rootArn(state.account);
  return sessionArn(state.account, caller.role, caller.session);
}

/**
 * Throws `AccessDeniedException` unless the access is allowed. An explicit Deny wins over everything. Then the
 * administrator is always allowed, so that no policy locks everybody out; a role needs an Allow in the key's policy that
 * names it, or one that names the account together with one in its own policy.
 */
export function authorizeKey(
  state: State,
  caller: Caller,
  action: string,
  key: AwsKey,
  context: ReadonlyMap<string, string>,
): void {
  const access: Access = { action, resource: key.arn, context };
  const { statements } = key.policy;
  const role = caller.role === undefined ? undefined : state.roles.get(caller.role);
  const own = decide(role?.policy?.statements ?? [], access, () => true);
  if (own === 'deny' || role?.isRevoked === true)
    throw denied(state, caller, access, 'an explicit deny in an identity-based policy');

  const direct = decide(statements, access, (statement) => namesCaller(statement, state, caller));
  const throughAccount = decide(statements, access, (statement) => namesAccount(statement, state));
  if (direct === 'deny' || throughAccount === 'deny')
    throw denied(state, caller, access, 'an explicit deny in a resource-based policy');
  if (caller.role === undefined || direct === 'allow') return;
  if (own === 'allow' && throughAccount === 'allow') return;
  throw denied(state, caller, access, undefined);
}

/** For actions that concern no key, such as CreateKey: the administrator, or a role whose own policy allows it. */
export function authorizeAccount(state: State, caller: Caller, action: string): void {
  if (caller.role === undefined) return;
  const access: Access = { action, resource: '*', context: new Map() };
  const role = state.roles.get(caller.role);
  const own = decide(role?.policy?.statements ?? [], access, () => true);
  if (role?.isRevoked !== true && own === 'allow') return;
  throw denied(
    state,
    caller,
    access,
    own === 'silent' ? undefined : 'an explicit deny in an identity-based policy',
  );
}

function namesCaller(statement: Statement, state: State, caller: Caller): boolean {
  const names = ['*', callerArn(state, caller)];
  if (caller.role !== undefined) names.push(roleArn(state.account, caller.role));
  return statement.principals.some((principal) => names.includes(principal));
}

function namesAccount(statement: Statement, state: State): boolean {
  return statement.principals.some((name) => name === rootArn(state.account) || name === state.account);
}

function denied(state: State, caller: Caller, access: Access, deny: string | undefined): AwsRefusal {
  const who = `User: ${callerArn(state, caller)} is not authorized to perform: ${access.action}`;
  const why =
    deny === undefined
      ? `because no resource-based policy allows the ${access.action} action`
      : `with ${deny}`;
  return new AwsRefusal('AccessDeniedException', `${who} on resource: ${access.resource} ${why}`);
}
