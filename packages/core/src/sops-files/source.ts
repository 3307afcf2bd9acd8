// Where the text of an operation comes from and goes to: a file or the standard streams, and in which format.
import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HostError, readRegularFile, replaceFile, toHostError } from '@clef/host';
import { type FormatName, formatForPath } from '@clef/sops';
import type { World } from '../world.ts';
import { badArgument, during, SopsOperationError, type SopsOutcome, type Stage } from './outcome.ts';

/** Which file, and how it is named where its own name does not tell. */
export type SopsSourceRequest = {
  /** Nothing, `-` and `/dev/stdin` are standard input. */
  readonly file?: string | undefined;
  readonly filenameOverride?: string | undefined;
  readonly inputType?: string | undefined;
  readonly outputType?: string | undefined;
  /** All of standard input, or more than so many bytes of it. */
  readonly readInput: (maxBytes: number) => Promise<Uint8Array>;
};

/** Where a result goes; nothing of it is standard output. */
export type SopsDestination = { readonly inPlace?: boolean; readonly output?: string | undefined };

export type SopsSource = {
  /** Absolute, links resolved; undefined for standard input. */
  readonly path: string | undefined;
  /** What messages call it. */
  readonly name: string;
  /** Absolute path that creation rules are matched with. */
  readonly nominalPath: string;
  readonly bytes: Uint8Array;
  readonly inputFormat: FormatName;
  readonly outputFormat: FormatName;
};

/** As much as the engine reads. */
const maxBytes = 64 * 1024 * 1024;
const formatNames: readonly FormatName[] = ['yaml', 'json', 'dotenv', 'ini', 'binary'];
const standardInput: ReadonlySet<string> = new Set(['-', '/dev/stdin', '/dev/fd/0', '/proc/self/fd/0']);

/** Whether that is no file but standard input. */
export function isStandardInput(file: string | undefined): boolean {
  return file === undefined || standardInput.has(file);
}

/**
 * Reads the text of an operation. A symbolic link is followed, since the person named it; a FIFO or a device is refused.
 * @param missing - The outcome where there is no such file.
 * @throws {SopsOperationError} what `missing` says, `input`, `generic` for an unknown type.
 */
export async function readSource(
  world: World,
  request: SopsSourceRequest,
  { stage, missing }: { readonly stage: Stage; readonly missing: SopsOutcome },
): Promise<SopsSource> {
  const { file } = request;
  const formats = formatsOf(request);
  if (file === undefined || isStandardInput(file)) {
    const name = request.filenameOverride ?? 'standard input';
    const bytes = await request.readInput(maxBytes + 1);
    return { path: undefined, name, nominalPath: resolve(world.cwd, name), bytes, ...formats };
  }
  const path = await existingPath(resolve(world.cwd, file), file, { stage, missing });
  const bytes = await during(stage, file, () => readRegularFile(path, { maxBytes, atOnce: true }));
  const nominalPath = resolve(world.cwd, request.filenameOverride ?? file);
  return { path, name: file, nominalPath, bytes, ...formats };
}

/**
 * Puts a result where it belongs, whole or not at all; a replaced file keeps its mode, a new one is its owner's alone.
 * @returns the bytes for standard output, or undefined where they are in a file.
 */
export async function deliver(
  world: World,
  source: SopsSource,
  bytes: Uint8Array,
  { inPlace = false, output }: SopsDestination,
): Promise<Uint8Array | undefined> {
  if (inPlace && source.path !== undefined) {
    const { path } = source;
    await during('write', source.name, () => replaceFile(path, bytes));
    return undefined;
  }
  if (output === undefined || output === '') return bytes;
  const path = resolve(world.cwd, output);
  await during('write', output, async () => replaceFile(await followed(path), bytes));
  return undefined;
}

/** @throws {SopsOperationError} `conflicting_parameters`, before anything is read. */
export function checkDestination(
  { inPlace = false, output }: SopsDestination,
  file: string | undefined,
): void {
  if (inPlace && output !== undefined && output !== '') {
    throw badArgument(
      'conflicting_parameters',
      '"--output" and "--in-place" exclude each other',
      'give one of them',
    );
  }
  if (inPlace && isStandardInput(file)) {
    throw badArgument('conflicting_parameters', 'Standard input cannot be written in place', 'name a file');
  }
}

function formatsOf({ file, filenameOverride, inputType, outputType }: SopsSourceRequest): {
  inputFormat: FormatName;
  outputFormat: FormatName;
} {
  const name = filenameOverride ?? (isStandardInput(file) ? undefined : file);
  const own = name === undefined ? 'binary' : formatForPath(name);
  const inputFormat = formatOption('--input-type', inputType) ?? own;
  // Where the name tells nothing, what goes in as YAML comes out as YAML.
  const outputFormat = formatOption('--output-type', outputType) ?? (own === 'binary' ? inputFormat : own);
  return { inputFormat, outputFormat };
}

function formatOption(option: string, text: string | undefined): FormatName | undefined {
  if (text === undefined || text === '') return undefined;
  const found = formatNames.find((name) => name === text);
  if (found !== undefined) return found;
  throw badArgument('generic', `"${option}" names no format`, `give one of ${formatNames.join(', ')}`);
}

async function existingPath(
  path: string,
  name: string,
  { stage, missing }: { readonly stage: Stage; readonly missing: SopsOutcome },
): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    const error = toHostError('read', path, cause);
    if (error.code !== 'not_found') return during(stage, name, () => Promise.reject(error));
    const fields = {
      code: 'io',
      message: `Cannot read "${name}": there is no such file`,
      hint: 'check the path',
    } as const;
    throw new SopsOperationError(missing, { ...fields, location: { file: name }, cause: error });
  }
}

/** The file that a link leads to; where there is nothing yet, the path itself. */
async function followed(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    const error = toHostError('write', path, cause);
    if (error instanceof HostError && error.code === 'not_found') return path;
    throw error;
  }
}
