// Trouble on purpose: what a KMS may do to its callers (be slow, throttle, fail, hang, break off, answer nonsense), for
// chosen operations and keys. Without a rule nothing is touched.
import { json, type LoopbackRequest, type Reply } from '@clef/loopback';
import { crc32c, encodeBase64 } from '@clef/strict';
import type { Cloud } from './cloud.ts';

/** What can be made to go wrong, as flags name it. */
export const faultKinds = [
  'throttle',
  'error',
  'hang',
  'reset',
  'wrong_key',
  'wrong_plaintext',
  'bad_checksum',
  'malformed',
  'empty',
] as const;

/**
 * `throttle`: the cloud's own refusal for too many calls. `error`: 500. `hang`: no answer ever. `reset`: the connection ends in
 * the middle of the answer. `wrong_key`: the answer names another key. `wrong_plaintext`: other bytes of the same length.
 * `bad_checksum`: Google's checksums do not fit. `malformed`: 200 with HTML. `empty`: 200 with `{}`.
 */
export type FaultKind = (typeof faultKinds)[number];

/** One rule; the first that fits a call counts. */
export type FaultRule = {
  /** As calls are recorded: `aws.Decrypt`, `gcp.decrypt`; a `*` at the end fits whatever follows. */
  readonly operation: string;
  /** Absent: the call is only slow. */
  readonly kind?: FaultKind;
  /** Only calls that name this key: its ARN, its ID, or its resource name. */
  readonly key?: string;
  readonly delaySeconds?: number;
  /** For this many calls; absent: for all. */
  readonly times?: number;
};

export type Faults = {
  /** Replaces all rules. */
  set(rules: readonly FaultRule[]): void;
  /** Answers a call, or lets `answer` do so. */
  around(
    cloud: Cloud,
    request: LoopbackRequest,
    operation: string,
    answer: () => Reply | Promise<Reply>,
  ): Reply | Promise<Reply>;
};

export function makeFaults(): Faults {
  let rules: { readonly rule: FaultRule; left: number }[] = [];
  const take = (operation: string, request: LoopbackRequest): FaultRule | undefined => {
    const found = rules.find(({ rule, left }) => left > 0 && fits(rule, operation, request));
    if (found !== undefined) found.left -= 1;
    return found?.rule;
  };
  return {
    set(next) {
      rules = next.map((rule) => ({ rule, left: rule.times ?? Number.POSITIVE_INFINITY }));
    },
    around(cloud, request, operation, answer) {
      const rule = rules.length === 0 ? undefined : take(operation, request);
      return rule === undefined ? answer() : disturb(cloud, operation, rule, answer);
    },
  };
}

function fits(rule: FaultRule, operation: string, request: LoopbackRequest): boolean {
  const isOperation = rule.operation.endsWith('*')
    ? operation.startsWith(rule.operation.slice(0, -1))
    : operation === rule.operation;
  if (!isOperation || rule.key === undefined) return isOperation;
  return request.path.includes(rule.key) || Buffer.from(request.body).includes(rule.key);
}

async function disturb(
  cloud: Cloud,
  operation: string,
  { kind, delaySeconds = 0 }: FaultRule,
  answer: () => Reply | Promise<Reply>,
): Promise<Reply> {
  if (delaySeconds > 0) await new Promise((resolve) => setTimeout(resolve, delaySeconds * 1000).unref());
  if (kind === undefined) return answer();
  const change = changes[kind];
  if (change !== undefined) return change(await answer());
  cloud.record({ operation, principal: 'nobody', outcome: `fault:${kind}` });
  if (kind === 'hang') return new Promise(() => undefined);
  return refusals[kind as keyof typeof refusals](operation.startsWith('gcp.'));
}

/** Instead of an answer. */
const refusals = {
  throttle: (isGcp: boolean): Reply =>
    isGcp
      ? json(429, { error: { code: 429, message: 'Quota exceeded.', status: 'RESOURCE_EXHAUSTED' } })
      : json(400, { __type: 'ThrottlingException', message: 'Rate exceeded' }, awsType),
  error: (isGcp: boolean): Reply =>
    isGcp
      ? json(500, { error: { code: 500, message: 'Internal error.', status: 'INTERNAL' } })
      : json(500, { __type: 'KMSInternalException', message: '' }, awsType),
  malformed: (): Reply => ({ status: 200, headers: { 'Content-Type': 'text/html' }, body: '<html>' }),
  empty: (isGcp: boolean): Reply => json(200, {}, isGcp ? {} : awsType),
  reset: (): Reply => ({
    status: 200,
    headers: { 'Content-Type': 'application/json', 'Content-Length': '1000' },
    body: (sink) => {
      sink.write(Buffer.from('{"'));
      sink.end();
    },
  }),
} as const;

const awsType = { 'Content-Type': 'application/x-amz-json-1.1' };

/** What is done to a good answer; refusals of the cloud itself pass as they are. */
const changes: Partial<Record<FaultKind, (reply: Reply) => Reply>> = {
  wrong_key: (reply) =>
    edit(reply, (fields) => {
      const { KeyId, name } = fields;
      if (typeof KeyId === 'string') fields['KeyId'] = `${KeyId}0`;
      if (typeof name === 'string')
        fields['name'] = name.replace('/cryptoKeyVersions/', '0/cryptoKeyVersions/');
    }),
  wrong_plaintext: (reply) =>
    edit(reply, (fields) => {
      for (const name of ['Plaintext', 'plaintext']) {
        const text = fields[name];
        if (typeof text !== 'string') continue;
        const other = Buffer.from(text, 'base64').map((byte) => byte ^ 0xff);
        fields[name] = encodeBase64(other);
        if (name === 'plaintext') fields['plaintextCrc32c'] = String(crc32c(other));
      }
    }),
  bad_checksum: (reply) =>
    edit(reply, (fields) => {
      for (const name of Object.keys(fields).filter((field) => field.endsWith('Crc32c')))
        fields[name] = typeof fields[name] === 'boolean' ? false : String(Number(fields[name]) ^ 1);
    }),
};

function edit(reply: Reply, change: (fields: Record<string, unknown>) => void): Reply {
  if (reply.status !== 200 || typeof reply.body !== 'string' || !reply.body.startsWith('{')) return reply;
  const fields = JSON.parse(reply.body) as Record<string, unknown>;
  change(fields);
  return { ...reply, body: JSON.stringify(fields) };
}
