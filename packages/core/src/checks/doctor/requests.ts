// Requests for access that wait for an answer: whose, for what and since when. Each is anybody's work, so that nothing in
// it is more than shown.
import { parseTimestamp } from '@clef/strict';
import { type AccessRequest, listRequests } from '../../keys/request-files.ts';
import type { Repository } from '../../repository.ts';
import type { Report } from './finding.ts';

const mostTold = 10;
const dayMilliseconds = 86_400_000;

/** The longest waiting first. A request that is asked again is as old as its last asking. */
export async function checkRequests(repository: Repository, report: Report): Promise<void> {
  const { requests, troubles } = await listRequests(repository);
  for (const { message, hint } of troubles) report.warning(message, hint);
  const waiting = [...requests].sort((a, b) => askedAt(a) - askedAt(b));
  for (const request of waiting.slice(0, mostTold)) {
    const { name } = request;
    report.warning(
      describe(request, repository.world.now()),
      `run "clef recipients approve ${name}", or take it away: clef recipients approve ${name} --decline`,
    );
  }
  const untold = waiting.length - mostTold;
  if (untold > 0)
    report.warning(`${untold} more requests for access wait`, 'see them all: clef recipients list');
}

function describe(request: AccessRequest, now: number): string {
  const { name, environments, namespaces, requestedAt } = request;
  const scope = namespaces === '*' ? '' : ` (only ${namespaces.join(', ')})`;
  const days = Math.floor((now - askedAt(request)) / dayMilliseconds);
  const age = days < 0 ? 'a time to come' : days === 1 ? '1 day' : `${days} days`;
  return `"${name}" asks to read ${environments.join(', ')}${scope} since ${requestedAt} (${age})`;
}

function askedAt({ requestedAt }: AccessRequest): number {
  return parseTimestamp(requestedAt);
}
