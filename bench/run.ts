// The budgets: what clef costs beyond bare node, and against the real sops, measured in one run. With --gates it fails
// where a gate is missed; the goals are stricter, for a quiet machine, and only printed.
import { type AgentFigures, raceAgent } from './agent.ts';
import { type DecryptFigures, raceDecryption } from './decrypt.ts';
import { raceMatrix } from './matrix.ts';
import { type Contestant, median, medianOver, medianRatio, race, raceProcessors } from './measure.ts';
import { openScene, type Scene } from './scene.ts';

const rounds = 21;
const processorRounds = 31;
/** In milliseconds beyond bare node. */
const goal = 35;
/**
 * A busy machine slows both, so the gates are ratios: of a short command's least processor time to bare node's, and of
 * decrypting whole files to sops, where the goals are gates too. What each catches: README.md.
 */
const gates = {
  processorToBareNode: { get: 3.5, exec: 3.6, export: 3.4, 'sops decrypt': 3.4 },
  toSopsAt10000: 1,
  toSopsAt100Files: 1,
};

/** The agent against a bare server that takes turns with it; its start by the processor's time, which other load hardly moves. */
const agentGates: readonly (readonly [
  what: string,
  value: (figures: AgentFigures) => number,
  isMet: (value: number) => boolean,
])[] = [
  ['at least 0.8 of the bare server by the clock', ({ ratio }) => ratio, (value) => value >= 0.8],
  ['at least 0.9 by processor time', ({ processorRatio }) => processorRatio, (value) => value >= 0.9],
  ['p99 within 1.5 times of the bare server', ({ p99Ratio }) => p99Ratio, (value) => value <= 1.5],
  [
    'ready within 180 ms of processor time over bare node',
    (it) => it.startProcessorMilliseconds,
    (value) => value <= 180,
  ],
  ['at most 95 MB after load', ({ rssAfterLoad }) => rssAfterLoad, (value) => value <= 95],
  ['1,000,000 requests after the warm-up', (it) => it.answersAfterWarmUp, (value) => value >= 1_000_000],
  ['at most 10 MB more after 1,000,000 requests', ({ rssGrowth }) => rssGrowth, (value) => value <= 10],
  [
    'p99 of honest clients among slow ones at most 100 ms',
    ({ honestP99 }) => honestP99,
    (value) => value <= 100,
  ],
  ['no honest request fails', ({ honestFailures }) => honestFailures, (value) => value === 0],
];

const scene = await openScene(process.env);
try {
  const missed = [
    ...reportProcessorTime(await raceProcessorTime(scene)),
    ...reportCommands(await raceCommands(scene)),
    ...reportDecryption(await raceDecryption(scene)),
    ...reportMatrix(await raceMatrix(process.env)),
    ...reportAgent(await raceAgent(scene)),
  ];
  if (process.argv.includes('--gates')) {
    for (const line of missed) print(`MISSED: ${line}`);
    process.exitCode = missed.length === 0 ? 0 : 1;
  }
} finally {
  await scene.remove();
}

async function raceCommands({ clef, sops, folder, environment, cellFile }: Scene) {
  const common = { cwd: folder, environment };
  const node = process.execPath;
  const ours = (name: string, args: readonly string[], input?: Uint8Array): Contestant => ({
    ...common,
    name,
    command: node,
    args: [clef, ...args],
    ...(input && { input }),
  });
  const theirs = (name: string, args: readonly string[]): readonly Contestant[] =>
    sops === undefined ? [] : [{ ...common, name, command: sops, args }];
  const contestants = (round: number): readonly Contestant[] => [
    { ...common, name: 'bare node', command: node, args: ['-e', '0'] },
    ours('clef get', ['get', 'database/development', 'KEY_3']),
    ...theirs('sops get', ['decrypt', '--extract', '["KEY_3"]', cellFile]),
    ours('clef set', ['set', 'database/development', 'KEY_3'], new TextEncoder().encode(`fresh ${round}`)),
    ...theirs('sops set', ['set', cellFile, '["KEY_4"]', JSON.stringify(`fresh ${round}`)]),
    ours('clef exec', ['exec', 'database/development', '--', 'true']),
    ...theirs('sops exec', ['exec-env', cellFile, 'true']),
  ];
  return race(contestants, rounds);
}

async function raceProcessorTime({
  clef,
  folder,
  environment,
  cellFile,
}: Scene): Promise<ReadonlyMap<string, number>> {
  const common = { cwd: folder, environment, command: process.execPath };
  return raceProcessors(
    [
      { ...common, name: 'bare node', args: ['-e', '0'] },
      { ...common, name: 'get', args: [clef, 'get', 'database/development', 'KEY_3'] },
      { ...common, name: 'exec', args: [clef, 'exec', 'database/development', '--', 'true'] },
      { ...common, name: 'export', args: [clef, 'export', 'database/development'] },
      { ...common, name: 'sops decrypt', args: [clef, 'sops', 'decrypt', cellFile] },
    ],
    processorRounds,
  );
}

/** Prints what short commands cost the processor; returns the gates that they miss. */
function reportProcessorTime(least: ReadonlyMap<string, number>): readonly string[] {
  const bare = least.get('bare node') ?? 0;
  print(`bare node: ${bare.toFixed(1)} ms of processor time, the least of ${processorRounds} rounds`);
  return Object.entries(gates.processorToBareNode).flatMap(([name, gate]) => {
    const own = least.get(name) ?? 0;
    const ratio = own / bare;
    print(
      `${name}: ${own.toFixed(1)} ms of processor time, ${ratio.toFixed(2)} times bare node (gate ${gate})`,
    );
    return ratio <= gate
      ? []
      : [`${name} takes ${ratio.toFixed(2)} times the processor time of bare node; the gate is ${gate}`];
  });
}

type Times = ReadonlyMap<string, readonly number[]>;

/** Prints the short commands; on the clock they have no gate. */
function reportCommands(times: Times): readonly string[] {
  print(`machine: node ${process.version}, ${rounds} rounds in turn, medians; a cell of 25 keys`);
  print(`bare node: ${median(timesOf(times, 'bare node')).toFixed(0)} ms`);
  return ['get', 'set', 'exec'].flatMap((verb) =>
    reportShort({ name: verb, ours: `clef ${verb}`, theirs: `sops ${verb}` }, times),
  );
}

/** Prints whole files; returns the gates that they miss. */
function reportDecryption({ files, tree }: DecryptFigures): readonly string[] {
  const missed = files.flatMap(({ values, times }) =>
    ['clef sops decrypt', 'clef export'].flatMap((ours) => {
      const name = `${ours}, ${values} values`;
      return values === 25
        ? reportShort({ name, ours, theirs: 'sops' }, times)
        : reportLong({ name, ours, gate: values === 10_000 ? gates.toSopsAt10000 : undefined }, times);
    }),
  );
  const name = '100 files in one "clef export", in 100 processes of sops';
  return [...missed, ...reportLong({ name, ours: 'clef export', gate: gates.toSopsAt100Files }, tree)];
}

function reportShort(
  { name, ours, theirs }: { name: string; ours: string; theirs: string },
  times: Times,
): readonly [] {
  const [bare, own] = [timesOf(times, 'bare node'), timesOf(times, ours)];
  const over = medianOver(own, bare);
  const isReached = over <= goal ? 'reached' : 'missed';
  print(
    `${name}: ${median(own).toFixed(0)} ms, ${over.toFixed(0)} ms over bare node (goal ${goal} ms: ${isReached})${against(times, own, theirs)}`,
  );
  return [];
}

function reportLong(
  { name, ours, gate }: { name: string; ours: string; gate: number | undefined },
  times: Times,
): readonly string[] {
  const [own, theirs] = [timesOf(times, ours), times.get('sops')];
  print(`${name}: ${median(own).toFixed(0)} ms${against(times, own, 'sops')}`);
  const ratio = theirs && medianRatio(own, theirs);
  if (gate === undefined || ratio === undefined || ratio < gate) return [];
  return [`${name} takes ${ratio.toFixed(2)} times sops; the gate is under ${gate}`];
}

/** Prints what one transaction over 100 cells takes; only the new data keys have a rival, a loop over sops. */
function reportMatrix(times: Times): readonly string[] {
  for (const name of ['clef sync', 'clef rename'])
    print(`20 x 5 matrix, ${name}: ${median(timesOf(times, name)).toFixed(0)} ms`);
  return reportLong({ name: '20 x 5 matrix, new data keys', ours: 'clef rotate', gate: undefined }, times);
}

function reportAgent(figures: AgentFigures): readonly string[] {
  const middle = (what: 'perSecond' | 'p99', of: 'agent' | 'bare'): string =>
    median(figures[of].map((load) => load[what])).toFixed(what === 'p99' ? 1 : 0);
  print(
    `agent: ${middle('perSecond', 'agent')} requests/s, bare node:http ${middle('perSecond', 'bare')}, ratio ${figures.ratio.toFixed(2)} (by processor time ${figures.processorRatio.toFixed(2)}); ` +
      `p99 ${middle('p99', 'agent')} ms, bare ${middle('p99', 'bare')}, ratio ${figures.p99Ratio.toFixed(2)}`,
  );
  print(
    `agent: ready ${figures.startMilliseconds.toFixed(0)} ms over bare node, of which ${figures.startProcessorMilliseconds.toFixed(0)} on the processor`,
  );
  print(
    `agent: ${figures.rssAtStart.toFixed(0)} MB after 100,000 requests, ${figures.rssAfterLoad.toFixed(0)} after ${figures.answersAfterWarmUp} more`,
  );
  print(
    `agent: among 5,000 slow clients honest ones see a p99 of ${figures.honestP99.toFixed(1)} ms, ${figures.honestFailures} failures`,
  );
  return agentGates.flatMap(([what, value, isMet]) => {
    const found = value(figures);
    return isMet(found) ? [] : [`the agent: ${what}, found ${found.toFixed(2)}`];
  });
}

function against(times: Times, own: readonly number[], name: string): string {
  const theirs = times.get(name);
  if (theirs === undefined) return '; sops: absent';
  return `; sops ${median(theirs).toFixed(0)} ms, ratio ${medianRatio(own, theirs).toFixed(2)}`;
}

function timesOf(times: Times, name: string): readonly number[] {
  return times.get(name) ?? [];
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
