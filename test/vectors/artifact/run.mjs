// Runs the kit against any implementation, as a black box.
// Usage: node test/vectors/artifact/run.mjs [--only TEXT] [--every N] [--jobs N] COMMAND [ARGUMENT…]
// COMMAND is run once a case with what README.md says; the last line printed is "N passed, N failed".
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { startKms } from './kms.mjs';
import { argumentsOf, loadCases } from './load.mjs';

const options = readOptions(process.argv.slice(2));
const { cases, close } = loadCases();
const chosen = cases.filter(({ name }, index) => name.includes(options.only) && index % options.every === 0);
const failures = [];
await Promise.all(Array.from({ length: options.jobs }, worker));
close();
for (const failure of failures) console.log(failure);
console.log(`${chosen.length - failures.length} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 || chosen.length === 0 ? 1 : 0;

/** Each worker has a KMS of its own, so that the calls it counts are those of its case. */
async function worker() {
  const kms = await startKms();
  for (let one = next(); one !== undefined; one = next()) {
    const found = await run(one, kms);
    const kmsCalls = kms.calls();
    const why = differenceOf(one, found, kmsCalls);
    if (why !== undefined) failures.push(`${one.name}: ${why}`);
  }
  await kms.close();
}

function next() {
  next.index = (next.index ?? -1) + 1;
  return chosen[next.index];
}

function differenceOf({ verdict, secrets, kmsCalls: expected }, found, kmsCalls) {
  if (found.verdict !== verdict) return `wanted ${verdict}, got ${found.verdict} ${found.message ?? ''}`;
  if (kmsCalls !== expected) return `wanted ${expected} calls of the KMS, made ${kmsCalls}`;
  if (secrets === undefined) return undefined;
  const isSame = JSON.stringify(sorted(found.secrets)) === JSON.stringify(sorted(secrets));
  return isSame ? undefined : 'the secrets differ';
}

function sorted(object) {
  return Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** One run: the verdict is "ok" with exit code 0, else the code of the error that was printed as JSON. */
async function run(one, kms) {
  const key = one.keyPath === undefined ? {} : { CLEF_AGE_KEY_FILE: one.keyPath };
  const env = { PATH: process.env.PATH, HOME: '/nonexistent', ...kms.variables, ...key };
  const [command, ...args] = options.command;
  const child = spawn(command, [...args, ...argumentsOf(one)], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const exitCode = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  const [printed, told] = [stdout(), stderr()];
  if (exitCode === 0) return { verdict: 'ok', secrets: JSON.parse(printed) };
  const error = [...told.split('\n'), ...printed.split('\n')].map(parse).find((value) => value !== undefined);
  return { verdict: verdictOf(error, exitCode), message: told.trim() };
}

function verdictOf(error, exitCode) {
  if (error === undefined) return `exit ${exitCode} without a code`;
  if (error.class === 'config') return 'config';
  return error.code.replace(/^artifact_/, '').replace(/^content$/, 'bad_content');
}

function parse(line) {
  try {
    const value = JSON.parse(line);
    const body = value?.error ?? value;
    return typeof body?.code === 'string' ? body : undefined;
  } catch {
    return undefined;
  }
}

function collect(stream) {
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

function readOptions(words) {
  const found = { only: '', every: 1, jobs: availableParallelism() };
  let command = words;
  while (/^--(only|every|jobs)$/.test(command[0] ?? '')) {
    const [flag, value = '', ...rest] = command;
    found[flag.slice(2)] = flag === '--only' ? value : Number(value);
    command = rest;
  }
  if (command.length === 0)
    throw new Error('Usage: run.mjs [--only TEXT] [--every N] [--jobs N] COMMAND [ARGUMENT…]');
  return { ...found, command };
}
