// An artifact in a local file. A symbolic link is followed, because Kubernetes mounts every file as one; what it leads
// to must be a regular file.
import { realpath } from 'node:fs/promises';
import { HostError, readRegularFile } from '@clef/host';
import { type Fetched, maxArtifactBytes, type Source, SourceError } from './source.ts';

/** The artifact at an absolute path, read anew at every fetch: its digest tells whether it changed. */
export function createFileSource(path: string): Source {
  return { kind: 'file', fetch: () => read(path) };
}

async function read(path: string): Promise<Fetched> {
  try {
    return {
      kind: 'artifact',
      bytes: await readRegularFile(await realpath(path), { maxBytes: maxArtifactBytes }),
    };
  } catch (cause) {
    throw explain(cause);
  }
}

function explain(cause: unknown): SourceError {
  const code = cause instanceof HostError ? cause.code : (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'not_found') return new SourceError('not_found', 'There is no such file');
  if (code === 'EACCES' || code === 'permission')
    return new SourceError('refused', 'The file cannot be read by this user');
  if (code === 'too_large') return new SourceError('too_large', 'The file is larger than an artifact can be');
  if (code === 'not_regular' || code === 'symlink')
    return new SourceError('bad_response', 'It is not a regular file');
  return new SourceError('unavailable', 'The file cannot be read');
}
