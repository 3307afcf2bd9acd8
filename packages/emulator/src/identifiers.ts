// The names that the clouds give to things: one place for their spelling.
import { encodeHex } from '@clef/strict';
import type { RandomBytes } from './software-key.ts';

export const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
export const accountPattern = /^[0-9]{12}$/;
export const regionPattern = /^[a-z]{2}(-[a-z]+)+-[0-9]$/;
export const projectPattern = /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/;
/** Narrower than AWS's, so that the name serves as a Google service account too. */
export const rolePattern = /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/;

/** A random UUID, version 4. */
export function randomUuid(randomBytes: RandomBytes): string {
  const bytes = Uint8Array.from(randomBytes(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = encodeHex(bytes);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

export function keyArn(region: string, account: string, keyId: string): string {
  return `arn:aws:kms:${region}:${account}:key/${keyId}`;
}

export function rootArn(account: string): string {
  return `arn:aws:iam::${account}:root`;
}

export function roleArn(account: string, role: string): string {
  return `arn:aws:iam::${account}:role/${role}`;
}

export function sessionArn(account: string, role: string, session: string): string {
  return `arn:aws:sts::${account}:assumed-role/${role}/${session}`;
}

export function serviceAccountEmail(project: string, role: string): string {
  return `${role}@${project}.iam.gserviceaccount.com`;
}
