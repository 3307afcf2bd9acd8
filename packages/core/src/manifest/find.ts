// What a person's word names in the manifest; an unknown name is an error that offers the nearest one.
import { ClefError } from '../errors.ts';
import type { Environment, Manifest, Namespace, ServiceEnvironment, ServiceIdentity } from './manifest.ts';
import { didYouMean, quoteName } from './names.ts';

/** The environment of that name; throws `unknown_environment` with the nearest name. */
export function findEnvironment(manifest: Manifest, name: string): Environment {
  const found = manifest.environments.find((environment) => environment.name === name);
  if (found !== undefined) return found;
  const names = manifest.environments.map((environment) => environment.name);
  throw new ClefError({
    code: 'unknown_environment',
    message: `No environment ${quoteName(name)} in clef.yaml${didYouMean(name, names)}`,
    hint: `use one of ${names.join(', ')}`,
  });
}

/** The namespace of that name; throws `unknown_namespace` with the nearest name. */
export function findNamespace(manifest: Manifest, name: string): Namespace {
  const found = manifest.namespaces.find((namespace) => namespace.name === name);
  if (found !== undefined) return found;
  const names = manifest.namespaces.map((namespace) => namespace.name);
  throw new ClefError({
    code: 'unknown_namespace',
    message: `No namespace ${quoteName(name)} in clef.yaml${didYouMean(name, names)}`,
    hint:
      names.length > 0 ? `use one of ${names.slice(0, 10).join(', ')}` : 'make one by setting its first key',
  });
}

/** @throws {ClefError} `unknown_service` with the nearest name. */
export function findService(manifest: Manifest, name: string): ServiceIdentity {
  const found = manifest.serviceIdentities.find((service) => service.name === name);
  if (found !== undefined) return found;
  const names = manifest.serviceIdentities.map((service) => service.name);
  throw unknownService(
    `No service identity ${quoteName(name)} in clef.yaml`,
    name,
    names,
    'clef service create',
  );
}

/** @throws {ClefError} `unknown_service` where the identity has no such environment. */
export function findServiceEnvironment(
  manifest: Manifest,
  service: string,
  environment: string,
): ServiceEnvironment {
  const { environments } = findService(manifest, service);
  const found = environments.get(environment);
  if (found !== undefined) return found;
  findEnvironment(manifest, environment);
  throw unknownService(
    `The service identity "${service}" has no environment ${quoteName(environment)}`,
    environment,
    [...environments.keys()],
    'a "seal" key in clef.yaml',
  );
}

function unknownService(message: string, name: string, names: readonly string[], way: string): ClefError {
  return new ClefError({
    code: 'unknown_service',
    message: `${message}${didYouMean(name, names)}`,
    hint: names.length > 0 ? `use one of: ${names.join(', ')}` : `add it with ${way}`,
  });
}
