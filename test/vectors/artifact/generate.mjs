// Writes cases/, keys/ and vectors.json. The same script gives the same bytes; with --check it compares instead of writing.
// Usage: node test/vectors/artifact/generate.mjs [--check]
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cases, fixedKeyMakers, given, keyFiles } from './cases.mjs';
import { sha256, withLabel } from './make.mjs';

const folder = (path) => fileURLToPath(new URL(path, import.meta.url));
const isCheck = process.argv[2] === '--check';

/** What no seed gives is made once and kept. */
function fixedKeys() {
  try {
    return JSON.parse(readFileSync(folder('keys/other-kinds.json'), 'utf8'));
  } catch {
    return Object.fromEntries(
      Object.entries(fixedKeyMakers).map(([name, make]) => [name, make().toString('base64')]),
    );
  }
}

const kept = fixedKeys();
const files = new Map(Object.entries(keyFiles).map(([name, text]) => [`keys/${name}`, Buffer.from(text)]));
files.set('keys/other-kinds.json', Buffer.from(`${JSON.stringify(kept, null, 2)}\n`));

const needsKey = new Set(['ok', 'kms_denied', 'kms_mismatch', 'decrypt', 'header_mismatch', 'bad_content']);
const names = new Set();
const byContent = new Map();
const vectors = [];
for (const one of cases) {
  const name = nameOf(one);
  if (names.has(name)) throw new Error(`Two cases are called ${name}`);
  names.add(name);
  const insisted = { ...given, ...one.given };
  if (typeof insisted.verify === 'function') insisted.verify = insisted.verify(kept);
  const made = await withLabel('an artifact of the kit', one.make);
  if (one.floorIsThis) {
    const payload = Buffer.from(JSON.parse(made.toString()).payload, 'base64');
    const { revision } = JSON.parse(payload.toString());
    insisted.floor = { epoch: 0, revision, payloadDigest: sha256(payload).toString('hex') };
  }
  const { changed, isAge } = differences(insisted);
  vectors.push({
    name,
    rows: one.rows,
    title: one.title,
    ...place(name, made),
    ...(Object.keys(changed).length > 0 && { given: changed }),
    verdict: one.verdict,
    kmsCalls: !isAge && needsKey.has(one.verdict) ? 1 : 0,
    ...(one.secrets && { secrets: one.secrets }),
  });
}

/** What a case insists on beside the defaults; null takes a default away. */
function differences(insisted) {
  const changed = {};
  for (const [name, value] of Object.entries(insisted)) {
    if (JSON.stringify(value) !== JSON.stringify(given[name])) changed[name] = value ?? null;
  }
  return { changed, isAge: insisted.ageKey !== undefined };
}

/** Where the bytes are: a file, which equal artifacts share, or a recipe for what is too large to keep. */
function place(name, made) {
  if (!Buffer.isBuffer(made)) {
    if (made.file === undefined) return { make: made };
    return { make: { ...made, file: place(name, made.file).file } };
  }
  const digest = sha256(made).toString('hex');
  const file = byContent.get(digest) ?? `cases/${name}.json`;
  byContent.set(digest, file);
  files.set(file, made);
  return { file };
}

function nameOf({ rows, title }) {
  const words = title
    .normalize('NFKD')
    .replaceAll(/[^A-Za-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
    .toLowerCase()
    .slice(0, 60);
  const base = `${rows[0]}-${words}`;
  let name = base;
  for (let count = 2; names.has(name); count += 1) name = `${base}-${count}`;
  return name;
}

const lines = vectors.map((vector) => `    ${JSON.stringify(vector)}`).join(',\n');
const defaults = JSON.stringify(given);
files.set('vectors.json', Buffer.from(`{\n  "defaults": ${defaults},\n  "cases": [\n${lines}\n  ]\n}\n`));

if (isCheck) check();
else write();

function write() {
  for (const part of ['cases', 'keys']) {
    rmSync(folder(part), { recursive: true, force: true });
    mkdirSync(folder(part));
  }
  for (const [name, bytes] of files) writeFileSync(folder(name), bytes);
  const good = vectors.filter(({ verdict }) => verdict === 'ok').length;
  console.log(`${vectors.length} cases, ${good} of them good, in ${files.size} files`);
}

function check() {
  const there = ['cases', 'keys'].flatMap((part) =>
    readdirSync(folder(part)).map((name) => `${part}/${name}`),
  );
  const wrong = [
    ...there.filter((name) => !files.has(name)),
    ...[...files].filter(([name, bytes]) => !isSame(name, bytes)).map(([name]) => name),
  ];
  for (const name of wrong) console.log(`differs: ${name}`);
  process.exitCode = wrong.length > 0 ? 1 : 0;
}

function isSame(name, bytes) {
  try {
    return readFileSync(folder(name)).equals(bytes);
  } catch {
    return false;
  }
}
