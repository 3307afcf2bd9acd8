// The state file: JSON with every key in clear, 0600, replaced whole. For development only: whoever reads it can decrypt
// everything that was ever encrypted here. Sessions are not in it.
import { HostError, readRegularFile, replaceFile, statRegularFile } from '@clef/host';
import {
  decodeBase64,
  encodeBase64,
  type JsonObject,
  type JsonValue,
  parseJson,
  StrictError,
} from '@clef/strict';
import { EmulatorError } from './emulator-error.ts';
import { GcpRefusal } from './gcp/gcp-refusal.ts';
import { parseBindings } from './gcp/iam.ts';
import {
  accountPattern,
  keyArn,
  projectPattern,
  regionPattern,
  rolePattern,
  uuidPattern,
} from './identifiers.ts';
import { PolicyFault, parsePolicy } from './policy.ts';
import { isSigningMaterial } from './software-signing-key.ts';
import { emptyState, type KeyUse, type State } from './state.ts';

const maxBytes = 4 * 1024 * 1024;

/**
 * Reads the state file; undefined when there is none.
 * Throws `state` when others may read it, when it is not exactly what `writeStateFile` writes, and when it cannot be read.
 */
export async function readStateFile(path: string): Promise<State | undefined> {
  const facts = await asStateFault(statRegularFile(path));
  if (facts === undefined) return undefined;
  if (process.platform !== 'win32' && (facts.mode & 0o077) !== 0) {
    throw new EmulatorError(
      'state',
      'Other users may read the state file, which holds keys in clear: expected mode 0600',
    );
  }
  return parseState(await asStateFault(readRegularFile(path, { maxBytes })));
}

/** Replaces the state file. Throws `state`. */
export async function writeStateFile(path: string, state: State): Promise<void> {
  await asStateFault(replaceFile(path, new TextEncoder().encode(formatState(state)), { mode: 0o600 }));
}

async function asStateFault<T>(access: Promise<T>): Promise<T> {
  try {
    return await access;
  } catch (cause) {
    if (!(cause instanceof HostError)) throw cause;
    throw new EmulatorError('state', `The state file cannot be used: ${cause.message}`, { cause });
  }
}

/** The file's text. Key material is in it, in clear. */
export function formatState(state: State): string {
  const document = {
    warning: 'Keys in clear: for development only',
    version: 1,
    account: state.account,
    project: state.project,
    administrator: state.administrator,
    awsKeys: [...state.awsKeys.values()].map(({ arn: _, policy, material, ...key }) => ({
      ...key,
      material: encodeBase64(material),
      policy: policy.document,
    })),
    awsAliases: [...state.awsAliases.values()],
    gcpKeyRings: [...state.gcpKeyRings].map(([name, createdAtMs]) => ({ name, createdAtMs })),
    gcpKeys: [...state.gcpKeys.values()].map((key) => ({ ...key, material: encodeBase64(key.material) })),
    roles: [...state.roles.values()].map(({ policy, ...role }) => ({
      ...role,
      policy: policy?.document ?? null,
    })),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** Throws `state`, saying where; never with a piece of the file. */
export function parseState(bytes: Uint8Array): State {
  try {
    return readState(new Fields(parseJson(bytes, { maxBytes, maxDepth: 16 }), 'the file'));
  } catch (cause) {
    const isExpected =
      cause instanceof StrictError || cause instanceof PolicyFault || cause instanceof GcpRefusal;
    if (!isExpected) throw cause;
    throw new EmulatorError('state', `The state file is damaged: ${cause.message}`, { cause });
  }
}

function readState(file: Fields): State {
  file.text('warning', /./);
  if (file.number('version') !== 1) throw file.fault('version', '1');
  const administrator = file.object('administrator');
  const state = emptyState(file.text('account', accountPattern), file.text('project', projectPattern), {
    accessKeyId: administrator.text('accessKeyId', /^AKIA[A-Z0-9]{16}$/),
    secretAccessKey: administrator.text('secretAccessKey', /^[A-Za-z0-9+/]{40}$/),
    gcpToken: administrator.text('gcpToken', /^ya29\.[A-Za-z0-9_-]{64}$/),
  });
  for (const fields of file.list('awsKeys')) readAwsKey(state, fields);
  for (const fields of file.list('awsAliases')) readAwsAlias(state, fields);
  for (const fields of file.list('gcpKeyRings')) {
    state.gcpKeyRings.set(fields.text('name', /^projects\/[!-~]+$/), fields.number('createdAtMs'));
  }
  for (const fields of file.list('gcpKeys')) readGcpKey(state, fields);
  for (const fields of file.list('roles')) readRole(state, fields);
  return state;
}

function readAwsKey(state: State, fields: Fields): void {
  const keyId = fields.text('keyId', uuidPattern);
  const region = fields.text('region', regionPattern);
  const arn = keyArn(region, state.account, keyId);
  state.awsKeys.set(arn, {
    keyId,
    region,
    arn,
    ...readMaterial(fields),
    createdAtMs: fields.number('createdAtMs'),
    description: fields.text('description', /^[\s\S]*$/),
    isEnabled: fields.flag('isEnabled'),
    policy: parsePolicy(fields.value('policy'), 'key'),
  });
}

/** Files of an earlier version name no use: all their keys wrap. */
function readMaterial(fields: Fields): { readonly use: KeyUse; readonly material: Uint8Array } {
  const use = fields.value('use') === null ? 'wrap' : (fields.text('use', /^(wrap|sign)$/) as KeyUse);
  const material = fields.material('material');
  if (use === 'sign' && !isSigningMaterial(material)) throw fields.fault('material', 'a P-256 private key');
  return { use, material };
}

function readAwsAlias(state: State, fields: Fields): void {
  const alias = {
    name: fields.text('name', /^alias\/[A-Za-z0-9/_-]+$/),
    region: fields.text('region', regionPattern),
    keyId: fields.text('keyId', uuidPattern),
  };
  state.awsAliases.set(`${alias.region}/${alias.name}`, alias);
}

function readGcpKey(state: State, fields: Fields): void {
  const name = fields.text('name', /^projects\/[!-~]+\/cryptoKeys\/[!-~]+$/);
  state.gcpKeys.set(name, {
    name,
    ...readMaterial(fields),
    createdAtMs: fields.number('createdAtMs'),
    bindings: parseBindings(fields.value('bindings')),
  });
}

function readRole(state: State, fields: Fields): void {
  const name = fields.text('name', rolePattern);
  const document = fields.value('policy');
  const policy = document === null ? undefined : parsePolicy(document, 'role');
  state.roles.set(name, { name, policy, isRevoked: fields.flag('isRevoked') });
}

/** One object of the file. Every reader checks one field; a fault names the field and what was wanted, not what was found. */
class Fields {
  readonly #object: JsonObject;
  readonly #where: string;

  constructor(value: JsonValue, where: string) {
    this.#where = where;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new StrictError('value', `${where} must be an object`);
    }
    this.#object = value as JsonObject;
  }

  fault(name: string, wanted: string): StrictError {
    return new StrictError('value', `"${name}" of ${this.#where} must be ${wanted}`);
  }

  value(name: string): JsonValue {
    return this.#object[name] ?? null;
  }

  text(name: string, pattern: RegExp): string {
    const value = this.value(name);
    if (typeof value !== 'string' || !pattern.test(value))
      throw this.fault(name, `a string that matches ${pattern.source}`);
    return value;
  }

  number(name: string): number {
    const value = this.value(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw this.fault(name, 'a whole number');
    return value;
  }

  flag(name: string): boolean {
    const value = this.value(name);
    if (typeof value !== 'boolean') throw this.fault(name, 'true or false');
    return value;
  }

  material(name: string): Uint8Array {
    const bytes = decodeBase64(this.text(name, /^[A-Za-z0-9+/]{43}=$/));
    if (bytes.length !== 32) throw this.fault(name, '32 bytes');
    return bytes;
  }

  object(name: string): Fields {
    return new Fields(this.value(name), `"${name}"`);
  }

  list(name: string): readonly Fields[] {
    const value = this.value(name);
    if (!Array.isArray(value)) throw this.fault(name, 'a list');
    return value.map((item: JsonValue, index) => new Fields(item, `"${name}[${index}]"`));
  }
}
