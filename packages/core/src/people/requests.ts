// Asking for access and granting it, through a file in a pull request. The file is anybody's work: what it asks for is
// shown and confirmed, and it can neither take over a name nor a key that somebody has.
import { formatTimestamp } from '@clef/strict';
import { ClefError } from '../errors.ts';
import { personName } from '../git/person-name.ts';
import { ownRecipients } from '../keys/age-keys.ts';
import {
  type AccessRequest,
  formatRequest,
  readRequest,
  readRequests,
  requestPath,
} from '../keys/request-files.ts';
import { findEnvironment, findNamespace } from '../manifest/find.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { checkName, didYouMean, quoteName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import { commitFiles } from '../transaction/commit-files.ts';
import type { Review } from './change-readers.ts';
import { type AddedRecipient, grantAccess, readsIn } from './recipients.ts';

export type RequestedAccess = AccessRequest & {
  readonly path: string;
  /** False where all of it is granted already; then no file is written. */
  readonly changed: boolean;
};

/**
 * Writes down what this person asks for: the first environment that is not protected unless others are named.
 * @throws {ClefError} `no_age_key`, `bad_name`, `unknown_environment`, `unknown_namespace`, `already_exists` where the name
 * is somebody else's, and what committing can give.
 */
export async function requestAccess(
  repository: Repository,
  wanted: {
    readonly name?: string;
    readonly environments?: readonly string[];
    readonly namespaces?: readonly string[];
  },
): Promise<RequestedAccess> {
  const { manifest, world, root } = repository;
  const { name, keys } = await ownPerson(repository, wanted.name);
  const environments = wanted.environments ?? [defaultEnvironment(manifest)];
  for (const environment of environments) findEnvironment(manifest, environment);
  for (const namespace of wanted.namespaces ?? []) findNamespace(manifest, namespace);
  const request: AccessRequest = {
    name,
    keys,
    environments,
    namespaces: wanted.namespaces ?? '*',
    requestedAt: formatTimestamp(world.now()),
  };
  const path = requestPath(name);
  const isGranted =
    wanted.namespaces === undefined &&
    environments.every((environment) => readsIn(manifest, name, environment));
  if (isGranted) return { ...request, path, changed: false };
  const existing = await readRequest(repository, name);
  if (existing !== undefined && !existing.request.keys.some((key) => keys.includes(key)))
    throw nameTaken(name);
  await commitFiles(root, [{ path, before: existing?.bytes, after: formatRequest(request) }], {
    purpose: 'recipients request',
    now: world.now,
    randomBytes: world.randomBytes,
  });
  return { ...request, path, changed: true };
}

/** Under which name and with which keys this person asks. */
async function ownPerson(
  { world, manifest, root }: Repository,
  wantedName: string | undefined,
): Promise<{ readonly name: string; readonly keys: readonly string[] }> {
  const own = await ownRecipients(world);
  if (own.length === 0) {
    throw new ClefError({
      code: 'no_age_key',
      message: 'There is no age key of yours on this machine to ask access for',
      hint: 'run "clef init", which makes one, and ask again',
    });
  }
  const known = manifest.recipients.find(({ keys }) => keys.some(({ text }) => own.includes(text)));
  if (known !== undefined && (wantedName ?? known.name) === known.name) {
    return { name: known.name, keys: known.keys.map(({ text }) => text).filter((key) => own.includes(key)) };
  }
  const name = wantedName ?? (await personName(world, root));
  checkName(name, 'person');
  if (manifest.recipients.some((person) => person.name === name) || manifest.groups.has(name))
    throw nameTaken(name);
  return { name, keys: own };
}

function nameTaken(name: string): ClefError {
  return new ClefError({
    code: 'already_exists',
    message: `The name ${quoteName(name)} is taken`,
    hint: `ask under another one with --name, or, if it is you with a further key: clef recipients add ${name} age1…`,
  });
}

function defaultEnvironment({ environments }: Manifest): string {
  const [first] = environments.filter((environment) => !environment.protected);
  return (first ?? environments[0])?.name ?? '';
}

export type ApproveRequest = Review & { readonly name: string };

/**
 * Grants what a request asks for, and takes its file away, in one transaction. Always asks.
 * @throws {ClefError} `unknown_recipient` where there is no such request, `already_exists` where a key or the name is
 * somebody else's, what reading the request and `addRecipient` can give.
 */
export async function approveRequest(
  repository: Repository,
  approval: ApproveRequest,
): Promise<AddedRecipient> {
  const { request, bytes } = await requireRequest(repository, approval.name);
  refuseTakenName(repository.manifest, request);
  const { name, keys, environments, namespaces } = request;
  const scope = namespaces === '*' ? '' : ` (only ${namespaces.join(', ')})`;
  return grantAccess(
    repository,
    {
      ...approval,
      person: name,
      keys,
      environments,
      ...(namespaces !== '*' && { namespaces }),
    },
    {
      purpose: 'recipients approve',
      reasons: [`"${name}" asks to read ${environments.join(', ')}${scope} with ${keys.join(', ')}`],
      files: async (current) => {
        refuseTakenName(current.manifest, request);
        return [{ path: requestPath(name), before: bytes, after: undefined }];
      },
    },
  );
}

/**
 * Takes a request away without granting it.
 * @throws {ClefError} `unknown_recipient` where there is none, and what committing can give.
 */
export async function declineRequest(repository: Repository, name: string): Promise<AccessRequest> {
  const { world, root } = repository;
  const { request, bytes } = await requireRequest(repository, name);
  await commitFiles(root, [{ path: requestPath(name), before: bytes, after: undefined }], {
    purpose: 'recipients approve --decline',
    now: world.now,
    randomBytes: world.randomBytes,
  });
  return request;
}

async function requireRequest(
  repository: Repository,
  name: string,
): Promise<{ readonly request: AccessRequest; readonly bytes: Uint8Array }> {
  checkName(name, 'person');
  const found = await readRequest(repository, name);
  if (found !== undefined) return found;
  const names = (await readRequests(repository)).map((request) => request.name);
  throw new ClefError({
    code: 'unknown_recipient',
    message: `There is no request of ${quoteName(name)}${didYouMean(name, names)}`,
    hint:
      names.length > 0
        ? `approve one of ${names.slice(0, 10).join(', ')}`
        : 'see the branch of the pull request',
  });
}

/** A request in somebody's name, with a key that is not his, would read as that person from then on. */
function refuseTakenName({ recipients, groups }: Manifest, { name, keys }: AccessRequest): void {
  const known = recipients.find((person) => person.name === name);
  const isOwn = known !== undefined && keys.every((key) => known.keys.some(({ text }) => text === key));
  if (groups.has(name) || (known !== undefined && !isOwn)) {
    throw new ClefError({
      code: 'already_exists',
      message: `The request is in the name of "${name}", who is in clef.yaml with other keys`,
      hint: `ask "${name}" whether the key is real, and only then run: clef recipients add ${name} age1…`,
    });
  }
}
