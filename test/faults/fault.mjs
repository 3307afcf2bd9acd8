// A preload (`node --import`) that makes one call of a process go wrong: it wraps every call of node:fs that changes
// something below the watched folders, counts them, and at the chosen one kills the process, throws, writes short or
// waits. It also writes a log of what was done, from which power-loss.ts builds the trees that a crash could leave.
//   CLEF_FAULT = { under: [folder…], at?, action?, errno?, stays?, log? }
//   action: kill-before | kill-after | error | short-write | signal:SIGINT (sent before the call) | wait:PATH (until PATH is gone)
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';

const plan = JSON.parse(process.env.CLEF_FAULT ?? '{"under":[]}');
const { O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND } = fs.constants;
const original = { ...fs, promises: { ...fs.promises } };
let calls = 0;

/** Paths through a descriptor (/proc/self/fd/7/name) as what they stand for. */
function plainPath(path) {
  const text = path instanceof URL ? path.pathname : String(path);
  const [, fd, rest] = /^\/proc\/self\/fd\/(\d+)(\/.*)?$/.exec(text) ?? [];
  return fd === undefined ? text : original.readlinkSync(`/proc/self/fd/${fd}`) + (rest ?? '');
}

const isWatched = (path) => plan.under.some((folder) => path === folder || path.startsWith(`${folder}/`));

function note(entry) {
  if (plan.log !== undefined)
    original.appendFileSync(plan.log, `${JSON.stringify({ n: calls, ...entry })}\n`);
}

/** Whether the turn of the fault has come; kills, waits and signals happen here. */
function begin(op) {
  calls += 1;
  const isTurn = calls === plan.at || (plan.stays === true && calls > plan.at);
  if (!isTurn) return undefined;
  const action = plan.action ?? '';
  if (action === 'kill-before') process.kill(process.pid, 'SIGKILL');
  if (action.startsWith('signal:')) process.kill(process.pid, action.slice(7));
  if (action.startsWith('wait:')) waitFor(action.slice(5));
  if (action === 'error') return failure(op);
  return action;
}

function failure(op) {
  return Object.assign(new Error(`${plan.errno}: injected, ${op}`), {
    code: plan.errno,
    errno: -1,
    syscall: op,
  });
}

/** Says that it is here by writing PATH, and goes on when somebody has removed it. */
function waitFor(path) {
  original.writeFileSync(path, '');
  while (original.existsSync(path)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
}

function finish(turn) {
  if (turn === 'kill-after') process.kill(process.pid, 'SIGKILL');
}

const bytesOf = (data, offset = 0, length = undefined) => {
  const bytes =
    typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return bytes.subarray(offset, length === undefined ? undefined : offset + length);
};

/** What a call is about, for the log: by name, with its arguments. */
const describe = {
  rename: ([from, to]) => ({ path: plainPath(from), to: plainPath(to) }),
  link: ([from, to]) => ({ path: plainPath(from), to: plainPath(to) }),
  symlink: ([from, to]) => ({ path: plainPath(to), to: String(from) }),
  copyFile: ([from, to]) => ({ path: plainPath(to), bytes: original.readFileSync(from).toString('base64') }),
  writeFile: ([path, data]) => ({ path: plainPath(path), bytes: bytesOf(data).toString('base64') }),
  appendFile: ([path, data]) => ({ path: plainPath(path), bytes: bytesOf(data).toString('base64') }),
};
const plainNames = [
  'unlink',
  'mkdir',
  'rmdir',
  'rm',
  'chmod',
  'lchmod',
  'chown',
  'truncate',
  'utimes',
  'mkdtemp',
  'cp',
];
for (const name of plainNames) describe[name] = ([path]) => ({ path: plainPath(path) });

function opensForWriting(flags) {
  if (typeof flags === 'number') return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND)) !== 0;
  return flags !== undefined && flags !== 'r' && flags !== 'rs';
}

/** Descriptors of handles and of numbers: where they lead, and whether their closing is of interest. */
const handles = new WeakMap();
const numbers = new Map();

function wrapAsync(name, call) {
  return async function (...args) {
    const facts = describe[name](args);
    if (!isWatched(facts.path) && !isWatched(facts.to ?? '')) return await call.apply(this, args);
    const turn = begin(name);
    if (turn instanceof Error) throw turn;
    const result = await call.apply(this, args);
    note({ op: name, ...facts });
    finish(turn);
    return result;
  };
}

function wrapSync(name, call) {
  return function (...args) {
    const facts = describe[name](args);
    if (!isWatched(facts.path) && !isWatched(facts.to ?? '')) return call.apply(this, args);
    const turn = begin(name);
    if (turn instanceof Error) throw turn;
    const result = call.apply(this, args);
    note({ op: name, ...facts });
    finish(turn);
    return result;
  };
}

function wrapCallback(name, call) {
  return function (...args) {
    const facts = describe[name](args);
    const done = args.pop();
    if (!isWatched(facts.path) && !isWatched(facts.to ?? '')) return call.call(this, ...args, done);
    const turn = begin(name);
    if (turn instanceof Error) return process.nextTick(done, turn);
    return call.call(this, ...args, (error, ...results) => {
      if (!error) note({ op: name, ...facts });
      finish(turn);
      done(error, ...results);
    });
  };
}

for (const name of Object.keys(describe)) {
  if (fs.promises[name] !== undefined) fs.promises[name] = wrapAsync(name, original.promises[name]);
  if (fs[`${name}Sync`] !== undefined) fs[`${name}Sync`] = wrapSync(name, original[`${name}Sync`]);
  if (fs[name] !== undefined) fs[name] = wrapCallback(name, original[name]);
}

fs.promises.open = async (path, flags = 'r', mode = undefined) => {
  const place = plainPath(path);
  if (!isWatched(place)) return await original.promises.open(path, flags, mode);
  const writes = opensForWriting(flags);
  const turn = writes ? begin('open') : undefined;
  if (turn instanceof Error) throw turn;
  const isNew = writes && !original.existsSync(path);
  const handle = await original.promises.open(path, flags, mode);
  handles.set(handle, { path: place, matters: writes, position: 0 });
  if (writes) note({ op: 'open', path: place, isNew });
  finish(turn);
  return handle;
};

const someHandle = await original.promises.open(tmpdir(), 'r');
const prototype = Object.getPrototypeOf(someHandle);
await someHandle.close();
const handleCalls = [
  'write',
  'writev',
  'writeFile',
  'appendFile',
  'sync',
  'datasync',
  'truncate',
  'chmod',
  'chown',
  'utimes',
  'close',
];
for (const name of handleCalls) prototype[name] = wrapHandle(name, prototype[name]);

function wrapHandle(name, call) {
  return async function (...args) {
    const facts = handles.get(this);
    if (facts === undefined || (name === 'close' && !facts.matters)) return await call.apply(this, args);
    facts.matters = true;
    const turn = begin(name);
    if (turn instanceof Error) {
      // A descriptor is given back even when its closing fails.
      if (name === 'close') await call.apply(this, args);
      throw turn;
    }
    if (turn === 'short-write' && name === 'write') args[2] = Math.min(args[2] ?? args[0].length, 1);
    const result = await call.apply(this, args);
    note({ op: name, path: facts.path, ...contentOf(name, args, facts, result) });
    finish(turn);
    return result;
  };
}

function contentOf(name, args, facts, result) {
  if (name !== 'write' && name !== 'writeFile' && name !== 'appendFile') return {};
  const bytes = name === 'write' ? bytesOf(args[0], args[1] ?? 0, result.bytesWritten) : bytesOf(args[0]);
  const position = name === 'write' && typeof args[3] === 'number' ? args[3] : facts.position;
  facts.position = position + bytes.length;
  return { position, bytes: bytes.toString('base64') };
}

fs.openSync = (path, flags = 'r', mode = undefined) => {
  const place = plainPath(path);
  if (!isWatched(place) || !opensForWriting(flags)) return original.openSync(path, flags, mode);
  const turn = begin('open');
  if (turn instanceof Error) throw turn;
  const fd = original.openSync(path, flags, mode);
  numbers.set(fd, place);
  note({ op: 'open', path: place, isNew: true });
  finish(turn);
  return fd;
};
for (const name of ['write', 'fsync', 'fdatasync', 'ftruncate', 'fchmod', 'close']) {
  const call = original[`${name}Sync`];
  fs[`${name}Sync`] = (fd, ...args) => {
    if (!numbers.has(fd)) return call(fd, ...args);
    const turn = begin(name);
    if (turn instanceof Error) throw turn;
    const result = call(fd, ...args);
    note({ op: name.replace(/^f/, ''), path: numbers.get(fd) });
    if (name === 'close') numbers.delete(fd);
    finish(turn);
    return result;
  };
}
syncBuiltinESMExports();

if (plan.log !== undefined)
  process.on('exit', () => original.appendFileSync(plan.log, `${JSON.stringify({ n: calls, op: 'end' })}\n`));
