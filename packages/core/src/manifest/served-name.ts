// The name by which a service identity has a key: the key's own, or with its namespace before it.
import type { ServiceIdentity } from './manifest.ts';

/** With `prefix: namespace`, `DB_URL` of `user-data` is `user_data__DB_URL`. */
export function servedName(service: Pick<ServiceIdentity, 'prefix'>, namespace: string, key: string): string {
  return service.prefix === 'namespace' ? `${namespace.replaceAll('-', '_')}__${key}` : key;
}
