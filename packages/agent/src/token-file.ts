// The token that clients must show: read from a file that somebody else provides (one or two lines, read again when it
// changes), or made here once the agent listens, and removed when it ends. Never printed.
import { lstat, readFile, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  createFileExclusive,
  ensurePrivateDirectory,
  HostError,
  readRegularFile,
  statRegularFile,
} from '@clef/host';
import { findGroupId } from './account-ids.ts';
import type { TokenSetting } from './config.ts';
import type { AgentWorld } from './world.ts';

/**
 * Every generated token begins with this. It tells a file that an earlier agent left behind, which is made anew, from
 * one that somebody provides; and a secret scanner finds it.
 */
export const generatedTokenPrefix = 'clef_agent_';

const maxTokenFileBytes = 2_048;

/**
 * `message` completes "the token file …" and holds no part of a token. `exposed`: others may read or have written it;
 * `content`: it holds no token; `machine`: it cannot be read or made.
 */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError';
  readonly kind: 'exposed' | 'content' | 'machine';

  constructor(kind: 'exposed' | 'content' | 'machine', message: string) {
    super(message);
    this.kind = kind;
  }
}

/** The accepted tokens, from before listening until after closing. */
export type Tokens = {
  /** Now accepted; none until `publish` where the token is generated. */
  accepted(): readonly Uint8Array[];
  /** To be called once the agent listens, and not before: who squats on the port must find no token. */
  publish(): Promise<void>;
  /** Reads a provided file again if it changed. Returns whether it did; throws {@link TokenFileError}, keeping what was. */
  reload(): Promise<boolean>;
  /** Removes a generated file, unless somebody has replaced it. Requests that are on their way may still show what it held. */
  withdraw(): Promise<void>;
  /** Accepts no generated token any more. */
  forget(): void;
};

type TokenWorld = Pick<AgentWorld, 'randomBytes' | 'userId'>;

/** Throws {@link TokenFileError} when a provided file is not as it must be. */
export async function openTokens(
  setting: TokenSetting,
  group: string | undefined,
  world: TokenWorld,
): Promise<Tokens> {
  if (setting.kind === 'value') return fixedTokens([encode(setting.token)]);
  const provided = await readProvided(setting.path, world);
  if (provided !== undefined) return providedTokens(setting.path, provided, world);
  return generatedTokens(setting, group, world);
}

function fixedTokens(tokens: readonly Uint8Array[]): Tokens {
  return {
    accepted: () => tokens,
    publish: () => Promise.resolve(),
    reload: () => Promise.resolve(false),
    withdraw: () => Promise.resolve(),
    forget: () => undefined,
  };
}

function encode(token: string): Uint8Array {
  return new TextEncoder().encode(token);
}

type ProvidedFile = { readonly tokens: readonly Uint8Array[]; readonly stamp: string };

function providedTokens(path: string, first: ProvidedFile, world: TokenWorld): Tokens {
  let current = first;
  return {
    ...fixedTokens([]),
    accepted: () => current.tokens,
    reload: async () => {
      if ((await stampOf(path)) === current.stamp) return false;
      const next = await readProvided(path, world);
      if (next === undefined)
        throw new TokenFileError('machine', 'is gone, or is one that an agent generated');
      current = next;
      return true;
    },
  };
}

async function stampOf(path: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeMs, ctimeMs } = await lstat(path);
    return [ino, size, mtimeMs, ctimeMs].join(' ');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new TokenFileError('machine', 'cannot be read');
  }
}

/** The tokens of a provided file; undefined when there is none, or one that an earlier agent generated. */
async function readProvided(path: string, world: TokenWorld): Promise<ProvidedFile | undefined> {
  const stamp = await stampOf(path);
  if (stamp === undefined) return undefined;
  try {
    await refuseExposed(path, world);
    const text = new TextDecoder().decode(await readRegularFile(path, { maxBytes: maxTokenFileBytes }));
    return text.startsWith(generatedTokenPrefix) ? undefined : { tokens: parseTokens(text), stamp };
  } catch (cause) {
    throw cause instanceof HostError ? explain(cause) : cause;
  }
}

function explain({ code }: HostError): TokenFileError {
  if (code === 'symlink') return new TokenFileError('exposed', 'is a symbolic link');
  if (code === 'not_regular') return new TokenFileError('content', 'is not a regular file');
  if (code === 'too_large') return new TokenFileError('content', 'is too large for one or two tokens');
  return new TokenFileError('machine', 'cannot be read by this user');
}

async function refuseExposed(path: string, world: TokenWorld): Promise<void> {
  const facts = await statRegularFile(path);
  if (facts === undefined) throw new TokenFileError('machine', 'is gone');
  if (world.userId !== undefined && facts.uid !== world.userId && facts.uid !== 0) {
    throw new TokenFileError('exposed', 'belongs to another user');
  }
  if ((facts.mode & 0o037) !== 0) {
    const message = 'can be read or written by others: its mode must be 0400, 0600 or, with a group, 0440';
    throw new TokenFileError('exposed', message);
  }
}

function parseTokens(text: string): Uint8Array[] {
  const lines = text.replace(/\n$/, '').split('\n');
  if (lines.length > 2 || !lines.every((line) => /^[!-~]{32,512}$/.test(line))) {
    throw new TokenFileError(
      'content',
      'does not hold one or two lines of 32 to 512 visible ASCII characters each',
    );
  }
  return lines.map(encode);
}

function generatedTokens(
  setting: TokenSetting & { kind: 'file' },
  group: string | undefined,
  world: TokenWorld,
): Tokens {
  let tokens: readonly Uint8Array[] = [];
  let created: string | undefined;
  return {
    ...fixedTokens([]),
    accepted: () => tokens,
    publish: async () => {
      const token = encode(generatedTokenPrefix + Buffer.from(world.randomBytes(32)).toString('base64url'));
      // Before anybody can read it: who finds the file is not turned away.
      tokens = [token];
      try {
        created = await publishToken(setting, token, group, world);
      } catch (error) {
        tokens = [];
        throw error;
      }
    },
    withdraw: async () => {
      if (created !== undefined && (await stampOf(setting.path)) === created) await unlink(setting.path);
      created = undefined;
    },
    forget: () => {
      tokens = [];
    },
  };
}

/** Writes the file, exclusively and readable by us (and the group) only. Returns its stamp. */
async function publishToken(
  { path, isDefault }: TokenSetting & { kind: 'file' },
  token: Uint8Array,
  group: string | undefined,
  world: TokenWorld,
): Promise<string | undefined> {
  const groupId = group === undefined ? undefined : await findGroup(group);
  try {
    if (isDefault) await ensurePrivateDirectory(dirname(path));
    await removeLeftover(path, world);
    // The group on the open file: by its path somebody else's could be meant, where others may write to the folder.
    const shared =
      groupId === undefined ? { mode: 0o400 } : { mode: 0o440, owner: { uid: -1, gid: groupId } };
    await createFileExclusive(path, new Uint8Array([...token, 0x0a]), shared);
    return await stampOf(path);
  } catch (cause) {
    if (cause instanceof TokenFileError) throw cause;
    throw new TokenFileError('machine', `cannot be created (${reasonOf(cause)})`);
  }
}

function reasonOf(cause: unknown): string {
  const { code } = cause as { code?: unknown };
  return typeof code === 'string' ? code.toLowerCase() : 'unknown';
}

async function removeLeftover(path: string, world: TokenWorld): Promise<void> {
  const facts = await statRegularFile(path);
  if (facts === undefined) return;
  const isOurs = world.userId === undefined || facts.uid === world.userId;
  const text = isOurs ? await readFile(path, 'latin1') : '';
  if (!text.startsWith(generatedTokenPrefix))
    throw new TokenFileError('exposed', 'was put there by somebody else meanwhile');
  await unlink(path);
}

async function findGroup(group: string): Promise<number> {
  const id = await findGroupId(group);
  if (id === undefined) throw new TokenFileError('machine', 'cannot be shared: there is no such group');
  return id;
}
