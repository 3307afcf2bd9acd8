// One question to a service that speaks JSON, with its tries and its time limit, for providers without an SDK.
import type { JsonObject } from '@clef/strict';
import { connectionCode } from './endpoint.ts';
import { type KmsCode, KmsError, type KmsVerb, serviceFailure } from './kms-error.ts';
import { defaultTimeoutSeconds, trySeconds } from './limits.ts';
import { type JsonReply, postJson } from './post-json.ts';
import type { KmsSettings } from './provider.ts';
import { withRetries, withTimeLimit } from './tries.ts';

export type JsonQuestion = {
  /** What the service is called in messages. */
  readonly service: string;
  readonly verb: KmsVerb;
  readonly key: { readonly text: string };
  readonly url: URL;
  /** Credentials, looked up anew with each try. Throws KmsError, or anything else for `no_credentials`. */
  readonly headers: () => Promise<Readonly<Record<string, string>>>;
  readonly body: object;
  readonly refusalCode: (reply: JsonReply) => KmsCode;
};

/**
 * The answer as `read` understands it; what `read` throws as `mismatch` is asked for once more.
 * @throws {KmsError} as {@link import('./kms.ts').Kms} says.
 */
export async function askJson<T>(
  settings: KmsSettings,
  question: JsonQuestion,
  read: (answer: JsonObject) => T,
): Promise<T> {
  try {
    return await withTimeLimit(settings.timeoutSeconds ?? defaultTimeoutSeconds, (signal) =>
      withRetries(settings, async () => read(await askOnce(question, signal))),
    );
  } catch (error) {
    if (error instanceof KmsError || connectionCode(error) === undefined) throw error;
    throw failureOf(question, 'unavailable');
  }
}

export function failureOf(
  { service, verb, key }: Pick<JsonQuestion, 'service' | 'verb' | 'key'>,
  code: KmsCode,
  retryAfterSeconds?: number,
): KmsError {
  return new KmsError(code, serviceFailure(service, code, verb, key.text), {
    key: key.text,
    retryAfterSeconds,
  });
}

async function askOnce(question: JsonQuestion, signal: AbortSignal): Promise<JsonObject> {
  const headers = await question.headers().catch((error: unknown) => {
    if (error instanceof KmsError) throw error;
    throw failureOf(question, connectionCode(error) ?? 'no_credentials');
  });
  const post = (limit: AbortSignal) => postJson(question.url, headers, question.body, limit);
  const reply = await withTimeLimit(trySeconds, post, signal).catch((error: unknown) => {
    throw failureOf(question, connectionCode(error) ?? 'unavailable');
  });
  if (reply.status === 200 && reply.value !== undefined) return reply.value;
  if (reply.status === 200) throw failureOf(question, 'mismatch');
  throw failureOf(question, question.refusalCode(reply), reply.retryAfterSeconds);
}
