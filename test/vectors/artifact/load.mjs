// The cases of the kit as a runner needs them: the bytes made, the defaults filled in.
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));

/** Every case, with `given` complete, `path` of the artifact and `keyPath` of the age key. `close` removes what was made. */
export function loadCases() {
  const { defaults, cases } = JSON.parse(readFileSync(join(folder, 'vectors.json'), 'utf8'));
  const made = mkdtempSync(join(tmpdir(), 'clef-vectors-'));
  const loaded = cases.map((one) => {
    const given = { ...defaults, ...one.given };
    const keyPath = given.ageKey === null ? undefined : join(folder, 'keys', given.ageKey);
    const path = one.make === undefined ? join(folder, one.file) : join(made, one.name);
    if (one.make !== undefined) make(path, one.make);
    return { ...one, given, keyPath, path };
  });
  return { cases: loaded, close: () => rmSync(made, { recursive: true }) };
}

/** Follows a recipe: a file of zeros, of repeated text, or one of the kit with blanks after it. */
function make(path, { size, repeat, file, padTo }) {
  if (size !== undefined) {
    const handle = openSync(path, 'w');
    ftruncateSync(handle, size);
    closeSync(handle);
  } else if (repeat !== undefined) {
    const [before, text, count, after] = repeat;
    writeFileSync(path, before + text.repeat(count) + after);
  } else {
    writeFileSync(path, readFileSync(join(folder, file)).toString().padEnd(padTo, ' '));
  }
}

/** What is insisted on, as the arguments of a command line. */
export function argumentsOf({ path, given }) {
  const { repository, identity, environment, seal, verify, at, minRevision, floor, allowUnsigned } = given;
  return [
    path,
    ...['--repository', repository, '--identity', identity, '--environment', environment, '--seal', seal],
    ...verify.flatMap((key) => ['--verify-key', key]),
    ...['--at', at],
    ...(minRevision === undefined ? [] : ['--min-revision', String(minRevision)]),
    ...(floor === undefined ? [] : ['--floor', `${floor.epoch},${floor.revision},${floor.payloadDigest}`]),
    ...(allowUnsigned === true ? ['--allow-unsigned'] : []),
    ...['--reveal', '--json'],
  ];
}
