// `clef service list`
import { listServices, openRepository } from '@clef/core';
import type { CommandContext } from '../command.ts';
import { columns, printJson } from '../print.ts';

export async function run({ world, terminal, directory, json }: CommandContext): Promise<number> {
  const services = listServices(await openRepository(world, directory));
  if (json) return printJson(terminal, services);
  const rows = services.map((service) => [
    service.name,
    service.namespaces.join(', '),
    service.environments.map((environment) => environment.name).join(', '),
  ]);
  await terminal.data(columns(rows));
  return 0;
}
