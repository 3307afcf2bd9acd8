// The process that is killed, or whose disk fails. Bundled by the tests.
//   kill SCENARIO ROOT ACTION N      one commit that dies at call N (exit 0 when there are fewer calls)
//   sweep FOLDER ERRNO STAYS READS   every scenario with every N in a fresh folder; one JSON line for each
//   write ROOT NAME COUNT            COUNT read-append-commit rounds on one file; prints how many were reported as done
//   hold ROOT                        takes the lock, says so, and keeps it

import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClefError } from '../../src/errors.ts';
import { commitFiles, withRepositoryLock } from '../../src/transaction/commit-files.ts';
import { changesOf, options, readTree, type ScenarioName, scenarios, writeTree } from './disk-scenarios.ts';
import { arm, disarm, installFaults } from './faulty-disk.ts';

const [verb, ...args] = process.argv.slice(2) as [string, ...string[]];

async function kill([scenario, root, action, at]: string[]): Promise<void> {
  await installFaults();
  arm({ at: Number(at), action: action as 'kill-before' });
  await commitFiles(root as string, changesOf(scenarios[scenario as ScenarioName]), options);
}

async function sweep([folder, errno, stays, reads]: string[]): Promise<void> {
  await installFaults({ reads: reads === 'true' });
  for (const name of Object.keys(scenarios) as ScenarioName[]) {
    for (let at = 1; ; at += 1) {
      const root = await mkdtemp(join(folder as string, 'r-'));
      const { before } = scenarios[name];
      await writeTree(root, before);
      arm({ at, action: errno, stays: stays === 'true' });
      const error = await commitFiles(root, changesOf(scenarios[name]), { ...options, waitSeconds: 0 }).catch(
        (cause: unknown) => cause,
      );
      const calls = disarm();
      const code =
        error instanceof ClefError ? error.code : error === undefined ? 'done' : `BUG ${String(error)}`;
      console.log(JSON.stringify({ name, at, code, ...(await readTree(root)), isPast: at > calls }));
      if (at > calls || errno === 'short-write') break;
    }
  }
}

async function write([root, name, count]: string[]): Promise<void> {
  let done = 0;
  for (let round = 0; round < Number(count); ) {
    const before = await readFile(join(root as string, 'shared.enc.yaml'));
    const after = Buffer.from(`${before.toString()}${name}.${round}\n`);
    try {
      await commitFiles(root as string, [{ path: 'shared.enc.yaml', before, after }], {
        ...options,
        waitSeconds: 20,
      });
      round += 1;
      done += 1;
    } catch (error) {
      if (!(error instanceof ClefError) || error.code !== 'changed_meanwhile') throw error;
    }
  }
  console.log(done);
}

async function hold([root]: string[]): Promise<void> {
  await withRepositoryLock(root as string, { ...options, purpose: 'hold on' }, async () => {
    console.log('held');
    await sleep(60_000);
  });
}

const verbs: Readonly<Record<string, (args: string[]) => Promise<void>>> = { kill, sweep, write, hold };
await verbs[verb]?.(args);
