// The agent's configuration: flags and variables in, one checked value out, or every fault at once. Nothing that the
// artifact says can change what is read here.
import { isAbsolute, normalize } from 'node:path';
import type { VerifySlot } from '@clef/artifact';
import type { KmsKey } from '@clef/kms';
import { StrictError } from '@clef/strict';
import type { LogFormat } from './log.ts';
import {
  Fault,
  type ListenSetting,
  parseGroup,
  parseKmsKey,
  parseListen,
  parseLogFormat,
  parseName,
  parsePath,
  parseReauthorize,
  parseRepository,
  parseRevision,
  parseSeconds,
  parseSource,
  parseStateDirectory,
  parseSwitch,
  parseToken,
  parseUids,
  parseVerifyKeys,
  type ReauthorizeSetting,
  type SourceSetting,
} from './setting-values.ts';
import { readVariables, type SettingName, type SettingTexts, variableOf } from './settings.ts';
import type { AgentWorld } from './world.ts';

export type TokenSetting =
  | { readonly kind: 'value'; readonly token: string }
  | { readonly kind: 'file'; readonly path: string; readonly isDefault: boolean };

/** `undefined` keeps nothing on disk; a directory that was not asked for by name may fail without stopping the agent. */
export type StateSetting = { readonly path: string; readonly isExplicit: boolean } | undefined;

/** Everything the agent is told. Durations are in seconds. */
export type AgentConfig = {
  readonly source: SourceSetting;
  readonly repository: string;
  readonly identity: string;
  readonly environment: string;
  /** The pinned KMS key, or the file of the age key that opens the artifact. */
  readonly key:
    | { readonly kind: 'kms'; readonly reference: KmsKey }
    | { readonly kind: 'age'; readonly path: string };
  /** In order: the position of a key is its epoch. Empty only where unsigned artifacts are allowed. */
  readonly verifyKeys: readonly VerifySlot[];
  readonly isUnsignedAllowed: boolean;
  readonly minRevision: number;
  readonly listen: ListenSetting;
  /** Undefined only where nothing is served. */
  readonly token: TokenSetting | undefined;
  readonly tokenGroup: string | undefined;
  /** Undefined: whoever shows the token. */
  readonly allowUids: ReadonlySet<number> | undefined;
  readonly state: StateSetting;
  readonly pollSeconds: number;
  readonly maxStaleSeconds: number;
  readonly reauthorize: ReauthorizeSetting;
  readonly logFormat: LogFormat;
};

export type ServingConfig = AgentConfig & { readonly token: TokenSetting };

/** `policy`: the settings are legible, but the process was started in a way that would undo what they protect. */
export type ConfigFault = { readonly kind: 'config' | 'policy'; readonly message: string };

export type ConfigResult =
  | { readonly config: AgentConfig; readonly warnings: readonly string[] }
  | { readonly faults: readonly ConfigFault[] };

/**
 * Reads and checks the whole configuration. Pure: no file is opened. `isServing`: a token is needed; otherwise the settings
 * of port and token may be there, as one list of variables serves all modes, and mean nothing.
 */
export function readConfig(
  flags: SettingTexts,
  world: Pick<AgentWorld, 'environment' | 'nodeOptions' | 'isTerminal' | 'platform'>,
  isServing = true,
): ConfigResult {
  const { variables, faults } = readVariables(world.environment);
  const settings = new Settings(new Map([...variables, ...flags]), faults, isServing);
  const config = settings.readAll(world);
  const policy = startFaults(world).map((message) => ({ kind: 'policy', message }) as const);
  const all = [...settings.faults.map((message) => ({ kind: 'config', message }) as const), ...policy];
  if (config === undefined || all.length > 0) return { faults: all };
  return { config, warnings: config.token?.kind === 'value' ? ['token_in_environment'] : [] };
}

/** The format for what must be said before the configuration is known. */
export function logFormatOf(
  flags: SettingTexts,
  world: Pick<AgentWorld, 'environment' | 'isTerminal'>,
): LogFormat {
  const asked = flags.get('LOG_FORMAT') ?? world.environment[variableOf('LOG_FORMAT')];
  if (asked === 'json' || asked === 'text') return asked;
  return world.isTerminal ? 'text' : 'json';
}

class Settings {
  readonly faults: string[];
  readonly #texts: SettingTexts;
  readonly #isServing: boolean;

  constructor(texts: SettingTexts, faults: readonly string[], isServing: boolean) {
    this.#texts = texts;
    this.#isServing = isServing;
    this.faults = [...faults];
  }

  readAll(world: Pick<AgentWorld, 'environment' | 'isTerminal' | 'platform'>): AgentConfig | undefined {
    const isHttpAllowed = this.#switch('ALLOW_HTTP_LOOPBACK');
    const source = this.#required('SOURCE', (text) => parseSource(text, isHttpAllowed));
    const repository = this.#required('REPOSITORY', parseRepository);
    const identity = this.#required('IDENTITY', parseName);
    const environment = this.#required('ENVIRONMENT', parseName);
    const listen = this.#optional('LISTEN', parseListen) ?? { port: 7779 };
    const trust = this.#readTrust(source);
    const freshness = this.#readFreshness();
    const rest = {
      key: this.#readKey(),
      minRevision: this.#optional('MIN_REVISION', parseRevision) ?? 0,
      token: this.#readToken(listen, world.environment),
      tokenGroup: this.#optional('TOKEN_GROUP', parseGroup),
      allowUids: this.#readUids(listen, world.platform),
      logFormat: this.#optional('LOG_FORMAT', parseLogFormat) ?? (world.isTerminal ? 'text' : 'json'),
    };
    const state = this.#readState(world.environment, [repository, identity, environment]);
    const { key, token } = rest;
    if (source === undefined || repository === undefined || identity === undefined) return undefined;
    if (environment === undefined || key === undefined) return undefined;
    if (this.#isServing && token === undefined) return undefined;
    return {
      source: withRegion(source, key, world.environment),
      repository,
      identity,
      environment,
      listen,
      state,
      ...trust,
      ...freshness,
      ...rest,
      key,
      token,
    };
  }

  #readKey(): AgentConfig['key'] | undefined {
    const reference = this.#optional('KMS_KEY', parseKmsKey);
    const path = this.#optional('AGE_KEY_FILE', parsePath);
    if (this.#has('KMS_KEY') === this.#has('AGE_KEY_FILE')) {
      this.#refuse('KMS_KEY', 'exactly one of this and CLEF_AGENT_AGE_KEY_FILE is needed');
    }
    if (reference !== undefined) return { kind: 'kms', reference };
    return path === undefined ? undefined : { kind: 'age', path };
  }

  #readTrust(source: SourceSetting | undefined): Pick<AgentConfig, 'verifyKeys' | 'isUnsignedAllowed'> {
    const isUnsignedAllowed = this.#switch('ALLOW_UNSIGNED');
    const verifyKeys = this.#optional('VERIFY_KEYS', parseVerifyKeys) ?? [];
    if (isUnsignedAllowed && this.#has('VERIFY_KEYS')) {
      this.#refuse('ALLOW_UNSIGNED', 'CLEF_AGENT_VERIFY_KEYS is set as well: choose one');
    } else if (isUnsignedAllowed && source !== undefined && source.kind !== 'file') {
      this.#refuse('ALLOW_UNSIGNED', 'an unsigned artifact is accepted from a local file only');
    } else if (!isUnsignedAllowed) {
      this.#required('VERIFY_KEYS', parseVerifyKeys, true);
    }
    return { verifyKeys, isUnsignedAllowed };
  }

  #readFreshness(): Pick<AgentConfig, 'pollSeconds' | 'maxStaleSeconds' | 'reauthorize'> {
    const pollSeconds = this.#optional('POLL', (text) => parseSeconds(text, 1, 3_600)) ?? 30;
    const maxStaleSeconds =
      this.#optional('MAX_STALE', (text) => parseSeconds(text, 10, 30 * 86_400)) ?? 86_400;
    const asked = this.#optional('REAUTHORIZE', parseReauthorize);
    if (pollSeconds * 2 > maxStaleSeconds)
      this.#refuse('MAX_STALE', 'must be at least twice the poll interval');
    if (typeof asked === 'number' && asked > maxStaleSeconds) {
      this.#refuse('REAUTHORIZE', 'must not be longer than CLEF_AGENT_MAX_STALE');
    }
    return { pollSeconds, maxStaleSeconds, reauthorize: asked ?? Math.min(3_600, maxStaleSeconds) };
  }

  #readToken(listen: ListenSetting, environment: AgentWorld['environment']): TokenSetting | undefined {
    const path = this.#optional('TOKEN_FILE', parsePath);
    const token = this.#optional('TOKEN', parseToken);
    if (this.#has('TOKEN_FILE') && this.#has('TOKEN')) {
      this.#refuse('TOKEN', 'CLEF_AGENT_TOKEN_FILE is set as well: choose one, best the file');
    }
    if (this.#has('TOKEN_GROUP') && this.#has('TOKEN'))
      this.#refuse('TOKEN_GROUP', 'there is no token file to share');
    if (token !== undefined) return { kind: 'value', token };
    if (path !== undefined) return { kind: 'file', path, isDefault: false };
    const runtime = environment['XDG_RUNTIME_DIR'];
    if (runtime !== undefined && isAbsolute(runtime) && 'port' in listen) {
      return { kind: 'file', path: `${normalize(runtime)}/clef-agent/${listen.port}.token`, isDefault: true };
    }
    if (this.#isServing && !this.#has('TOKEN_FILE') && !this.#has('TOKEN')) {
      this.#refuse('TOKEN_FILE', 'is needed: the path of a file that the agent writes and its clients read');
    }
    return undefined;
  }

  #readUids(listen: ListenSetting, platform: AgentWorld['platform']): ReadonlySet<number> | undefined {
    const uids = this.#optional('ALLOW_UIDS', parseUids);
    if (uids !== undefined && 'socketPath' in listen)
      this.#refuse('ALLOW_UIDS', 'is for 127.0.0.1: who may use a socket is decided by its directory');
    else if (uids !== undefined && platform !== 'linux') this.#refuse('ALLOW_UIDS', 'needs Linux');
    return uids;
  }

  #readState(environment: AgentWorld['environment'], names: readonly (string | undefined)[]): StateSetting {
    const asked = this.#optional('STATE_DIR', parseStateDirectory);
    if (asked === 'none') return undefined;
    if (asked !== undefined) return { path: asked, isExplicit: true };
    const fromSystemd = environment['STATE_DIRECTORY']?.split(':')[0];
    if (fromSystemd !== undefined && isAbsolute(fromSystemd))
      return { path: normalize(fromSystemd), isExplicit: true };
    const home = stateHome(environment);
    if (home === undefined || names.includes(undefined)) return undefined;
    return { path: [home, 'clef-agent', ...names].join('/'), isExplicit: false };
  }

  #has(name: SettingName): boolean {
    return this.#texts.has(name);
  }

  #refuse(name: SettingName, message: string): void {
    this.faults.push(`${variableOf(name)}: ${message}`);
  }

  #required<T>(name: SettingName, parse: (text: string) => T, isReadAlready = false): T | undefined {
    if (!this.#has(name)) this.#refuse(name, 'is needed');
    return isReadAlready ? undefined : this.#optional(name, parse);
  }

  #optional<T>(name: SettingName, parse: (text: string) => T): T | undefined {
    const text = this.#texts.get(name);
    if (text === undefined) return undefined;
    if (text === '') {
      this.#refuse(name, 'is empty: give it a value or unset it');
      return undefined;
    }
    try {
      return parse(text);
    } catch (error) {
      this.#refuse(name, describe(error));
      return undefined;
    }
  }

  #switch(name: SettingName): boolean {
    return this.#optional(name, parseSwitch) ?? false;
  }
}

/** A bucket's region: what the address says, else what the environment says, else where the pinned key is. */
function withRegion(
  source: SourceSetting,
  key: AgentConfig['key'],
  { AWS_REGION: named, AWS_DEFAULT_REGION: usual }: AgentWorld['environment'],
): SourceSetting {
  if (source.kind !== 's3' || source.region !== undefined) return source;
  const region = [named, usual].find((value) => value !== undefined && value !== '');
  if (region !== undefined) return { ...source, region };
  const isOnAws = key.kind === 'kms' && key.reference.kind === 'awskms';
  return isOnAws ? { ...source, region: key.reference.region } : source;
}

function describe(error: unknown): string {
  if (error instanceof Fault) return error.message;
  if (error instanceof StrictError || hasCode(error)) return lowerFirst(error.message);
  throw error;
}

/** The errors of the parsers of keys: they have a code and promise not to echo a private key. */
function hasCode(error: unknown): error is Error {
  return error instanceof Error && typeof (error as { code?: unknown }).code === 'string';
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function stateHome(environment: AgentWorld['environment']): string | undefined {
  const { XDG_STATE_HOME: named, HOME: home } = environment;
  if (named !== undefined && isAbsolute(named)) return normalize(named);
  return home !== undefined && isAbsolute(home) && home !== '/'
    ? normalize(`${home}/.local/state`)
    : undefined;
}

const riskyNodeOption =
  /^--?(inspect|debug|insecure-http-parser|tls-keylog|report-|heapsnapshot-|heap-prof|cpu-prof)/;
const loadingNodeOption = /^(-r$|--(require|import|loader|experimental-loader)\b)/;

/** What in the way the process was started would open its memory or switch off TLS. */
function startFaults(world: Pick<AgentWorld, 'environment' | 'nodeOptions'>): string[] {
  const fromEnvironment = (world.environment['NODE_OPTIONS'] ?? '')
    .split(/[\s"']+/)
    .filter((word) => word !== '');
  const risky = [...world.nodeOptions, ...fromEnvironment].filter((word) => riskyNodeOption.test(word));
  const loading = fromEnvironment.filter((word) => loadingNodeOption.test(word));
  const faults = [...risky, ...loading].map(
    (word) =>
      `the Node option ${word.split('=')[0]} would let others into this process: remove it (see NODE_OPTIONS)`,
  );
  if (world.environment['NODE_DEBUG'])
    faults.push('NODE_DEBUG would write requests with their token to the log: unset it');
  if (world.environment['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    faults.push(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 switches TLS off: unset it, and use NODE_EXTRA_CA_CERTS for your own authority',
    );
  }
  return faults;
}
