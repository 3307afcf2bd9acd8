// The emulator: one loopback port that speaks AWS KMS, AWS STS and Google Cloud KMS over software keys, and a handle to
// set the scene (keys, roles, machines) from a program. For development: nothing here protects a key from its machine.
import { LoopbackError, type LoopbackServer, startLoopbackServer } from '@clef/loopback';
import type { JsonValue } from '@clef/strict';
import { parseJson } from '@clef/strict';
import { answerCloud } from './answer-cloud.ts';
import { addAwsKey } from './aws/kms-operations.ts';
import type { Cloud, RecordedCall } from './cloud.ts';
import { EmulatorError } from './emulator-error.ts';
import { type FaultRule, faultKinds, makeFaults } from './faults.ts';
import { addGcpKey, isCryptoKeyName } from './gcp/kms-operations.ts';
import {
  accountPattern,
  keyArn,
  projectPattern,
  regionPattern,
  roleArn,
  rolePattern,
  serviceAccountEmail,
  uuidPattern,
} from './identifiers.ts';
import { awsEndpointVariables, type Instance, type InstanceKind, startInstance } from './instances.ts';
import { type Policy, PolicyFault, parsePolicy } from './policy.ts';
import { issueAwsCredential, issueGcpCredential } from './sessions.ts';
import type { RandomBytes } from './software-key.ts';
import {
  type Administrator,
  type AwsKey,
  emptyState,
  type GcpKey,
  type KeyUse,
  makeAdministrator,
  type RoleRecord,
  type State,
} from './state.ts';
import { readStateFile, writeStateFile } from './state-file.ts';

export type EmulatorOptions = {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly randomBytes: RandomBytes;
  /** 0, the default, takes any free port. */
  readonly port?: number;
  /** Keeps keys, roles and policies there, keys in clear, 0600. Without it everything is gone at the end. */
  readonly statePath?: string;
  /** Of the default key and of `createKey`; requests may use any region. Default "eu-west-1". */
  readonly region?: string;
  /** Default "111122223333", or the state file's. */
  readonly account?: string;
  /** Default "clef-emulator", or the state file's. */
  readonly project?: string;
  /** The id of the default AWS key, a lower-case UUID. Default: random. */
  readonly keyId?: string;
  /** How long credentials from machines live. Default 3600. */
  readonly sessionSeconds?: number;
  /** Trouble from the start; `setFaults` replaces it. */
  readonly faults?: readonly FaultRule[];
  /** Told of every call, after it has ended. */
  readonly onCall?: (call: RecordedCall) => void;
  /** Told of bugs and of a state file that cannot be written; the client only sees an internal error. */
  readonly onFault?: (cause: unknown) => void;
};

/** An AWS key; `reference` is how Clef writes it. */
export type EmulatedAwsKey = { readonly keyId: string; readonly arn: string; readonly reference: string };

/** A Google Cloud key; `name` is `projects/…/cryptoKeys/K`. */
export type EmulatedGcpKey = { readonly name: string; readonly reference: string };

/** One workload identity in both clouds. */
export type EmulatedRole = { readonly name: string; readonly arn: string; readonly serviceAccount: string };

export type Grant = {
  readonly role: string;
  /** An AWS key ARN or a Google Cloud key name. */
  readonly key: string;
  readonly may: 'encrypt' | 'decrypt' | 'both' | 'sign';
  /** Only for requests whose encryption context has these entries (`StringEquals`); AWS only. */
  readonly context?: Readonly<Record<string, string>>;
};

export type Emulator = {
  readonly url: string;
  readonly port: number;
  readonly region: string;
  readonly account: string;
  readonly project: string;
  /** Allowed everything in both clouds. Its credentials do not expire. */
  readonly administrator: Administrator;
  /** `alias/clef`. */
  readonly awsKey: EmulatedAwsKey;
  readonly gcpKey: EmulatedGcpKey;

  /** Makes a role that may do nothing yet. Throws `argument`, `exists`. */
  createRole(name: string): Promise<EmulatedRole>;
  /** Replaces the role's own policy (no principals). Throws `argument`, `not_found`. */
  putRolePolicy(role: string, policy: object): Promise<void>;
  /** From now on every session of the role, old or new, is denied everything. Throws `not_found`. */
  revokeRole(role: string): Promise<void>;
  /** Undoes `revokeRole`. Throws `not_found`. */
  restoreRole(role: string): Promise<void>;

  /** Makes an AWS key that only the administrator may use; by default one that wraps. Throws `argument`, `exists`. */
  createKey(options?: {
    readonly keyId?: string;
    readonly region?: string;
    readonly use?: KeyUse;
  }): Promise<EmulatedAwsKey>;
  /** Makes a Google Cloud key (and its ring); the reference of one that signs is its version 1. Throws `argument`, `exists`. */
  createGcpKey(name: string, use?: KeyUse): Promise<EmulatedGcpKey>;
  /** Replaces the key policy of an AWS key. Throws `argument`, `not_found`. */
  putKeyPolicy(arn: string, policy: object): Promise<void>;
  /** Disables or enables an AWS key. Throws `not_found`. */
  setKeyEnabled(arn: string, isEnabled: boolean): Promise<void>;
  /** Adds a permission to what the key's policy says already. Throws `argument`, `not_found`. */
  allowRole(grant: Grant): Promise<void>;

  /** Starts a machine that has the role. Throws `argument`, `not_found`, `stopped`. */
  instance(role: string, kind?: InstanceKind): Promise<Instance>;
  /** The variables of a new session of the role, in both clouds: what its machines would be handed. Throws `not_found`. */
  session(role: string): Readonly<Record<string, string>>;
  /** Replaces the rules of trouble; none to end it. Throws `argument`. */
  setFaults(rules: readonly FaultRule[]): void;
  /** How often each operation was asked for, refused calls included: `aws.Decrypt`, `gcp.encrypt`, `ec2.credentials`. */
  calls(): Readonly<Record<string, number>>;
  /** Stops the emulator and its machines. May be called twice. */
  stop(): Promise<void>;
};

/**
 * Starts an emulator on 127.0.0.1, with one administrator and one key in each cloud.
 * Throws `EmulatorError`: `argument`, `state`, `port_in_use`.
 */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const region = checked('region', options.region ?? 'eu-west-1', regionPattern);
  const state = await openState(options);
  const counts = new Map<string, number>();
  const cloud = openCloud(options, state, counts);
  const faults = makeFaults();
  faults.set(checkedFaults(options.faults ?? []));
  const keys = { awsKey: ensureAwsKey(cloud, region, options.keyId), gcpKey: ensureGcpKey(cloud) };
  const onFault = options.onFault ?? (() => undefined);
  const server = await listen({
    listen: { port: options.port ?? 0 },
    methods: ['GET', 'POST'],
    maxBodyBytes: 262_144,
    publicPaths: [],
    allowQuery: true,
    respond: answerCloud(cloud, faults),
    onFault,
  });
  try {
    await cloud.save();
  } catch (cause) {
    await server.close(0);
    throw cause;
  }
  return {
    url: server.url,
    port: server.port,
    region,
    account: state.account,
    project: state.project,
    administrator: state.administrator,
    ...keys,
    ...roleMethods(cloud),
    ...keyMethods(cloud, region),
    ...machineMethods(cloud, server, region, onFault),
    setFaults: (rules) => faults.set(checkedFaults(rules)),
    calls: () => Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

async function listen(options: Parameters<typeof startLoopbackServer>[0]): Promise<LoopbackServer> {
  try {
    return await startLoopbackServer(options);
  } catch (cause) {
    if (!(cause instanceof LoopbackError)) throw cause;
    throw new EmulatorError('port_in_use', cause.message, { cause });
  }
}

async function openState(options: EmulatorOptions): Promise<State> {
  const found = options.statePath === undefined ? undefined : await readStateFile(options.statePath);
  const account = checked('account', options.account ?? found?.account ?? '111122223333', accountPattern);
  const project = checked('project', options.project ?? found?.project ?? 'clef-emulator', projectPattern);
  if (found === undefined) return emptyState(account, project, makeAdministrator(options.randomBytes));
  if (found.account === account && found.project === project) return found;
  throw new EmulatorError(
    'state',
    'The state file belongs to another account or project than the one asked for',
  );
}

function openCloud(options: EmulatorOptions, state: State, counts: Map<string, number>): Cloud {
  const { statePath, now, randomBytes, sessionSeconds = 3600 } = options;
  if (!Number.isInteger(sessionSeconds) || sessionSeconds < 1 || sessionSeconds > 43_200) {
    throw new EmulatorError('argument', 'sessionSeconds must be a whole number from 1 to 43200');
  }
  // One write after the other, each with everything that was changed before it began.
  let last: Promise<void> = Promise.resolve();
  const save = (): Promise<void> => {
    if (statePath === undefined) return last;
    const next = last.then(() => writeStateFile(statePath, state));
    last = next.catch(() => undefined);
    return next;
  };
  const record = (call: RecordedCall): void => {
    counts.set(call.operation, (counts.get(call.operation) ?? 0) + 1);
    options.onCall?.(call);
  };
  return { state, now, randomBytes, sessionSeconds, tokenSecret: randomBytes(32), save, record };
}

function ensureAwsKey(cloud: Cloud, region: string, wantedId: string | undefined): EmulatedAwsKey {
  const { state } = cloud;
  const alias = { name: 'alias/clef', region };
  const aliasId = `${region}/${alias.name}`;
  const keyId =
    wantedId === undefined ? state.awsAliases.get(aliasId)?.keyId : checked('keyId', wantedId, uuidPattern);
  const found = keyId === undefined ? undefined : state.awsKeys.get(keyArn(region, state.account, keyId));
  const description = 'The default key of this emulator';
  const key = found ?? addKey(cloud, region, { keyId, description });
  state.awsAliases.set(aliasId, { ...alias, keyId: key.keyId });
  return awsKeyFacts(key);
}

function ensureGcpKey(cloud: Cloud): EmulatedGcpKey {
  const name = `projects/${cloud.state.project}/locations/global/keyRings/clef/cryptoKeys/clef`;
  if (!cloud.state.gcpKeys.has(name)) addGcpKey({ ...cloud, now: cloud.now() }, name);
  return gcpKeyFacts(cloud.state.gcpKeys.get(name) as GcpKey);
}

function roleMethods(
  cloud: Cloud,
): Pick<Emulator, 'createRole' | 'putRolePolicy' | 'revokeRole' | 'restoreRole'> {
  const { roles, account, project } = cloud.state;
  const setRevoked = async (name: string, isRevoked: boolean): Promise<void> => {
    findRole(cloud, name).isRevoked = isRevoked;
    await cloud.save();
  };
  return {
    async createRole(name) {
      checked('role', name, rolePattern);
      if (roles.has(name)) throw new EmulatorError('exists', `The role "${name}" exists already`);
      roles.set(name, { name, policy: undefined, isRevoked: false });
      await cloud.save();
      return { name, arn: roleArn(account, name), serviceAccount: serviceAccountEmail(project, name) };
    },
    async putRolePolicy(name, policy) {
      findRole(cloud, name).policy = readPolicy(policy, 'role');
      await cloud.save();
    },
    revokeRole: (name) => setRevoked(name, true),
    restoreRole: (name) => setRevoked(name, false),
  };
}

type KeyMethods = Pick<
  Emulator,
  'createKey' | 'createGcpKey' | 'putKeyPolicy' | 'setKeyEnabled' | 'allowRole'
>;

function keyMethods(cloud: Cloud, ownRegion: string): KeyMethods {
  const { state } = cloud;
  return {
    async createKey({ keyId, region = ownRegion, use } = {}) {
      checked('region', region, regionPattern);
      if (
        keyId !== undefined &&
        state.awsKeys.has(keyArn(region, state.account, checked('keyId', keyId, uuidPattern)))
      ) {
        throw new EmulatorError('exists', `The key "${keyId}" exists already`);
      }
      const key = addKey(cloud, region, { keyId, use });
      await cloud.save();
      return awsKeyFacts(key);
    },
    async createGcpKey(name, use) {
      if (!isCryptoKeyName(name))
        throw new EmulatorError('argument', 'Expected projects/P/locations/L/keyRings/R/cryptoKeys/K');
      if (state.gcpKeys.has(name)) throw new EmulatorError('exists', `The key "${name}" exists already`);
      const key = addGcpKey({ ...cloud, now: cloud.now() }, name, use);
      await cloud.save();
      return gcpKeyFacts(key);
    },
    async putKeyPolicy(arn, policy) {
      findAwsKey(cloud, arn).policy = readPolicy(policy, 'key');
      await cloud.save();
    },
    async setKeyEnabled(arn, isEnabled) {
      findAwsKey(cloud, arn).isEnabled = isEnabled;
      await cloud.save();
    },
    async allowRole(grant) {
      findRole(cloud, grant.role);
      if (grant.key.startsWith('arn:')) allowOnAws(cloud, grant);
      else allowOnGcp(cloud, grant);
      await cloud.save();
    },
  };
}

const encryptActions = ['kms:Encrypt', 'kms:GenerateDataKey'] as const;
const awsActions = {
  encrypt: encryptActions,
  decrypt: ['kms:Decrypt'],
  both: [...encryptActions, 'kms:Decrypt'],
  sign: ['kms:Sign', 'kms:GetPublicKey'],
} as const satisfies Record<Grant['may'], readonly string[]>;

function allowOnAws(cloud: Cloud, { role, key: arn, may, context = {} }: Grant): void {
  const key = findAwsKey(cloud, arn);
  const tests = Object.entries(context).map(([name, value]) => [`kms:EncryptionContext:${name}`, value]);
  const statement = {
    Effect: 'Allow',
    Principal: { AWS: roleArn(cloud.state.account, role) },
    Action: awsActions[may],
    Resource: '*',
    ...(tests.length === 0 ? {} : { Condition: { StringEquals: Object.fromEntries(tests) } }),
  };
  const document = key.policy.document;
  key.policy = readPolicy({ ...document, Statement: [document['Statement'], statement].flat() }, 'key');
}

const gcpRoles = {
  encrypt: 'roles/cloudkms.cryptoKeyEncrypter',
  decrypt: 'roles/cloudkms.cryptoKeyDecrypter',
  both: 'roles/cloudkms.cryptoKeyEncrypterDecrypter',
  sign: 'roles/cloudkms.signerVerifier',
} as const satisfies Record<Grant['may'], string>;

function allowOnGcp(cloud: Cloud, { role, key: name, may, context }: Grant): void {
  const key = cloud.state.gcpKeys.get(name);
  if (key === undefined) throw new EmulatorError('not_found', 'There is no such key');
  if (context !== undefined)
    throw new EmulatorError('argument', 'Google Cloud has no conditions on a context: use a key for each');
  const member = `serviceAccount:${serviceAccountEmail(cloud.state.project, role)}`;
  key.bindings = [...key.bindings, { role: gcpRoles[may], members: [member] }];
}

function machineMethods(
  cloud: Cloud,
  server: LoopbackServer,
  region: string,
  onFault: (cause: unknown) => void,
): Pick<Emulator, 'instance' | 'session' | 'stop'> {
  const instances: Instance[] = [];
  let isStopped = false;
  return {
    async instance(role, kind = 'ec2') {
      if (isStopped) throw new EmulatorError('stopped', 'The emulator has been stopped');
      findRole(cloud, role);
      const instance = await startInstance(cloud, role, kind, { url: server.url, region, onFault });
      instances.push(instance);
      return instance;
    },
    session(role) {
      findRole(cloud, role);
      const caller = { role, session: 'session' };
      const { accessKeyId, secretAccessKey, sessionToken } = issueAwsCredential(cloud, caller);
      return {
        ...awsEndpointVariables({ url: server.url, region }),
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_SESSION_TOKEN: sessionToken,
        CLEF_GCP_KMS_ENDPOINT: server.url,
        GOOGLE_OAUTH_ACCESS_TOKEN: issueGcpCredential(cloud, caller).token,
      };
    },
    async stop() {
      isStopped = true;
      await Promise.all([server.close(1), ...instances.map((instance) => instance.stop())]);
    },
  };
}

type NewKey = {
  readonly keyId?: string | undefined;
  readonly use?: KeyUse | undefined;
  readonly description?: string;
};

function addKey(cloud: Cloud, region: string, { keyId, use, description }: NewKey): AwsKey {
  const { state, randomBytes } = cloud;
  return addAwsKey(
    { state, region, now: cloud.now(), randomBytes },
    {
      ...(keyId === undefined ? {} : { keyId }),
      ...(use === undefined ? {} : { use }),
      ...(description === undefined ? {} : { description }),
    },
  );
}

function findAwsKey(cloud: Cloud, arn: string): AwsKey {
  const key = cloud.state.awsKeys.get(arn);
  if (key === undefined) throw new EmulatorError('not_found', 'There is no key with this ARN');
  return key;
}

function findRole(cloud: Cloud, name: string): RoleRecord {
  const role = cloud.state.roles.get(name);
  if (role === undefined) throw new EmulatorError('not_found', 'There is no role of this name');
  return role;
}

/** Programs pass plain objects; the reader gets what would arrive over the wire. */
function readPolicy(policy: object, kind: 'key' | 'role'): Policy {
  try {
    const value: JsonValue = parseJson(JSON.stringify(policy), { maxBytes: 32_768, maxDepth: 8 });
    return parsePolicy(value, kind);
  } catch (cause) {
    if (!(cause instanceof PolicyFault)) throw cause;
    throw new EmulatorError('argument', `The policy is not accepted: ${cause.message}`, { cause });
  }
}

function checkedFaults(rules: readonly FaultRule[]): readonly FaultRule[] {
  const wrong = rules.find(
    ({ operation, kind, delaySeconds = 0, times = 1 }) =>
      !/^((aws|gcp)\.[A-Za-z.]*\*?|\*)$/.test(operation) ||
      !(kind === undefined || faultKinds.includes(kind)) ||
      !(delaySeconds >= 0 && delaySeconds <= 3600) ||
      !(Number.isInteger(times) && times > 0),
  );
  if (wrong === undefined) return rules;
  throw new EmulatorError('argument', `A fault is not one: ${JSON.stringify(wrong)}`);
}

function checked(name: string, value: string, pattern: RegExp): string {
  if (pattern.test(value)) return value;
  throw new EmulatorError('argument', `${name} must match ${pattern.source}`);
}

function awsKeyFacts({ keyId, arn }: AwsKey): EmulatedAwsKey {
  return { keyId, arn, reference: `awskms:///${arn}` };
}

function gcpKeyFacts({ name, use }: GcpKey): EmulatedGcpKey {
  return { name, reference: `gcpkms://${name}${use === 'sign' ? '/cryptoKeyVersions/1' : ''}` };
}
