// A destination by the word that a person writes: a path, or an address of one of the kinds below.
import { isThisMachine } from '@clef/kms';
import { ClefError } from '../../errors.ts';
import type { Repository } from '../../repository.ts';
import type { Destination } from './destination.ts';
import { fileDestination } from './file.ts';

/**
 * The destination that `text` names. What serves one kind alone is loaded here.
 * @throws {ClefError} `usage` for an address that is none of these; it is not repeated, as it may hold a credential.
 */
export async function openDestination(repository: Repository, text: string): Promise<Destination> {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):\/\//.exec(text)?.[1]?.toLowerCase();
  const { world } = repository;
  switch (scheme) {
    case undefined:
      return fileDestination(repository, text);
    case 's3':
      return (await import('./s3.ts')).s3Destination(world, text, parseS3(text));
    case 'gs':
      return (await import('./gcs.ts')).gcsDestination(world, text, parseGs(text));
    case 'https':
    case 'http': {
      const url = parseHttps(text);
      return (await import('./https.ts')).httpsDestination(world, `${url.origin}${url.pathname}`, url);
    }
    default:
      throw unusable(`addresses of the kind "${scheme}" are not known`);
  }
}

function parseS3(text: string): { bucket: string; key: string; region: string | undefined } {
  const found =
    /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/([^?#\p{Cc}]{1,1024})(?:\?region=([a-z0-9-]{1,32}))?$/u.exec(
      text,
    );
  const [, bucket, key, region] = found ?? [];
  if (bucket !== undefined && key !== undefined) return { bucket, key, region };
  throw unusable('the address is not of the form s3://BUCKET/KEY or s3://BUCKET/KEY?region=REGION');
}

function parseGs(text: string): { bucket: string; object: string } {
  const [, bucket, object] =
    /^gs:\/\/([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])\/([^?#\p{Cc}]{1,1024})$/u.exec(text) ?? [];
  if (bucket !== undefined && object !== undefined) return { bucket, object };
  throw unusable('the address is not of the form gs://BUCKET/OBJECT');
}

function parseHttps(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw unusable('the address is malformed');
  if (`${url.username}${url.password}` !== '')
    throw unusable('the address holds a user name or password: give a token in CLEF_PUBLISH_TOKEN');
  if (url.hash !== '') throw unusable('the address has a #fragment, which is never sent');
  if (url.protocol === 'http:' && !isThisMachine(url))
    throw unusable('http:// does not protect what is sent: use https://');
  return url;
}

function unusable(why: string): ClefError {
  return new ClefError({
    code: 'usage',
    message: `Cannot use this destination: ${why}`,
    hint: 'name a file, s3://BUCKET/KEY, gs://BUCKET/OBJECT or an https:// address',
  });
}
