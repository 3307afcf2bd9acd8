// A request for access as a file of a pull request: `.clef/requests/NAME.yaml`. Public data, and nobody's word is taken
// for it: it grants nothing until somebody who may read approves it.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isTimestamp } from '@clef/strict';
import { ClefError, type ErrorFault } from '../errors.ts';
import { fromGroundError } from '../from-ground-error.ts';
import { didYouMean, nameFault, quoteName } from '../manifest/names.ts';
import {
  isMap,
  parseStrictYaml,
  type StrictYaml,
  type YamlMap,
  type YamlValue,
} from '../manifest/strict-yaml.ts';
import { blockLines } from '../manifest/yaml-forms.ts';
import { type Repository, readFileIn } from '../repository.ts';
import { parsePublicKey } from './public-key.ts';

/** Who asks to read what. */
export type AccessRequest = {
  readonly name: string;
  /** Age public keys. */
  readonly keys: readonly string[];
  readonly environments: readonly string[];
  readonly namespaces: readonly string[] | '*';
  readonly requestedAt: string;
};

const folder = '.clef/requests';
const suffix = '.yaml';
const maxRequestBytes = 64 * 1024;
const mostRequests = 1000;
const mostTold = 10;
const mostEntries = 100;
const fields = ['version', 'name', 'keys', 'environments', 'namespaces', 'requested'];

/** Where the request of a person lies. */
export function requestPath(name: string): string {
  return `${folder}/${name}${suffix}`;
}

/** The requests that are open, by name. Warns of those that are malformed. */
export async function readRequests(repository: Repository): Promise<readonly AccessRequest[]> {
  const { requests, troubles } = await listRequests(repository);
  for (const { message } of troubles) repository.world.notify({ level: 'warning', message });
  return requests;
}

/** The requests that are open, by name, and what is wrong with other files in their folder. */
export async function listRequests({ root }: Pick<Repository, 'root'>): Promise<{
  readonly requests: readonly AccessRequest[];
  readonly troubles: readonly Trouble[];
}> {
  const requests: AccessRequest[] = [];
  const malformed: ClefError[] = [];
  const names = await requestNames(root);
  for (const name of names.slice(0, mostRequests)) {
    try {
      const found = await readRequest({ root }, name);
      if (found !== undefined) requests.push(found.request);
    } catch (error) {
      if (!(error instanceof ClefError)) throw error;
      malformed.push(error);
    }
  }
  return { requests, troubles: troublesOf(malformed, names.length) };
}

type Trouble = { readonly message: string; readonly hint: string };

/** A flood of files must not hide the one that matters: some are told, the others counted. */
function troublesOf(malformed: readonly ClefError[], found: number): readonly Trouble[] {
  const hint = `look at "${folder}", and delete what nobody asked for`;
  const told: Trouble[] = malformed.slice(0, mostTold).map((error) => error);
  const untold = malformed.length - told.length;
  if (untold > 0)
    told.push({ message: `${untold} more files in "${folder}" cannot be read as requests`, hint });
  const message = `There are ${found} files in "${folder}": only the first ${mostRequests} are looked at`;
  return found > mostRequests ? [...told, { message, hint }] : told;
}

async function requestNames(root: string): Promise<readonly string[]> {
  try {
    const files = await readdir(join(root, folder));
    const names = files.filter((file) => file.endsWith(suffix)).map((file) => file.slice(0, -suffix.length));
    return names.filter((name) => nameFault(name) === undefined).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw fromGroundError(error, { action: `read "${folder}"`, file: folder });
  }
}

/**
 * The request of one person and the bytes it was read from; undefined where there is none.
 * @throws {ClefError} `bad_format` with every fault, `private_key_given`, `bad_path`, `limit`, `io`.
 */
export async function readRequest(
  { root }: Pick<Repository, 'root'>,
  name: string,
): Promise<{ readonly request: AccessRequest; readonly bytes: Uint8Array } | undefined> {
  const path = requestPath(name);
  const bytes = await readFileIn(root, path, maxRequestBytes);
  if (bytes === undefined) return undefined;
  const request = parseRequest(bytes, path);
  if (request.name === name) return { request, bytes };
  throw malformed(path, [
    { message: `it is the request of ${quoteName(request.name)}, in the file of another name` },
  ]);
}

/** Reads a request strictly. */
function parseRequest(bytes: Uint8Array, path: string): AccessRequest {
  const yaml = parseStrictYaml(bytes, { maxBytes: maxRequestBytes });
  if ('faults' in yaml)
    throw malformed(
      path,
      yaml.faults.map(({ message, position }) => ({ message, ...position })),
    );
  if (!isMap(yaml.value)) throw malformed(path, [{ message: 'it is not a map' }]);
  const faults = [...unknownFields(yaml, yaml.value), ...fieldFaults(yaml.value)];
  if (faults.length > 0) throw malformed(path, faults);
  const { name, keys, environments, namespaces, requested } = yaml.value as unknown as WrittenRequest;
  return {
    name,
    keys: keys.map((key) => parsePublicKey(key, `use the request in "${path}"`)),
    environments,
    namespaces: namespaces.includes('*') ? '*' : namespaces,
    requestedAt: requested,
  };
}

type WrittenRequest = {
  readonly name: string;
  readonly keys: readonly string[];
  readonly environments: readonly string[];
  readonly namespaces: readonly string[];
  readonly requested: string;
};

function unknownFields(yaml: StrictYaml, value: YamlMap): readonly ErrorFault[] {
  return Object.keys(value)
    .filter((field) => !fields.includes(field))
    .map((field) => ({
      message: `there is no field ${quoteName(field)}${didYouMean(field, fields)}`,
      ...yaml.positionOf([field], 'key'),
    }));
}

function fieldFaults(value: YamlMap): readonly ErrorFault[] {
  const isName = (entry: YamlValue): boolean => typeof entry === 'string' && nameFault(entry) === undefined;
  const isText = (entry: YamlValue): boolean => typeof entry === 'string';
  const { version, name, requested, namespaces = null } = value;
  const isAll = Array.isArray(namespaces) && namespaces.length === 1 && namespaces[0] === '*';
  return [
    ...(version === 1 ? [] : ['"version" is not 1']),
    ...(isName(name ?? null) ? [] : ['"name" is not a legal name']),
    ...(isListOf(value['keys'], isText) ? [] : ['"keys" is not a list of age public keys']),
    ...(isListOf(value['environments'], isName) ? [] : ['"environments" is not a list of names']),
    ...(isAll || isListOf(namespaces, isName) ? [] : ['"namespaces" is not a list of names, or ["*"]']),
    ...(typeof requested === 'string' && isTimestamp(requested)
      ? []
      : ['"requested" is not a time such as 2026-01-31T12:34:56Z']),
  ].map((message) => ({ message }));
}

function isListOf(value: YamlValue | undefined, isEntry: (entry: YamlValue) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.length <= mostEntries && value.every(isEntry);
}

function malformed(path: string, faults: readonly ErrorFault[]): ClefError {
  return new ClefError({
    code: 'bad_format',
    message: `Cannot use "${path}": ${faults.map(({ message }) => message).join('; ')}`,
    hint: 'ask the person to make it again with "clef recipients request"',
    location: { file: path },
    faults,
  });
}

/** Writes a request. */
export function formatRequest(request: AccessRequest): Uint8Array {
  const lines = blockLines({
    version: 1,
    name: request.name,
    keys: request.keys,
    environments: request.environments,
    namespaces: request.namespaces === '*' ? ['*'] : request.namespaces,
    requested: request.requestedAt,
  });
  const text = [`# To let ${request.name} in: clef recipients approve ${request.name}`, ...lines, ''].join(
    '\n',
  );
  return new TextEncoder().encode(text);
}
