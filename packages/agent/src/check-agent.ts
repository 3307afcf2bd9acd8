// `clef agent --check`: the settings and one whole acceptance, from the source to the last check, and the verdict. Listens
// nowhere and writes nothing, not even a floor.
import type { ArtifactCode } from '@clef/artifact';
import { formatTimestamp } from '@clef/strict';
import type { ServingConfig } from './config.ts';
import { Refusal } from './judge.ts';
import { createJudge } from './pinned-judge.ts';
import { type Floor, readFloorIn } from './sealed-cache.ts';
import { openSource } from './sources/open-source.ts';
import { type SourceCode, SourceError } from './sources/source.ts';
import { exitCodes, setUp } from './start-failure.ts';
import { openTokens } from './token-file.ts';
import type { AgentWorld } from './world.ts';

/** What is printed. Words and numbers: no name of a key, no value. */
type Verdict =
  | {
      readonly ok: true;
      readonly revision: number;
      readonly epoch: number;
      readonly expiresAt: string;
      readonly keys: number;
      readonly floor: 'none' | 'kept' | 'illegible';
    }
  | {
      readonly ok: false;
      readonly at: 'source' | 'artifact';
      readonly reason: string;
      readonly message: string;
    };

/** The exit code of each refusal: what kind of no it is. */
const refusalExits = {
  too_large: exitCodes.config,
  format: exitCodes.config,
  bad_content: exitCodes.config,
  bad_signing_key: exitCodes.config,
  bad_identity: exitCodes.config,
  decrypt: exitCodes.decrypt,
  unsigned: exitCodes.integrity,
  signature: exitCodes.integrity,
  binding: exitCodes.integrity,
  key_not_pinned: exitCodes.integrity,
  rollback: exitCodes.integrity,
  equivocation: exitCodes.integrity,
  fast_forward: exitCodes.integrity,
  revoked: exitCodes.integrity,
  not_yet_valid: exitCodes.integrity,
  expired: exitCodes.integrity,
  header_mismatch: exitCodes.integrity,
  kms_settings: exitCodes.policy,
  kms_denied: exitCodes.remote,
  kms_unavailable: exitCodes.remote,
  kms_no_credentials: exitCodes.remote,
  kms_mismatch: exitCodes.remote,
} as const satisfies Record<ArtifactCode, number>;

/** Prints the verdict; returns 0 for a good one, else the code of its kind. Throws {@link StartFailure}. */
export async function checkAgent(config: ServingConfig, world: AgentWorld): Promise<number> {
  const judge = await setUp(() => createJudge(config, world));
  await setUp(() => openTokens(config.token, config.tokenGroup, world));
  const source = await openSource(config.source, world);
  try {
    const fetched = await source.fetch(undefined, new AbortController().signal);
    if (fetched.kind === 'unchanged')
      throw new SourceError('bad_response', 'The source did not give the artifact');
    const { floor, state } = await readFloor(config);
    const judged = await judge.open(fetched.bytes, floor);
    const expiresAt = formatTimestamp(judged.expiresAt);
    const { revision, epoch, secrets } = judged;
    return say(
      { ok: true, revision, epoch, expiresAt, keys: secrets.size, floor: state },
      config,
      world,
      exitCodes.ok,
    );
  } catch (error) {
    if (error instanceof SourceError) {
      const { code, message } = error;
      return say({ ok: false, at: 'source', reason: code, message }, config, world, sourceExit(code));
    }
    if (!(error instanceof Refusal)) throw error;
    const { reason } = error;
    const message = 'The artifact is not one that this agent serves';
    const exitCode = Object.hasOwn(refusalExits, reason)
      ? refusalExits[reason as ArtifactCode]
      : exitCodes.remote;
    return say({ ok: false, at: 'artifact', reason, message }, config, world, exitCode);
  }
}

function sourceExit(code: SourceCode): number {
  if (code === 'settings') return exitCodes.policy;
  return code === 'too_large' ? exitCodes.config : exitCodes.remote;
}

async function readFloor({
  state,
}: ServingConfig): Promise<{ floor: Floor | undefined; state: 'none' | 'kept' | 'illegible' }> {
  if (state === undefined) return { floor: undefined, state: 'none' };
  try {
    const floor = await readFloorIn(state.path);
    return { floor, state: floor === undefined ? 'none' : 'kept' };
  } catch {
    return { floor: undefined, state: 'illegible' }; // as the agent would: it starts, and says so
  }
}

function say(verdict: Verdict, { logFormat }: ServingConfig, world: AgentWorld, exitCode: number): number {
  world.print(`${logFormat === 'json' ? JSON.stringify(verdict) : inWords(verdict)}\n`);
  return exitCode;
}

function inWords(verdict: Verdict): string {
  if (!verdict.ok) return `not good: ${verdict.message} (${verdict.at}: ${verdict.reason})`;
  const keys = verdict.keys === 1 ? '1 key' : `${verdict.keys} keys`;
  return `good: revision ${verdict.revision}, ${keys}, expires ${verdict.expiresAt}`;
}
