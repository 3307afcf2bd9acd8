// F-01 to F-03, F-05, F-08, INV-100, INV-103: every command that changes files is killed, or its disk fails, at each of its changing
// calls. A sample of the points by default; all of them with CLEF_FAULT_SWEEP=full.

import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { type Scenario, scenarios } from './scenarios.ts';
import { inTurns, newBench, type Prepared, prepare } from './stage.ts';
import { errorPoint, type Finding, killPoint, reasons, spread } from './sweep.ts';

const isFull = process.env['CLEF_FAULT_SWEEP'] === 'full';
const kills = ({ isAlike }: Scenario): number => {
  if (isFull) return Number.POSITIVE_INFINITY;
  return isAlike === true ? 3 : 6;
};
const recoveryKills = isFull ? 12 : 2;
const errnos = Object.keys(reasons);

const bench = newBench();
const figures: string[] = [];
afterAll(() => {
  rmSync(bench, { recursive: true, force: true });
  process.stderr.write(`fault points: ${figures.join('; ')}\n`);
});

/** All points of one kind, as what was wrong with each. */
async function sweep(name: string, jobs: readonly (() => Promise<Finding>)[]): Promise<readonly Finding[]> {
  const findings = await inTurns(jobs);
  figures.push(`${name} ${findings.length}`);
  return findings;
}

/** The calls between which there is something to settle. */
function journalled({ log, calls }: Prepared): { readonly first: number; readonly last: number } {
  const first = log.find(({ op, path }) => op === 'writeFile' && path.endsWith('journal.plan'))?.n ?? 1;
  return {
    first,
    last: log.find(({ op, path, n }) => op === 'unlink' && n > first && /journal/.test(path))?.n ?? calls,
  };
}

const wrong = (findings: readonly Finding[]): readonly Finding[] =>
  findings.filter(({ problems }) => problems.length > 0);

describe.each(scenarios)('$name', (scenario) => {
  let ready: Promise<Prepared> | undefined;
  const stage = (): Promise<Prepared> => {
    ready ??= prepare(bench, scenario);
    return ready;
  };

  it('F-01, INV-100: killed before and after a changing call, the next command leaves all old or all new', async () => {
    const prepared = await stage();
    expect(prepared.calls).toBeGreaterThan(8);
    const findings = await sweep(
      `${scenario.name}, ${prepared.calls} calls: killed`,
      spread(prepared.calls, kills(scenario)).flatMap((at) => [
        ...(isFull || at % 2 === 0 ? [() => killPoint(prepared, { at, action: 'kill-after' })] : []),
        () => killPoint(prepared, { at, action: 'kill-before' }),
      ]),
    );
    expect(wrong(findings)).toEqual([]);
  }, 3_600_000);

  it('F-02, INV-103: also where the recovery is killed, and killed again', async () => {
    const prepared = await stage();
    const { first, last } = journalled(prepared);
    const points = spread(last - first, recoveryKills).map((at) => at + first);
    const findings = await sweep(
      'recovery killed',
      points.map(
        (at, index) => () =>
          killPoint(prepared, { at, action: 'kill-before' }, [8 + ((index * 3) % 9), 6 + (index % 9)]),
      ),
    );
    expect(wrong(findings)).toEqual([]);
    if (scenario.isSingleFile !== true) expect(findings.some(({ wasSettled }) => wasSettled)).toBe(true);
  }, 3_600_000);

  it('F-03, F-05, F-08: an error of the disk at a changing call changes nothing, exits with 8, says what to do and shows no value', async () => {
    const prepared = await stage();
    // Of a sample each error comes at another call, and in the next command at the call after that.
    const sample = spread(prepared.calls, errnos.length);
    const jobs = errnos.flatMap((errno, index) => {
      const place = (index + scenarios.indexOf(scenario)) % sample.length;
      const points = isFull ? spread(prepared.calls, prepared.calls) : sample.slice(place, place + 1);
      return points.map((at) => () => {
        const stays = (at + index) % 2 === 0;
        return errorPoint(prepared, { at, action: 'error', errno, stays });
      });
    });
    const findings = await sweep('failed', jobs);
    expect(wrong(findings)).toEqual([]);
  }, 3_600_000);
});
