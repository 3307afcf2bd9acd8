// A clef.yaml for tests: every section can be replaced. A "§" marks where the fault must be found.

import { expect } from 'vitest';
import type { ClefError } from '../../src/errors.ts';
import type { Manifest } from '../../src/manifest/manifest.ts';
import { parseManifest } from '../../src/manifest/parse.ts';

export const age = {
  alice: 'age1rjsn9w0v3hr029yw272kk52ymx25l8y69wfycqyjdl3tqhhg83qsl6uvu3',
  bob: 'age1tk9m2f44hca3kdrrq3q2rdgtjhnqwkswlnndr7mmzvrl4502d3xsg558yf',
  carol: 'age1826qal9d2mweel0dpxul3e75yrw329g42xzfvuqngzs67g7ckuys3rdwer',
  service: 'age1a7fdl5g3td4qf27fqyljnnp0y2quz0r70ksn5wxvpdw0vxm20q3smrpzp2',
} as const;
export const awsKey = 'awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
export const otherAwsKey =
  'awskms:///arn:aws:kms:eu-west-1:111122223333:key/99999999-12ab-34cd-56ef-1234567890ab';
export const gcpKey = 'gcpkms://projects/clef-test/locations/global/keyRings/ring/cryptoKeys/sealing';
export const verifyKeys = [
  'ed25519:MCowBQYDK2VwAyEAv20eEuh1AbTVZMnMvjaqcBtAshv2L40KikMwZhABv/4=',
  'ed25519:MCowBQYDK2VwAyEANjDL65/Suj+FxvOgAiaR4H4USLJNPNHbK3ZPsfGwAJs=',
  'p256:MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhRrfVvM55yWSBY3ev2mmx+mRf0CZTWtuJLfZnbvjnGvbyWBces+OMYUs1ykwR09HJ2lTa3iAHJRcKLx0udcM6w==',
] as const;

const sections = {
  version: 'version: 1',
  repository: 'repository: 5f0c6a3e-1b2c-4d3e-8f40-51627384a5b6',
  file_pattern: 'file_pattern: secrets/{namespace}/{environment}.enc.yaml',
  environments:
    'environments:\n  - name: development\n  - name: staging\n  - name: production\n    protected: true',
  namespaces: 'namespaces:\n  - name: database\n  - name: payments',
  recipients: `recipients:\n  - { name: alice, keys: [${age.alice}] }\n  - { name: bob, keys: [${age.bob}] }`,
  groups: 'groups:\n  platform: [alice]',
  access: 'access:\n  - { allow: [platform], namespaces: ["*"], environments: ["*"] }',
  service_identities: '',
} as const;

/** The text of a good manifest with some sections replaced (an empty text leaves the section out). */
export function manifestText(replaced: Partial<Record<keyof typeof sections, string>> = {}): string {
  return `${Object.values({ ...sections, ...replaced })
    .filter((text) => text !== '')
    .join('\n')}\n`;
}

export function parseText(text: string): Manifest {
  return parseManifest(new TextEncoder().encode(text), 'clef.yaml');
}

/** Parses what must be refused. */
export function refusalOf(input: string | Uint8Array): ClefError {
  const bytes = typeof input === 'string' ? new TextEncoder().encode(input.replace('§', '')) : input;
  try {
    parseManifest(bytes, 'clef.yaml');
  } catch (error) {
    return error as ClefError;
  }
  return expect.fail('the manifest was accepted');
}

/** Line and column of the "§" in `text`. */
export function markOf(text: string): { line: number; column: number } | undefined {
  const before = text.split('§')[0] ?? '';
  if (before === text) return undefined;
  return { line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') };
}

/** Everything that a face would show of an error, as one text. */
export function shown(error: ClefError): string {
  return [
    error.message,
    error.hint,
    ...error.faults.flatMap((fault) => [fault.message, fault.path ?? '']),
  ].join('\n');
}
