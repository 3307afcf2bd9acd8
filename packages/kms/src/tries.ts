// How long a question may take and how often it is asked. Durations are read from the monotonic clock.
import { randomInt } from 'node:crypto';
import { type KmsCode, KmsError } from './kms-error.ts';
import { defaultAttempts, defaultTimeoutSeconds } from './limits.ts';
import type { KmsSettings } from './provider.ts';

const firstPauseMilliseconds = 400;

/**
 * Runs something that must end within a time, its tries and its search for credentials included, or when `outer` does. What
 * ignores the signal is left behind, since libraries that look for credentials take none. (Not `AbortSignal.any` and
 * `AbortSignal.timeout`: Node 20 may collect them as garbage before they fire.)
 * @throws {DOMException} named `TimeoutError`, when the time is over; else what `run` throws.
 */
export async function withTimeLimit<T>(
  seconds: number,
  run: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
): Promise<T> {
  const controller = new AbortController();
  const { signal } = controller;
  const end = (): void => controller.abort(new DOMException('The time is over', 'TimeoutError'));
  const timer = setTimeout(end, seconds * 1000);
  outer?.addEventListener('abort', end, { once: true });
  const isOver = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    return await Promise.race([run(signal), isOver]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener('abort', end);
  }
}

/** Tries again what may heal, after a pause with full jitter, or as long as the service asked for if that is longer. */
export async function withRetries<T>(
  {
    attempts = defaultAttempts,
    timeoutSeconds = defaultTimeoutSeconds,
    random = cryptoRandom,
  }: Pick<KmsSettings, 'attempts' | 'timeoutSeconds' | 'random'>,
  call: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + timeoutSeconds * 1000;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof KmsError) || attempt >= triesOf(error.code, attempts)) throw error;
      const jitter = random() * firstPauseMilliseconds * 2 ** (attempt - 1);
      const pause = Math.max(jitter, (error.retryAfterSeconds ?? 0) * 1000);
      if (performance.now() + pause > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

function triesOf(code: KmsCode, attempts: number): number {
  if (code === 'throttled' || code === 'unavailable') return attempts;
  // An answer that was garbled on its way is asked for once more, no oftener (catalogue F-34, F-35, K03).
  return code === 'mismatch' ? Math.min(2, attempts) : 1;
}

function cryptoRandom(): number {
  return randomInt(2 ** 32) / 2 ** 32;
}
