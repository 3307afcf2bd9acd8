// IAM of Google Cloud, as far as a key needs it: a bearer token belongs to somebody, and a key's bindings say what
// that somebody may do. The administrator owns the project.
import { createHash } from 'node:crypto';
import { excerpt, type JsonObject, type JsonValue } from '@clef/strict';
import { serviceAccountEmail } from '../identifiers.ts';
import type { Caller, GcpBinding, GcpCredential, GcpKey, State } from '../state.ts';
import { GcpRefusal } from './gcp-refusal.ts';

/** The predefined roles that can be granted on a key, and what they hold. */
const roleTable: Readonly<Record<string, readonly string[]>> = {
  'roles/cloudkms.cryptoKeyEncrypter': ['cloudkms.cryptoKeyVersions.useToEncrypt'],
  'roles/cloudkms.cryptoKeyDecrypter': ['cloudkms.cryptoKeyVersions.useToDecrypt'],
  'roles/cloudkms.cryptoKeyEncrypterDecrypter': [
    'cloudkms.cryptoKeyVersions.useToEncrypt',
    'cloudkms.cryptoKeyVersions.useToDecrypt',
  ],
  'roles/cloudkms.signer': ['cloudkms.cryptoKeyVersions.useToSign'],
  'roles/cloudkms.publicKeyViewer': ['cloudkms.cryptoKeyVersions.viewPublicKey'],
  'roles/cloudkms.signerVerifier': [
    'cloudkms.cryptoKeyVersions.useToSign',
    'cloudkms.cryptoKeyVersions.viewPublicKey',
  ],
  'roles/cloudkms.viewer': ['cloudkms.cryptoKeys.get'],
  'roles/cloudkms.admin': [
    'cloudkms.cryptoKeys.get',
    'cloudkms.cryptoKeys.getIamPolicy',
    'cloudkms.cryptoKeys.setIamPolicy',
  ],
};

/** Whose token it is. Throws `UNAUTHENTICATED` for no, an unknown and an expired one alike, as Google does. */
export function authenticate(
  authorization: string | undefined,
  credentials: ReadonlyMap<string, GcpCredential>,
  now: number,
): Caller {
  const token = /^Bearer ([A-Za-z0-9._~+/=-]{1,4096})$/i.exec(authorization ?? '')?.[1];
  const credential = token === undefined ? undefined : credentials.get(token);
  if (credential !== undefined && now < credential.expiresAtMs) return credential.caller;
  const found = 'Request had invalid authentication credentials.';
  throw new GcpRefusal(
    'UNAUTHENTICATED',
    `${found} Expected OAuth 2 access token of this emulator that has not expired.`,
  );
}

/** How logs name a caller. */
export function callerEmail(state: State, caller: Caller): string {
  return caller.role === undefined
    ? `administrator@${state.project}.iam.gserviceaccount.com`
    : serviceAccountEmail(state.project, caller.role);
}

/** The key, if the caller may do this with it. To others a missing key and a closed one look the same. */
export function authorizeKey(state: State, caller: Caller, permission: string, name: string): GcpKey {
  const key = state.gcpKeys.get(name);
  if (caller.role === undefined) {
    if (key !== undefined) return key;
    throw new GcpRefusal('NOT_FOUND', `CryptoKey ${excerpt(name, 300)} not found.`);
  }
  const isRevoked = state.roles.get(caller.role)?.isRevoked !== false;
  if (key !== undefined && !isRevoked && holdsPermission(key, callerEmail(state, caller), permission))
    return key;
  throw permissionDenied(permission, name);
}

/** Project-wide operations are the administrator's. */
export function authorizeProject(caller: Caller, permission: string, resource: string): void {
  if (caller.role !== undefined) throw permissionDenied(permission, resource);
}

function holdsPermission(key: GcpKey, email: string, permission: string): boolean {
  return key.bindings.some(
    ({ role, members }) =>
      members.includes(`serviceAccount:${email}`) && (roleTable[role] ?? []).includes(permission),
  );
}

function permissionDenied(permission: string, resource: string): GcpRefusal {
  const where = `on resource '${excerpt(resource, 300)}' (or it may not exist).`;
  return new GcpRefusal('PERMISSION_DENIED', `Permission '${permission}' denied ${where}`);
}

/** Reads the bindings of a policy. Throws `INVALID_ARGUMENT` on what is malformed or not honoured here, conditions included. */
export function parseBindings(value: JsonValue | undefined): readonly GcpBinding[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid('bindings must be a list');
  return value.map((entry: JsonValue) => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
      throw invalid('A binding must be an object');
    const binding = entry as JsonObject;
    const other = Object.keys(binding).find((name) => name !== 'role' && name !== 'members');
    if (other !== undefined) throw invalid(`"${excerpt(other)}" is not supported in a binding here`);
    const { role, members } = binding;
    if (typeof role !== 'string' || !Object.hasOwn(roleTable, role))
      throw invalid('This role cannot be granted on a key here');
    return { role, members: parseMembers(members) };
  });
}

function parseMembers(value: JsonValue | undefined): readonly string[] {
  const isMember = (member: JsonValue): boolean =>
    typeof member === 'string' && /^(serviceAccount|user|group):[^\s@]{1,128}@[^\s@]{1,128}$/.test(member);
  if (Array.isArray(value) && value.every(isMember)) return value as readonly string[];
  throw invalid('members must be a list of serviceAccount:EMAIL, user:EMAIL or group:EMAIL');
}

/** Changes whenever the bindings do. */
export function policyEtag(bindings: readonly GcpBinding[]): string {
  return createHash('sha256').update(JSON.stringify(bindings)).digest('base64').slice(0, 12);
}

function invalid(message: string): GcpRefusal {
  return new GcpRefusal('INVALID_ARGUMENT', message);
}
