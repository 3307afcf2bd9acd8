// AWS policies: the part of the language that is honoured, read strictly (what is not understood is refused by name,
// never ignored), and the one decision over them: an explicit Deny wins, else an Allow is needed.
import type { JsonObject, JsonValue } from '@clef/strict';
import { excerpt } from '@clef/strict';

export type Policy = {
  /** As it was given, for GetKeyPolicy and the state file. */
  readonly document: JsonObject;
  readonly statements: readonly Statement[];
};

export type Statement = {
  readonly effect: 'Allow' | 'Deny';
  /** ARNs, account numbers or "*"; empty in a role's policy, where the role is the principal. */
  readonly principals: readonly string[];
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions: readonly Condition[];
};

export type Condition = {
  readonly operator: OperatorName;
  /** The part after `kms:EncryptionContext:`. */
  readonly contextKey: string;
  readonly values: readonly string[];
};

/** What a decision is about. */
export type Access = {
  readonly action: string;
  readonly resource: string;
  readonly context: ReadonlyMap<string, string>;
};

/** Thrown by `parsePolicy`; each face turns it into its own error. */
export class PolicyFault extends Error {}

type OperatorName = keyof typeof operators;

/** One row for each condition operator. A value that is absent fails the positive ones and satisfies the negative one, as in IAM. */
const operators = {
  StringEquals: (values: readonly string[], found: string | undefined) =>
    found !== undefined && values.includes(found),
  StringNotEquals: (values: readonly string[], found: string | undefined) =>
    found === undefined || !values.includes(found),
  StringLike: (values: readonly string[], found: string | undefined) =>
    found !== undefined && values.some((pattern) => matchesWildcard(pattern, found)),
  Null: (values: readonly string[], found: string | undefined) =>
    values.includes(String(found === undefined)),
} as const;

const contextPrefix = 'kms:encryptioncontext:';

/**
 * Reads a policy. A key's policy names principals, a role's must not.
 * Throws `PolicyFault` on anything that is malformed or that the emulator does not honour.
 */
export function parsePolicy(document: JsonValue, kind: 'key' | 'role'): Policy {
  const policy = expectObject(document, 'The policy');
  refuseOthers(policy, ['Version', 'Id', 'Statement'], 'the policy');
  if (
    policy['Version'] !== undefined &&
    !['2012-10-17', '2008-10-17'].includes(policy['Version'] as string)
  ) {
    throw new PolicyFault('Version must be "2012-10-17"');
  }
  const statements = listOf(policy['Statement'] ?? []);
  if (statements.length === 0) throw new PolicyFault('The policy has no Statement');
  return { document: policy, statements: statements.map((statement) => parseStatement(statement, kind)) };
}

function parseStatement(value: JsonValue, kind: 'key' | 'role'): Statement {
  const statement = expectObject(value, 'A statement');
  const known = ['Sid', 'Effect', 'Action', 'Resource', 'Condition'];
  refuseOthers(statement, kind === 'key' ? [...known, 'Principal'] : known, 'a statement');
  const effect = statement['Effect'];
  if (effect !== 'Allow' && effect !== 'Deny') throw new PolicyFault('Effect must be "Allow" or "Deny"');
  const actions = stringsOf(statement['Action'], 'Action');
  const foreign = actions.find((action) => action !== '*' && !/^kms:[A-Za-z*?]+$/.test(action));
  if (foreign !== undefined) throw new PolicyFault(`"${excerpt(foreign)}" is not an action of KMS`);
  return {
    effect,
    actions,
    principals: kind === 'key' ? parsePrincipal(statement['Principal']) : [],
    resources: stringsOf(statement['Resource'], 'Resource'),
    conditions: parseConditions(statement['Condition']),
  };
}

function parsePrincipal(value: JsonValue | undefined): readonly string[] {
  if (value === '*') return ['*'];
  const principal = expectObject(value ?? null, 'Principal');
  refuseOthers(principal, ['AWS'], 'Principal');
  const names = stringsOf(principal['AWS'], 'Principal.AWS');
  const pattern =
    /^(\*|[0-9]{12}|arn:aws:(iam::[0-9]{12}:(root|role\/.+|user\/.+)|sts::[0-9]{12}:assumed-role\/.+))$/;
  const foreign = names.find((name) => !pattern.test(name));
  if (foreign !== undefined) throw new PolicyFault(`"${excerpt(foreign)}" is not a principal`);
  return names;
}

function parseConditions(value: JsonValue | undefined): readonly Condition[] {
  if (value === undefined) return [];
  return Object.entries(expectObject(value, 'Condition')).flatMap(([operator, tests]) => {
    if (!Object.hasOwn(operators, operator)) {
      throw new PolicyFault(`The condition operator "${excerpt(operator)}" is not supported here`);
    }
    return Object.entries(expectObject(tests, operator)).map(([key, wanted]) => {
      if (!key.toLowerCase().startsWith(contextPrefix) || key.length === contextPrefix.length) {
        throw new PolicyFault(`The condition key "${excerpt(key)}" is not supported here`);
      }
      const contextKey = key.slice(contextPrefix.length);
      return { operator: operator as OperatorName, contextKey, values: stringsOf(wanted, operator) };
    });
  });
}

/** What a list of statements says about an access by whoever `isPrincipal` accepts. */
export function decide(
  statements: readonly Statement[],
  access: Access,
  isPrincipal: (statement: Statement) => boolean,
): 'deny' | 'allow' | 'silent' {
  const applying = statements.filter((statement) => isPrincipal(statement) && applies(statement, access));
  if (applying.some((statement) => statement.effect === 'Deny')) return 'deny';
  return applying.length > 0 ? 'allow' : 'silent';
}

function applies(statement: Statement, access: Access): boolean {
  return (
    statement.actions.some((action) => matchesWildcard(action.toLowerCase(), access.action.toLowerCase())) &&
    statement.resources.some((resource) => matchesWildcard(resource, access.resource)) &&
    statement.conditions.every((condition) => holds(condition, access.context))
  );
}

/** The names of condition keys, and so of context entries in them, are compared without regard to case (IAM reference). */
function holds(condition: Condition, context: ReadonlyMap<string, string>): boolean {
  const wanted = condition.contextKey.toLowerCase();
  const found = [...context].find(([name]) => name.toLowerCase() === wanted)?.[1];
  return operators[condition.operator](condition.values, found);
}

/** "*" is any run of characters, "?" any one. Linear in the pattern for each start: no backtracking over several stars. */
function matchesWildcard(pattern: string, text: string): boolean {
  let [at, inText, star, mark] = [0, 0, -1, 0];
  while (inText < text.length) {
    if (pattern[at] === '*') {
      star = at++;
      mark = inText;
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === text[inText])) {
      at += 1;
      inText += 1;
    } else if (star !== -1) {
      at = star + 1;
      inText = ++mark;
    } else return false;
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}

function expectObject(value: JsonValue, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PolicyFault(`${what} must be an object`);
  }
  return value as JsonObject;
}

function listOf(value: JsonValue): readonly JsonValue[] {
  return Array.isArray(value) ? value : [value];
}

function stringsOf(value: JsonValue | undefined, what: string): readonly string[] {
  const list = listOf(value ?? []);
  if (list.length === 0 || !list.every((item) => typeof item === 'string')) {
    throw new PolicyFault(`${what} must be a string or a list of strings`);
  }
  return list as readonly string[];
}

function refuseOthers(object: JsonObject, known: readonly string[], where: string): void {
  const other = Object.keys(object).find((name) => !known.includes(name));
  if (other !== undefined) throw new PolicyFault(`"${excerpt(other)}" is not supported in ${where} here`);
}
