// Finding a service identity by the name that a person gave.
import { ClefError } from '../errors.ts';
import type { Manifest, ServiceEnvironment, ServiceIdentity } from './manifest.ts';
import { didYouMean, findEnvironment } from './names.ts';

/** @throws {ClefError} `unknown_service` with the nearest name. */
export function findService(manifest: Manifest, name: string): ServiceIdentity {
  const found = manifest.serviceIdentities.find((service) => service.name === name);
  if (found !== undefined) return found;
  const names = manifest.serviceIdentities.map((service) => service.name);
  throw unknownService(`No service identity "${name}" in clef.yaml`, name, names, 'clef service create');
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
    `The service identity "${service}" has no environment "${environment}"`,
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
