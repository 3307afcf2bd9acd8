// The budgets: what clef costs beyond bare node, and against the real sops, measured in one run. With --gates it fails
// where a gate is missed.
import { raceAgent } from './agent.ts';
import { type Contestant, median, medianOver, medianRatio, race } from './measure.ts';
import { openScene, type Scene } from './scene.ts';

const rounds = 21;
const gates = { commandMilliseconds: 60, agentRatio: 0.7 };

const scene = await openScene(process.env);
try {
  const commands = await raceCommands(scene);
  const agent = await raceAgent(scene);
  report(commands, agent);
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

function report(
  times: ReadonlyMap<string, readonly number[]>,
  agent: Awaited<ReturnType<typeof raceAgent>>,
): void {
  const bare = times.get('bare node') as readonly number[];
  const rows = ['get', 'set', 'exec'].map((verb) => {
    const ours = times.get(`clef ${verb}`) as readonly number[];
    const theirs = times.get(`sops ${verb}`);
    return { verb, over: medianOver(ours, bare), ratio: theirs && medianRatio(ours, theirs), ours, theirs };
  });
  print(`machine: node ${process.version}, ${rounds} rounds in turn, medians; a cell of 25 keys`);
  print(`bare node: ${median(bare).toFixed(0)} ms`);
  for (const { verb, over, ratio, ours, theirs } of rows) {
    const against =
      theirs === undefined
        ? 'sops: absent'
        : `sops ${median(theirs).toFixed(0)} ms, ratio ${ratio?.toFixed(2)}`;
    print(`${verb}: ${median(ours).toFixed(0)} ms, ${over.toFixed(0)} ms over bare node; ${against}`);
  }
  print(
    `agent: ${median(agent.agentPerSecond)} requests/s, bare node:http ${median(agent.barePerSecond)}, ratio ${agent.ratio.toFixed(2)}`,
  );
  if (!process.argv.includes('--gates')) return;
  const missed = [
    ...rows
      .filter(({ verb, over }) => verb !== 'set' && over > gates.commandMilliseconds)
      .map(
        ({ verb, over }) =>
          `${verb} takes ${over.toFixed(0)} ms over bare node; the gate is ${gates.commandMilliseconds}`,
      ),
    ...(agent.ratio < gates.agentRatio
      ? [`the agent reaches ${agent.ratio.toFixed(2)}; the gate is ${gates.agentRatio}`]
      : []),
  ];
  for (const line of missed) print(`MISSED: ${line}`);
  process.exitCode = missed.length === 0 ? 0 : 1;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
