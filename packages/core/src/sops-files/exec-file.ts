// `sops exec-env` and `sops exec-file`: a shell command that gets the plaintext as variables, or through a named pipe.
// Nothing of the plaintext becomes a regular file.
import { constants } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { isDangerousName, runChild, withAbsolutePath } from '@clef/host';
import { entriesOf, formatPlainTree, type Leaf, type Tree } from '@clef/sops';
import { decodeUtf8, escapeControl, StrictError } from '@clef/strict';
import { ClefError } from '../errors.ts';
import { shellWord } from '../manifest/names.ts';
import type { World } from '../world.ts';
import { decryptSource, indentFor } from './decrypt-file.ts';
import { badArgument, during, SopsOperationError } from './outcome.ts';
import { readSource, type SopsSourceRequest } from './source.ts';

type ExecRequest = SopsSourceRequest & {
  /** A line for /bin/sh, as SOPS runs it. */
  readonly command?: string | undefined;
  readonly decryptionOrder?: string | undefined;
};

export type ExecEnvRequest = ExecRequest & {
  /** Only the decrypted values, nothing of our own environment. */
  readonly pristine: boolean;
  readonly allowedEnvironmentNames: readonly string[];
};

export type ExecFileRequest = ExecRequest & {
  /** The name of the pipe; `tmp-file` by default. */
  readonly pipeName?: string | undefined;
};

/**
 * Runs a command with the values of a flat file in its environment.
 * @returns its exit code; 128 + N where signal N ended it.
 * @throws {SopsOperationError} `generic` for a value that is no scalar, `input` where there is no such file.
 */
export async function execWithSopsEnv(world: World, request: ExecEnvRequest): Promise<number> {
  const { source, command } = await readForExec(world, request);
  const values = environmentOf(await decryptSource(world, source, request), source.name);
  for (const name of values.keys()) {
    if (request.allowedEnvironmentNames.includes(name) || !isDangerousName(name)) continue;
    throw new SopsOperationError('generic', {
      code: 'dangerous_name',
      message: `The name "${escapeControl(name)}" would change how programs run as soon as it is a variable`,
      hint: `pass --allow-env ${shellWord(escapeControl(name))} if that is what you want`,
      location: { key: name },
    });
  }
  const inherited = request.pristine ? {} : world.environment;
  return runShell(world, command, { ...inherited, ...Object.fromEntries(values) });
}

/**
 * Runs a command in which `{}` is the path of a named pipe that gives the plaintext once.
 * @returns its exit code; 128 + N where signal N ended it.
 * @throws {SopsOperationError}
 */
export async function execWithSopsFile(world: World, request: ExecFileRequest): Promise<number> {
  const { source, command } = await readForExec(world, request);
  const tree = await decryptSource(world, source, request);
  const layout = await indentFor(world, undefined, source.outputFormat);
  const text = await during('print', source.name, () => formatPlainTree(tree, source.outputFormat, layout));
  const name = request.pipeName ?? 'tmp-file';
  if (name === '' || name !== basename(name) || name === '.' || name === '..') {
    throw badArgument('generic', '"--filename" is no plain file name', 'give a name without folders');
  }
  // 0700: nobody else reaches the pipe.
  const folder = await mkdtemp(join(tmpdir(), 'clef-sops-'));
  try {
    const pipe = join(folder, name);
    await makePipe(world, pipe);
    return await whileServing(pipe, text, () =>
      runShell(
        world,
        command.replaceAll('{}', () => pipe),
        world.environment,
      ),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readForExec(world: World, request: ExecRequest) {
  const { file, command } = request;
  if (file === undefined || command === undefined) {
    throw badArgument(
      'generic',
      'An argument is missing: a file and a command are needed',
      `write: FILE 'COMMAND'`,
    );
  }
  return { source: await readSource(world, request, { stage: 'read', missing: 'input' }), command };
}

/** The variables of a flat tree, as text. */
function environmentOf({ documents: [document] }: Tree, file: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const { key, value } of document === undefined ? [] : entriesOf(document)) {
    if (value.kind !== 'leaf') throw noVariable(file, key, 'it is a map or a list');
    const text = textOf(value);
    if (text === undefined || text.includes('\0')) throw noVariable(file, key, 'its value is no text');
    if (key === '' || /[=\0]/.test(key)) throw noVariable(file, key, 'its name cannot be that of a variable');
    values.set(key, text);
  }
  return values;
}

function textOf({ type, bytes }: Leaf): string | undefined {
  if (type === 'null') return '';
  try {
    const text = decodeUtf8(bytes);
    return type === 'bool' ? text.toLowerCase() : text;
  } catch (error) {
    if (error instanceof StrictError) return undefined;
    throw error;
  }
}

function noVariable(file: string, key: string, why: string): SopsOperationError {
  return new SopsOperationError('generic', {
    code: 'environment_value',
    message: `Cannot pass "${escapeControl(key)}" of "${file}" as a variable: ${why}`,
    hint: 'use exec-file, or keep only names with one value each in the file',
    location: { file, key },
  });
}

async function runShell(
  world: World,
  command: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  return during('open', '/bin/sh', async () => {
    const { exitCode } = await runChild({
      command: '/bin/sh',
      args: ['-c', command],
      cwd: world.cwd,
      environment,
      stdio: 'inherit',
      forwardSignals: true,
    });
    return exitCode;
  });
}

async function makePipe(world: World, path: string): Promise<void> {
  const { exitCode } = await during('write', path, () =>
    runChild({
      command: 'mkfifo',
      args: ['-m', '600', path],
      environment: withAbsolutePath(world.environment),
      stdio: 'capture',
    }),
  );
  if (exitCode === 0) return;
  throw new ClefError({
    code: 'io',
    message: `Cannot make a named pipe in "${tmpdir()}"`,
    hint: 'check TMPDIR, or use exec-env',
  });
}

/** Gives the text to the first reader. A command that never reads does not keep us waiting. */
async function whileServing(pipe: string, text: Uint8Array, run: () => Promise<number>): Promise<number> {
  let isOver = false;
  const served = (async () => {
    const writer = await open(pipe, constants.O_WRONLY);
    try {
      if (!isOver) await writer.writeFile(text);
    } catch (error) {
      // EPIPE: the reader had enough.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    } finally {
      await writer.close();
    }
  })();
  try {
    return await run();
  } finally {
    isOver = true;
    // A reader that does not wait: where our writer still waits for one, it goes on and ends.
    const release = await open(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    const closed = release.close();
    await Promise.all([closed, served]);
  }
}
