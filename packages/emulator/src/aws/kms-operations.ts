// The operations of AWS KMS: one row an operation, with the parameters it honours. Everything else is in the protocol.
import { createHash } from 'node:crypto';
import { encodeBase64, excerpt, type JsonObject, type JsonValue, parseJson, StrictError } from '@clef/strict';
import { keyArn, randomUuid } from '../identifiers.ts';
import { type Policy, PolicyFault, parsePolicy } from '../policy.ts';
import { keyNameOf, openBlob, type RandomBytes, sealBlob } from '../software-key.ts';
import { isSignatureOf, makeSigningMaterial, publicKeyOf, signDigest } from '../software-signing-key.ts';
import type { AwsKey, Caller, KeyUse, State } from '../state.ts';
import { authorizeAccount, authorizeKey, defaultKeyPolicy } from './authorization.ts';
import { AwsRefusal } from './aws-refusal.ts';
import {
  encryptionContext,
  onlyEmptyList,
  onlyFalse,
  optionalChoice,
  optionalInteger,
  optionalString,
  requiredBlob,
  requiredString,
} from './fields.ts';

/** One authenticated request. */
export type KmsCall = {
  readonly state: State;
  readonly caller: Caller;
  readonly region: string;
  readonly now: number;
  readonly randomBytes: RandomBytes;
};

export type KmsOperation = {
  readonly parameters: readonly string[];
  /** True when the state file has to be written. */
  readonly isChange?: true;
  /** Returns the reply's JSON, or undefined for none. Throws `AwsRefusal`. */
  readonly run: (call: KmsCall, fields: JsonObject) => KmsAnswer | Promise<KmsAnswer>;
};

type KmsAnswer = Record<string, unknown> | undefined;

export const kmsOperations: Readonly<Record<string, KmsOperation>> = {
  CreateKey: {
    parameters: [
      'BypassPolicyLockoutSafetyCheck',
      'CustomerMasterKeySpec',
      'Description',
      'KeySpec',
      'KeyUsage',
      'MultiRegion',
      'Origin',
      'Policy',
      'Tags',
    ],
    isChange: true,
    run: createKey,
  },
  DescribeKey: { parameters: ['GrantTokens', 'KeyId'], run: describeKey },
  EnableKey: { parameters: ['KeyId'], isChange: true, run: (call, fields) => setEnabled(call, fields, true) },
  DisableKey: {
    parameters: ['KeyId'],
    isChange: true,
    run: (call, fields) => setEnabled(call, fields, false),
  },
  ListKeys: { parameters: ['Limit', 'Marker'], run: listKeys },
  CreateAlias: { parameters: ['AliasName', 'TargetKeyId'], isChange: true, run: createAlias },
  ListAliases: { parameters: ['KeyId', 'Limit', 'Marker'], run: listAliases },
  GetKeyPolicy: { parameters: ['KeyId', 'PolicyName'], run: getKeyPolicy },
  PutKeyPolicy: {
    parameters: ['BypassPolicyLockoutSafetyCheck', 'KeyId', 'Policy', 'PolicyName'],
    isChange: true,
    run: putKeyPolicy,
  },
  Encrypt: {
    parameters: ['DryRun', 'EncryptionAlgorithm', 'EncryptionContext', 'GrantTokens', 'KeyId', 'Plaintext'],
    run: encrypt,
  },
  Decrypt: {
    parameters: [
      'CiphertextBlob',
      'DryRun',
      'EncryptionAlgorithm',
      'EncryptionContext',
      'GrantTokens',
      'KeyId',
    ],
    run: decrypt,
  },
  GenerateDataKey: {
    parameters: ['DryRun', 'EncryptionContext', 'GrantTokens', 'KeyId', 'KeySpec', 'NumberOfBytes'],
    run: generateDataKey,
  },
  ReEncrypt: {
    parameters: [
      'CiphertextBlob',
      'DestinationEncryptionAlgorithm',
      'DestinationEncryptionContext',
      'DestinationKeyId',
      'DryRun',
      'GrantTokens',
      'SourceEncryptionAlgorithm',
      'SourceEncryptionContext',
      'SourceKeyId',
    ],
    run: reEncrypt,
  },
  Sign: {
    parameters: ['DryRun', 'GrantTokens', 'KeyId', 'Message', 'MessageType', 'SigningAlgorithm'],
    run: sign,
  },
  Verify: {
    parameters: ['DryRun', 'GrantTokens', 'KeyId', 'Message', 'MessageType', 'Signature', 'SigningAlgorithm'],
    run: verify,
  },
  GetPublicKey: { parameters: ['GrantTokens', 'KeyId'], run: getPublicKey },
};

const keyIdLength = { min: 1, max: 2048 };
const symmetric = ['SYMMETRIC_DEFAULT'] as const;
const specs = ['SYMMETRIC_DEFAULT', 'ECC_NIST_P256'] as const;
const usages = ['ENCRYPT_DECRYPT', 'SIGN_VERIFY'] as const;
/** The only one of P-256. The others are known, so that they are refused as what they are. */
const ownAlgorithm = 'ECDSA_SHA_256';
const signingAlgorithms = [
  ownAlgorithm,
  'ECDSA_SHA_384',
  'ECDSA_SHA_512',
  'RSASSA_PKCS1_V1_5_SHA_256',
  'RSASSA_PKCS1_V1_5_SHA_384',
  'RSASSA_PKCS1_V1_5_SHA_512',
  'RSASSA_PSS_SHA_256',
  'RSASSA_PSS_SHA_384',
  'RSASSA_PSS_SHA_512',
] as const;

function createKey(call: KmsCall, fields: JsonObject): Record<string, unknown> {
  authorizeAccount(call.state, call.caller, 'kms:CreateKey');
  const use = useOf(
    optionalChoice(fields, 'KeySpec', specs) ?? optionalChoice(fields, 'CustomerMasterKeySpec', specs),
    optionalChoice(fields, 'KeyUsage', usages),
  );
  optionalChoice(fields, 'Origin', ['AWS_KMS']);
  onlyFalse(fields, 'MultiRegion');
  onlyEmptyList(fields, 'Tags');
  const policy = fields['Policy'] === undefined ? undefined : policyField(fields);
  const description = optionalString(fields, 'Description', { min: 0, max: 8192 }) ?? '';
  const key = addAwsKey(call, { use, description, ...(policy === undefined ? {} : { policy }) });
  return { KeyMetadata: keyMetadata(call.state, key) };
}

function useOf(spec = 'SYMMETRIC_DEFAULT', usage?: string): KeyUse {
  const [use, wanted] =
    spec === 'SYMMETRIC_DEFAULT'
      ? (['wrap', 'ENCRYPT_DECRYPT'] as const)
      : (['sign', 'SIGN_VERIFY'] as const);
  if ((usage ?? 'ENCRYPT_DECRYPT') === wanted) return use;
  if (usage === undefined)
    throw new AwsRefusal('ValidationException', 'You must specify a KeyUsage value for an asymmetric CMK.');
  throw new AwsRefusal('ValidationException', `KeyUsage ${usage} is not compatible with KeySpec ${spec}`);
}

/** Makes a key and puts it among the others. The caller has checked that its id is free. */
export function addAwsKey(
  call: Pick<KmsCall, 'state' | 'region' | 'now' | 'randomBytes'>,
  options: {
    readonly keyId?: string;
    readonly use?: KeyUse;
    readonly description?: string;
    readonly policy?: Policy;
  },
): AwsKey {
  const keyId = options.keyId ?? randomUuid(call.randomBytes);
  const arn = keyArn(call.region, call.state.account, keyId);
  const key: AwsKey = {
    keyId,
    region: call.region,
    arn,
    use: options.use ?? 'wrap',
    material:
      options.use === 'sign' ? makeSigningMaterial(call.randomBytes) : Uint8Array.from(call.randomBytes(32)),
    createdAtMs: call.now,
    description: options.description ?? '',
    policy: options.policy ?? defaultKeyPolicy(call.state.account),
    isEnabled: true,
  };
  call.state.awsKeys.set(arn, key);
  return key;
}

function describeKey(call: KmsCall, fields: JsonObject): Record<string, unknown> {
  onlyEmptyList(fields, 'GrantTokens');
  const key = findKey(call, requiredString(fields, 'KeyId', keyIdLength));
  authorizeKey(call.state, call.caller, 'kms:DescribeKey', key, new Map());
  return { KeyMetadata: keyMetadata(call.state, key) };
}

function setEnabled(call: KmsCall, fields: JsonObject, isEnabled: boolean): undefined {
  const key = findKey(call, requiredString(fields, 'KeyId', keyIdLength), 'no alias');
  authorizeKey(call.state, call.caller, isEnabled ? 'kms:EnableKey' : 'kms:DisableKey', key, new Map());
  key.isEnabled = isEnabled;
}

function listKeys(call: KmsCall, fields: JsonObject): Record<string, unknown> {
  authorizeAccount(call.state, call.caller, 'kms:ListKeys');
  const keys = [...call.state.awsKeys.values()].filter((key) => key.region === call.region);
  const rows = keys.map((key) => ({ KeyId: key.keyId, KeyArn: key.arn }));
  return page(fields, 'Keys', rows, 1000);
}

function createAlias(call: KmsCall, fields: JsonObject): undefined {
  const name = requiredString(fields, 'AliasName', { min: 1, max: 256 });
  if (!/^alias\/[A-Za-z0-9/_-]+$/.test(name) || name.startsWith('alias/aws/')) {
    throw new AwsRefusal(
      'InvalidAliasNameException',
      'An alias must begin with "alias/", not "alias/aws/", and use a-zA-Z0-9/_-',
    );
  }
  const key = findKey(call, requiredString(fields, 'TargetKeyId', keyIdLength), 'no alias');
  authorizeKey(call.state, call.caller, 'kms:CreateAlias', key, new Map());
  const alias = { name, region: call.region, keyId: key.keyId };
  const id = `${call.region}/${name}`;
  if (call.state.awsAliases.has(id)) {
    throw new AwsRefusal(
      'AlreadyExistsException',
      `An alias with the name ${aliasArn(call, name)} already exists`,
    );
  }
  call.state.awsAliases.set(id, alias);
}

function listAliases(call: KmsCall, fields: JsonObject): Record<string, unknown> {
  authorizeAccount(call.state, call.caller, 'kms:ListAliases');
  const wanted = optionalString(fields, 'KeyId', keyIdLength);
  const keyId = wanted === undefined ? undefined : findKey(call, wanted, 'no alias').keyId;
  const rows = [...call.state.awsAliases.values()]
    .filter((alias) => alias.region === call.region && (keyId === undefined || alias.keyId === keyId))
    .map(({ name, keyId: target }) => ({
      AliasName: name,
      AliasArn: aliasArn(call, name),
      TargetKeyId: target,
    }));
  return page(fields, 'Aliases', rows, 100);
}

function getKeyPolicy(call: KmsCall, fields: JsonObject): Record<string, unknown> {
  optionalChoice(fields, 'PolicyName', ['default']);
  const key = findKey(call, requiredString(fields, 'KeyId', keyIdLength), 'no alias');
  authorizeKey(call.state, call.caller, 'kms:GetKeyPolicy', key, new Map());
  return { Policy: JSON.stringify(key.policy.document, undefined, 2), PolicyName: 'default' };
}

function putKeyPolicy(call: KmsCall, fields: JsonObject): undefined {
  optionalChoice(fields, 'PolicyName', ['default']);
  const key = findKey(call, requiredString(fields, 'KeyId', keyIdLength), 'no alias');
  authorizeKey(call.state, call.caller, 'kms:PutKeyPolicy', key, new Map());
  key.policy = policyField(fields);
}

function encrypt(call: KmsCall, fields: JsonObject): Record<string, unknown> {
  const plaintext = requiredBlob(fields, 'Plaintext', { min: 1, max: 4096 });
  const { key, context } = usableKey(call, fields, 'kms:Encrypt');
  return {
    CiphertextBlob: encodeBase64(seal(call, key, plaintext, context)),
    KeyId: key.arn,
    EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
  };
}

function decrypt(call: KmsCall, fields: JsonObject): Record<string, unknown> {
  const context = cipherParameters(fields);
  const { key, plaintext } = openCiphertext(call, fields, context, 'kms:Decrypt', 'KeyId');
  return { KeyId: key.arn, Plaintext: encodeBase64(plaintext), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
}

/** What Decrypt and ReEncrypt begin with: the blob tells its key, which must be the one that is named, if one is. */
function openCiphertext(
  call: KmsCall,
  fields: JsonObject,
  context: ReadonlyMap<string, string>,
  action: string,
  keyField: string,
): { readonly key: AwsKey; readonly plaintext: Uint8Array } {
  const blob = requiredBlob(fields, 'CiphertextBlob', { min: 1, max: 6144 });
  const keyName = keyNameOf(blob);
  if (keyName === undefined) throw invalidCiphertext();
  const key = call.state.awsKeys.get(keyName);
  const wanted = optionalString(fields, keyField, keyIdLength);
  const expected = wanted === undefined ? undefined : findKey(call, wanted);
  if (expected !== undefined && expected !== key) {
    const message = 'The key ID in the request does not identify a CMK that can perform this operation.';
    throw new AwsRefusal('IncorrectKeyException', message);
  }
  if (key === undefined || key.region !== call.region) throw foreignCiphertext();
  authorizeKey(call.state, call.caller, action, key, context);
  checkUsable(key, 'wrap', 'Decrypt');
  const plaintext = openBlob({ keyName: key.arn, material: key.material }, blob, contextBytes(context));
  if (plaintext === undefined) throw invalidCiphertext();
  return { key, plaintext };
}

function reEncrypt(call: KmsCall, fields: JsonObject): Record<string, unknown> {
  onlyFalse(fields, 'DryRun');
  onlyEmptyList(fields, 'GrantTokens');
  optionalChoice(fields, 'SourceEncryptionAlgorithm', symmetric);
  optionalChoice(fields, 'DestinationEncryptionAlgorithm', symmetric);
  const from = encryptionContext(fields, 'SourceEncryptionContext');
  const to = encryptionContext(fields, 'DestinationEncryptionContext');
  const source = openCiphertext(call, fields, from, 'kms:ReEncryptFrom', 'SourceKeyId');
  const key = findKey(call, requiredString(fields, 'DestinationKeyId', keyIdLength));
  authorizeKey(call.state, call.caller, 'kms:ReEncryptTo', key, to);
  checkUsable(key, 'wrap', 'ReEncrypt');
  return {
    CiphertextBlob: encodeBase64(seal(call, key, source.plaintext, to)),
    SourceKeyId: source.key.arn,
    KeyId: key.arn,
    SourceEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    DestinationEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
  };
}

async function sign(call: KmsCall, fields: JsonObject): Promise<Record<string, unknown>> {
  const { key, digest } = signingParameters(call, fields, 'Sign');
  return {
    KeyId: key.arn,
    Signature: encodeBase64(await signDigest(key.material, digest)),
    SigningAlgorithm: ownAlgorithm,
  };
}

async function verify(call: KmsCall, fields: JsonObject): Promise<Record<string, unknown>> {
  const signature = requiredBlob(fields, 'Signature', { min: 1, max: 6144 });
  const { key, digest } = signingParameters(call, fields, 'Verify');
  if (!(await isSignatureOf(key.material, digest, signature)))
    throw new AwsRefusal('KMSInvalidSignatureException', '');
  return { KeyId: key.arn, SignatureValid: true, SigningAlgorithm: ownAlgorithm };
}

/** What Sign and Verify begin with. A DIGEST is signed as it is, a RAW message is hashed first (KMS API, "Sign"). */
function signingParameters(
  call: KmsCall,
  fields: JsonObject,
  operation: 'Sign' | 'Verify',
): { readonly key: AwsKey; readonly digest: Uint8Array } {
  onlyFalse(fields, 'DryRun');
  onlyEmptyList(fields, 'GrantTokens');
  const message = requiredBlob(fields, 'Message', { min: 1, max: 4096 });
  const type = optionalChoice(fields, 'MessageType', ['RAW', 'DIGEST']) ?? 'RAW';
  requiredString(fields, 'SigningAlgorithm', { min: 1, max: 128 });
  const algorithm = optionalChoice(fields, 'SigningAlgorithm', signingAlgorithms);
  const key = findKey(call, requiredString(fields, 'KeyId', keyIdLength));
  authorizeKey(call.state, call.caller, `kms:${operation}`, key, new Map());
  checkUsable(key, 'sign', operation);
  if (algorithm !== ownAlgorithm) {
    const why = `Algorithm ${algorithm} is incompatible with key spec ECC_NIST_P256.`;
    throw new AwsRefusal('InvalidKeyUsageException', why);
  }
  if (type === 'RAW') return { key, digest: createHash('sha256').update(message).digest() };
  if (message.length === 32) return { key, digest: message };
  throw new AwsRefusal('ValidationException', `Digest is invalid length for algorithm ${ownAlgorithm}.`);
}

async function getPublicKey(call: KmsCall, fields: JsonObject): Promise<Record<string, unknown>> {
  onlyEmptyList(fields, 'GrantTokens');
  const key = findKey(call, requiredString(fields, 'KeyId', keyIdLength));
  authorizeKey(call.state, call.caller, 'kms:GetPublicKey', key, new Map());
  if (key.use !== 'sign')
    throw new AwsRefusal('UnsupportedOperationException', `${key.arn} is symmetric, it has no public key.`);
  checkUsable(key, 'sign', 'GetPublicKey');
  return {
    KeyId: key.arn,
    PublicKey: encodeBase64(await publicKeyOf(key.material)),
    CustomerMasterKeySpec: 'ECC_NIST_P256',
    KeySpec: 'ECC_NIST_P256',
    KeyUsage: 'SIGN_VERIFY',
    SigningAlgorithms: [ownAlgorithm],
  };
}

function generateDataKey(call: KmsCall, fields: JsonObject): Record<string, unknown> {
  const spec = optionalChoice(fields, 'KeySpec', ['AES_256', 'AES_128']);
  const length = optionalInteger(fields, 'NumberOfBytes', { min: 1, max: 1024 });
  if ((spec === undefined) === (length === undefined)) {
    throw new AwsRefusal('ValidationException', 'Please specify either number of bytes or key spec.');
  }
  const { key, context } = usableKey(call, fields, 'kms:GenerateDataKey');
  const plaintext = call.randomBytes(length ?? (spec === 'AES_128' ? 16 : 32));
  return {
    CiphertextBlob: encodeBase64(seal(call, key, plaintext, context)),
    Plaintext: encodeBase64(plaintext),
    KeyId: key.arn,
  };
}

/** What Encrypt and GenerateDataKey begin with: the key exists, the caller may, it is enabled. */
function usableKey(call: KmsCall, fields: JsonObject, action: string) {
  const context = cipherParameters(fields);
  const key = findKey(call, requiredString(fields, 'KeyId', keyIdLength));
  authorizeKey(call.state, call.caller, action, key, context);
  checkUsable(key, 'wrap', action.replace('kms:', ''));
  return { key, context };
}

function cipherParameters(fields: JsonObject): ReadonlyMap<string, string> {
  onlyFalse(fields, 'DryRun');
  onlyEmptyList(fields, 'GrantTokens');
  optionalChoice(fields, 'EncryptionAlgorithm', symmetric);
  return encryptionContext(fields);
}

function seal(
  call: KmsCall,
  key: AwsKey,
  plaintext: Uint8Array,
  context: ReadonlyMap<string, string>,
): Uint8Array {
  return sealBlob(
    { keyName: key.arn, material: key.material },
    plaintext,
    contextBytes(context),
    call.randomBytes,
  );
}

/** Sorted by name, each text after its length: no two contexts have the same bytes. */
function contextBytes(context: ReadonlyMap<string, string>): Uint8Array {
  const pairs = [...context].sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = pairs.flat().flatMap((text) => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}

/** By id, ARN, alias or alias ARN, in the region of the request. */
function findKey(call: KmsCall, keyId: string, aliases?: 'no alias'): AwsKey {
  const prefix = /^arn:aws:kms:([^:]*):([^:]*):(.*)$/s.exec(keyId);
  const [, region = call.region, account = call.state.account, resource = ''] = prefix ?? [];
  if (keyId.startsWith('arn:') && prefix === null) throw new AwsRefusal('InvalidArnException', 'Invalid ARN');
  if (region !== call.region) throw new AwsRefusal('NotFoundException', `Invalid arn ${excerpt(region)}`);
  const name = prefix === null ? keyId : resource.replace(/^key\//, '');
  if (aliases === 'no alias' && name.startsWith('alias/')) {
    throw new AwsRefusal('InvalidArnException', 'Aliases are not supported for this operation');
  }
  const target = name.startsWith('alias/') ? call.state.awsAliases.get(`${region}/${name}`)?.keyId : name;
  const key = target === undefined ? undefined : call.state.awsKeys.get(keyArn(region, account, target));
  if (key !== undefined) return key;
  const kind = name.startsWith('alias/') ? 'Alias' : 'Key';
  throw new AwsRefusal('NotFoundException', `${kind} '${excerpt(keyId, 160)}' does not exist`);
}

function checkUsable(key: AwsKey, use: KeyUse, operation: string): void {
  if (!key.isEnabled) throw new AwsRefusal('DisabledException', `${key.arn} is disabled.`);
  if (key.use === use) return;
  const usage = key.use === 'sign' ? 'SIGN_VERIFY' : 'ENCRYPT_DECRYPT';
  const why = `${key.arn} key usage is ${usage} which is not valid for ${operation}.`;
  throw new AwsRefusal('InvalidKeyUsageException', why);
}

function policyField(fields: JsonObject): Policy {
  const text = requiredString(fields, 'Policy', { min: 1, max: 32_768 });
  try {
    return parsePolicy(parseJson(text, { maxBytes: 32_768, maxDepth: 8 }) as JsonValue, 'key');
  } catch (cause) {
    if (!(cause instanceof PolicyFault || cause instanceof StrictError)) throw cause;
    throw new AwsRefusal('MalformedPolicyDocumentException', cause.message);
  }
}

function keyMetadata(state: State, key: AwsKey): Record<string, unknown> {
  const [spec, usage] =
    key.use === 'sign' ? (['ECC_NIST_P256', 'SIGN_VERIFY'] as const) : ([specs[0], usages[0]] as const);
  return {
    AWSAccountId: state.account,
    Arn: key.arn,
    CreationDate: key.createdAtMs / 1000,
    CustomerMasterKeySpec: spec,
    Description: key.description,
    Enabled: key.isEnabled,
    ...(key.use === 'sign' ? { SigningAlgorithms: [ownAlgorithm] } : { EncryptionAlgorithms: symmetric }),
    KeyId: key.keyId,
    KeyManager: 'CUSTOMER',
    KeySpec: spec,
    KeyState: key.isEnabled ? 'Enabled' : 'Disabled',
    KeyUsage: usage,
    MultiRegion: false,
    Origin: 'AWS_KMS',
  };
}

/** Pages by position: the marker is the number of the first row that was not shown. */
function page(
  fields: JsonObject,
  name: string,
  rows: readonly unknown[],
  most: number,
): Record<string, unknown> {
  const limit = optionalInteger(fields, 'Limit', { min: 1, max: most }) ?? Math.min(most, 100);
  const marker = optionalString(fields, 'Marker', { min: 1, max: 1024 }) ?? '0';
  if (!/^[0-9]{1,9}$/.test(marker))
    throw new AwsRefusal('InvalidMarkerException', 'The marker is not one of ours');
  const end = Number(marker) + limit;
  const isTruncated = end < rows.length;
  return {
    [name]: rows.slice(Number(marker), end),
    Truncated: isTruncated,
    ...(isTruncated ? { NextMarker: String(end) } : {}),
  };
}

function aliasArn(call: KmsCall, name: string): string {
  return `arn:aws:kms:${call.region}:${call.state.account}:${name}`;
}

/** KMS says nothing more, whatever is wrong with a ciphertext or its context. */
function invalidCiphertext(): AwsRefusal {
  return new AwsRefusal('InvalidCiphertextException', '');
}

function foreignCiphertext(): AwsRefusal {
  const message =
    'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.';
  return new AwsRefusal('AccessDeniedException', message);
}
