// The one error of this package. Its message never holds key material, nor a word of what a service answered.

export type KmsCode =
  | 'bad_reference'
  | 'private_key'
  | 'unsupported'
  | 'bad_endpoint'
  | 'no_credentials'
  | 'denied'
  | 'not_found'
  | 'throttled'
  | 'unavailable'
  | 'mismatch';

/**
 * Thrown by everything in this package. `key` is the reference that the message is about; `retryAfterSeconds` how long the
 * service asked not to be called.
 */
export class KmsError extends Error {
  readonly code: KmsCode;
  readonly key?: string;
  readonly retryAfterSeconds?: number;

  constructor(
    code: KmsCode,
    message: string,
    options: {
      readonly key?: string;
      readonly cause?: unknown;
      readonly retryAfterSeconds?: number | undefined;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KmsError';
    this.code = code;
    if (options.key !== undefined) this.key = options.key;
    if (options.retryAfterSeconds !== undefined) this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

const failures = {
  bad_reference: 'does not accept',
  private_key: 'does not accept',
  unsupported: 'does not support',
  bad_endpoint: 'is not reached for',
  no_credentials: 'cannot be asked, as no valid credentials were found, for',
  denied: 'refused to VERB',
  not_found: 'does not know',
  throttled: 'is throttling calls for',
  unavailable: 'does not answer for',
  mismatch: 'gave an answer that does not fit, for',
} as const satisfies Record<KmsCode, string>;

/** What a service is asked to do, and how a refusal words it. */
const verbs = {
  wrap: 'wrap with',
  unwrap: 'unwrap with',
  sign: 'sign with',
  publicKey: 'show the public half of',
} as const;

export type KmsVerb = keyof typeof verbs;

/** The sentence for a failed call, for example "AWS KMS refused to unwrap with arn:…". */
export function serviceFailure(service: string, code: KmsCode, verb: KmsVerb, key: string): string {
  return `${service} ${failures[code].replace('VERB', verbs[verb])} ${key}`;
}
