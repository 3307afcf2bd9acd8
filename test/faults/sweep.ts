// One point of a sweep: a fault at one call of one command, the next command, and the verdict on both.

import { canary } from './scenarios.ts';
import { type Fault, judge, noticesIn, type Prepared, readTree, removePlace, run } from './stage.ts';

/** What was wrong at a point; empty where nothing was. */
export type Finding = {
  readonly point: string;
  readonly problems: readonly string[];
  readonly wasSettled: boolean;
};

/** Kills the command, kills what comes after it where asked, and lets the next one through. */
export async function killPoint(
  prepared: Prepared,
  fault: Fault,
  killsOfRecovery: readonly number[] = [],
): Promise<Finding> {
  const { scenario } = prepared;
  const place = prepared.copy();
  const problems: string[] = [];
  const killed = await run(place, scenario.run, fault);
  if (killed.exitCode !== 137 && killed.exitCode !== 0)
    problems.push(`exit ${killed.exitCode}: ${killed.stderr}`);
  const hasJournal = (): boolean =>
    readTree(place).leftovers.some((path) => path.startsWith('.clef/journal'));
  const wasSettled = hasJournal();
  for (const at of killsOfRecovery) await run(place, { args: scenario.look }, { at, action: 'kill-before' });
  const hadJournal = hasJournal();
  const next = await run(place, { args: scenario.look });
  problems.push(...problemsOf(prepared, place, next));
  if (hadJournal && noticesIn(next.stderr) !== 1) problems.push(`no notice: ${next.stderr}`);
  // Once more only where there was something to settle: a second notice would be a second recovery.
  if (hadJournal && noticesIn((await run(place, { args: scenario.look })).stderr) > 0)
    problems.push('told twice');
  removePlace(place);
  const point = `${scenario.name}: ${fault.action} ${fault.at} ${killsOfRecovery.join(',')}`;
  return { point, problems, wasSettled };
}

function problemsOf(
  prepared: Prepared,
  place: Parameters<typeof readTree>[0],
  next: Awaited<ReturnType<typeof run>>,
): readonly string[] {
  const { tree, leftovers } = readTree(place);
  const verdict = judge(prepared, tree);
  const wanted = verdict === 'new' ? prepared.newLook : prepared.oldLook;
  const isTold = prepared.scenario.isSingleFile === true ? leftovers.length > 1 : leftovers.length > 0;
  return [
    ...(verdict === 'mixed' ? ['mixed'] : []),
    ...(isTold ? [`left: ${leftovers.join(', ')}`] : []),
    ...(next.stdout === wanted.stdout && next.exitCode === wanted.exitCode
      ? []
      : [`the next command: ${next.exitCode} ${next.stderr}`]),
    ...(next.stderr.includes(canary) ? ['a value on stderr'] : []),
  ];
}

/** What a person is told, by the error of the system. */
export const reasons: Readonly<Record<string, RegExp>> = {
  ENOSPC: /the disk is full[\s\S]*Try: free some space/,
  EIO: /the machine reported an error[\s\S]*Try: check the disk/,
  EROFS: /the file system is read-only[\s\S]*Try: work on a writable copy/,
  EDQUOT: /a quota or a limit on the size of files is reached[\s\S]*Try: see "quota"/,
  EMFILE: /too many files are open[\s\S]*Try: raise the limit with "ulimit -n/,
  EACCES: /permission is denied[\s\S]*Try: check the owner and the mode/,
};

/** Lets one call fail, or all from it on. */
export async function errorPoint(prepared: Prepared, fault: Fault): Promise<Finding> {
  const { scenario } = prepared;
  const place = prepared.copy();
  const ran = await run(place, scenario.run, fault);
  const atOnce = judge(prepared, readTree(place).tree);
  const problems: string[] = [];
  const isHalf = fault.stays === true && ran.exitCode === 9 && ran.stderr.includes('neither be finished');
  if (ran.exitCode === 0 && atOnce !== 'new') problems.push(`success, but ${atOnce}`);
  if (ran.exitCode !== 0 && !isHalf && ran.exitCode !== 8)
    problems.push(`exit ${ran.exitCode}: ${ran.stderr}`);
  if (ran.exitCode === 8 && reasons[fault.errno ?? '']?.test(ran.stderr) !== true)
    problems.push(`unclear: ${ran.stderr}`);
  // Outside of a transaction the last call, the sync of the folder, fails with the whole new file in place.
  const mayBeNew = scenario.isSingleFile === true && atOnce === 'new';
  if (ran.exitCode !== 0 && !isHalf && !mayBeNew && atOnce !== 'old')
    problems.push(`refused, but ${atOnce}: ${ran.stderr}`);
  if (ran.stderr.includes(canary)) problems.push('a value on stderr');
  const next = await run(place, { args: scenario.look });
  problems.push(...problemsOf(prepared, place, next));
  removePlace(place);
  const how = fault.stays === true ? 'from' : 'at';
  return { point: `${scenario.name}: ${fault.errno} ${how} ${fault.at}`, problems, wasSettled: isHalf };
}

/** `count` numbers from 1 to `last`, spread evenly, always the same. */
export function spread(last: number, count: number): readonly number[] {
  if (count >= last) return Array.from({ length: last }, (_, index) => index + 1);
  return [
    ...new Set(
      Array.from({ length: count }, (_, index) => 1 + Math.round((index * (last - 1)) / (count - 1))),
    ),
  ];
}
