// What each setting may be: one parser a kind. Each returns the value or throws; no message holds a private key, and none
// more than the start of a text that is not understood.
import { isAbsolute, normalize } from 'node:path';
import { parseVerifyKeys as parseVerifySlots, type VerifySlot } from '@clef/artifact';
import { isKmsKey, isThisMachine, type KmsKey, parseKeyReference } from '@clef/kms';
import { parseDuration, parseInteger } from '@clef/strict';
import type { LogFormat } from './log.ts';
import { isMetadataAddress } from './sources/metadata-addresses.ts';

export type SourceSetting =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'https'; readonly url: URL }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      readonly key: string;
      readonly region: string | undefined;
    }
  | { readonly kind: 'gs'; readonly bucket: string; readonly object: string };

export type ListenSetting = { readonly port: number } | { readonly socketPath: string };

export type ReauthorizeSetting = number | 'never' | 'each-request';

/** A setting that is not as it must be. The message completes "NAME: …". */
export class Fault extends Error {}

export function parseSwitch(text: string): boolean {
  if (text === '1' || text === 'true') return true;
  if (text === '0' || text === 'false') return false;
  throw new Fault('is a switch: 1 or 0');
}

export function parseSource(text: string, isHttpAllowed: boolean): SourceSetting {
  if (/[\s\p{Cc}]/u.test(text)) throw new Fault('holds a space or a control character');
  if (isAbsolute(text)) return { kind: 'file', path: parsePath(text) };
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === 'file') throw new Fault('is a file: address: give the absolute path itself');
  if (scheme === 's3') return parseS3(text);
  if (scheme === 'gs') return parseGs(text);
  if (scheme !== 'https' && scheme !== 'http')
    throw new Fault('is neither an absolute path nor an https://, s3:// or gs:// address');
  return { kind: 'https', url: parseUrl(text, isHttpAllowed) };
}

function parseS3(text: string): SourceSetting {
  const [place = '', query, ...more] = text.slice('s3://'.length).split('?');
  const [, bucket, key] = /^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.{1,1024})$/u.exec(place) ?? [];
  const region = query === undefined ? undefined : /^region=([a-z0-9-]{1,32})$/.exec(query)?.[1];
  if (!text.startsWith('s3://') || bucket === undefined || key === undefined)
    throw new Fault('is not of the form s3://BUCKET/KEY');
  if (more.length > 0 || (query !== undefined && region === undefined))
    throw new Fault('may have one thing behind the question mark: s3://BUCKET/KEY?region=REGION');
  return { kind: 's3', bucket, key, region };
}

function parseGs(text: string): SourceSetting {
  const [, bucket, object] =
    /^gs:\/\/([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])\/([^?#]{1,1024})$/u.exec(text) ?? [];
  if (bucket === undefined || object === undefined) throw new Fault('is not of the form gs://BUCKET/OBJECT');
  return { kind: 'gs', bucket, object };
}

function parseUrl(text: string, isHttpAllowed: boolean): URL {
  if (!URL.canParse(text)) throw new Fault('is not a valid address');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '')
    throw new Fault('holds a user name or password, which would be a stored credential');
  if (url.hash !== '') throw new Fault('holds a #fragment, which is never sent');
  if (isMetadataAddress(url.hostname.replace(/^\[|\]$/g, ''))) throw new Fault('is a link-local address');
  if (url.protocol === 'http:' && !isThisMachine(url))
    throw new Fault('is http://: only https:// protects what is fetched');
  if (url.protocol === 'http:' && !isHttpAllowed)
    throw new Fault('is http:// to this machine: that needs CLEF_AGENT_ALLOW_HTTP_LOOPBACK=1');
  return url;
}

export function parseName(text: string): string {
  if (/^[a-z][a-z0-9-]{0,62}$/.test(text)) return text;
  throw new Fault('is not a name: small letters, digits and hyphens, beginning with a letter, at most 63');
}

export function parseRepository(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(text)) return text;
  throw new Fault('is not the id of a repository: take it from the line "repository:" of clef.yaml');
}

export function parsePath(text: string): string {
  if (!isAbsolute(text)) throw new Fault('is not an absolute path');
  if (/\p{Cc}/u.test(text)) throw new Fault('holds a control character');
  return normalize(text);
}

export function parseStateDirectory(text: string): string {
  return text === 'none' ? text : parsePath(text);
}

export function parseGroup(text: string): string {
  if (/^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,10})$/.test(text)) return text;
  throw new Fault('is neither the name nor the number of a group');
}

export function parseUids(text: string): ReadonlySet<number> {
  const uids = text.split(',').map((uid) => parseInteger(uid.trim(), { min: 0, max: 2 ** 32 - 2 }));
  if (uids.length > 64) throw new Fault('names more than 64 users');
  return new Set(uids);
}

export function parseKmsKey(text: string): KmsKey {
  const reference = parseKeyReference(text);
  if (!isKmsKey(reference))
    throw new Fault('is not a KMS key: an age key is given as CLEF_AGENT_AGE_KEY_FILE');
  if (reference.kind === 'gcpkms' && reference.version !== undefined)
    throw new Fault('names one version of a key: leave it out');
  return reference;
}

export function parseVerifyKeys(text: string): readonly VerifySlot[] {
  return parseVerifySlots(text.split(',').map((key) => key.trim()));
}

export function parseRevision(text: string): number {
  return parseInteger(text, { min: 0, max: Number.MAX_SAFE_INTEGER });
}

export function parseListen(text: string): ListenSetting {
  if (text.startsWith('unix:/')) return { socketPath: parsePath(text.slice('unix:'.length)) };
  if (isAbsolute(text)) return { socketPath: parsePath(text) };
  const port = /^127\.0\.0\.1:(.*)$/s.exec(text)?.[1];
  if (port === undefined)
    throw new Fault('is neither 127.0.0.1:PORT nor the path of a socket: the agent serves this machine only');
  return { port: parseInteger(port, { min: 1_024, max: 65_535 }) };
}

export function parseToken(text: string): string {
  if (/^[!-~]{32,512}$/.test(text)) return text;
  throw new Fault('is not a token: 32 to 512 visible ASCII characters, as random as `openssl rand -hex 32`');
}

export function parseSeconds(text: string, minSeconds: number, maxSeconds: number): number {
  return parseDuration(text, { minSeconds, maxSeconds });
}

export function parseReauthorize(text: string): ReauthorizeSetting {
  if (text === 'never' || text === 'each-request') return text;
  return parseSeconds(text, 1, 30 * 86_400);
}

export function parseLogFormat(text: string): LogFormat {
  if (text === 'json' || text === 'text') return text;
  throw new Fault('is neither json nor text');
}
