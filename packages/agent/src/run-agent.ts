// The agent from its arguments to its exit code: which of its modes, with which configuration, and what is said when it
// cannot start.
import { type ConfigFault, logFormatOf, readConfig } from './config.ts';
import { createLog } from './log.ts';
import { serve } from './serve.ts';
import { helpText, parseCommandLine, type SettingTexts } from './settings.ts';
import { exitCodes, StartFailure } from './start-failure.ts';
import { version } from './version.ts';
import type { AgentWorld } from './world.ts';

/**
 * Runs the agent until it is told to stop by SIGTERM, SIGINT or SIGHUP. `argv` is what follows `clef agent`. Returns the
 * exit code: 0 after a clean end, 2 wrong arguments, 3 wrong settings, 7 started in an unsafe way, 8 port, token file or
 * state directory. An artifact that cannot be loaded is no reason to end: the agent says "not ready" and goes on trying.
 */
export async function runAgent(argv: readonly string[], world: AgentWorld): Promise<number> {
  // First of all: in Node, SIGUSR1 opens a debugger that anybody on this machine can use.
  const allowDebugger = world.onSignal('SIGUSR1', () => undefined);
  try {
    const line = parseCommandLine(argv);
    if (line.kind === 'run') return await start(line.flags, world);
    if (line.kind === 'usage') return usage(line.message, world);
    world.print(line.kind === 'help' ? helpText() : `${version}\n`);
    return exitCodes.ok;
  } finally {
    allowDebugger();
  }
}

function usage(message: string, world: AgentWorld): number {
  world.talk(`clef agent: ${message}\nTry: clef agent --help\n`);
  return exitCodes.usage;
}

async function start(flags: SettingTexts, world: AgentWorld): Promise<number> {
  const result = readConfig(flags, world);
  const log = createLog(logFormatOf(flags, world), world);
  if ('faults' in result) return refuseConfig(result.faults, world, logFormatOf(flags, world));
  for (const warning of result.warnings) log.warn(warning);
  if (world.processId === 1) log.warn('pid_1', { message: 'orphaned processes need an init' });
  try {
    return await serve(result.config, world, log);
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    log.error(error.event, { message: error.message });
    return error.exitCode;
  }
}

function refuseConfig(faults: readonly ConfigFault[], world: AgentWorld, format: 'json' | 'text'): number {
  const messages = faults.map(({ message }) => message);
  if (format === 'json') createLog('json', world).error('config', { message: messages.join('; ') });
  else
    world.talk(
      `clef agent: the configuration is not valid\n${messages.map((message) => `  ${message}\n`).join('')}${advice}\n`,
    );
  return faults.some(({ kind }) => kind === 'config') ? exitCodes.config : exitCodes.policy;
}

const advice =
  'Try: clef service show NAME ENVIRONMENT --agent-env (prints the right settings); clef agent --help';
