// The agent from its arguments to its exit code: which of its modes, with which configuration, and what is said when it
// cannot start.
import { type CommandLine, helpText, type Mode, parseCommandLine } from './command-line.ts';
import { type AgentConfig, type ConfigFault, logFormatOf, readConfig, type ServingConfig } from './config.ts';
import { createLog, type Log } from './log.ts';
import { exitCodes, StartFailure } from './start-failure.ts';
import { version } from './version.ts';
import type { AgentWorld } from './world.ts';

/** As `env` has it: every failure that is not the command's. */
const ownFailureOfExec = 125;

/**
 * Runs the agent until it is told to stop by SIGTERM, SIGINT or SIGHUP. `argv` is what follows `clef agent`. Returns the
 * exit code: 0 after a clean end, 2 wrong arguments, 3 wrong settings, 7 started in an unsafe way, 8 port, token file or
 * state directory; with `exec` the command's own, or 125, 126 and 127. An artifact that cannot be loaded is no reason to end: the agent says "not ready" and goes on trying.
 */
export async function runAgent(argv: readonly string[], world: AgentWorld): Promise<number> {
  // First of all: in Node, SIGUSR1 opens a debugger that anybody on this machine can use.
  const allowDebugger = world.onSignal('SIGUSR1', () => undefined);
  try {
    const line = parseCommandLine(argv);
    if (line.kind === 'run') return await start(line, world);
    if (line.kind === 'usage') return usage(line.mode, line.message, world);
    world.print(line.kind === 'help' ? helpText(line.mode) : `${version}\n`);
    return exitCodes.ok;
  } finally {
    allowDebugger();
  }
}

function usage(mode: Mode, message: string, world: AgentWorld): number {
  const name = mode === 'serve' ? 'clef agent' : `clef agent ${mode}`;
  world.talk(`${name}: ${message}\nTry: ${name} --help\n`);
  return mode === 'exec' ? ownFailureOfExec : exitCodes.usage;
}

type Run = Extract<CommandLine, { kind: 'run' }>;

async function start(line: Run, world: AgentWorld): Promise<number> {
  const work = await workOf(line);
  if (typeof work === 'string') return usage(line.mode, work, world);
  const result = readConfig(line.flags, world, line.mode === 'serve');
  const format = logFormatOf(line.flags, world);
  const exitOf = (exitCode: number): number => (line.mode === 'exec' ? ownFailureOfExec : exitCode);
  if ('faults' in result) return exitOf(refuseConfig(result.faults, world, format));
  const log = createLog(format, world);
  for (const warning of result.warnings) log.warn(warning);
  if (world.processId === 1) log.warn('pid_1', { message: 'orphaned processes need an init' });
  try {
    return await work(result.config, world, log);
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    log.error(error.event, { message: error.message });
    return exitOf(error.exitCode);
  }
}

type Work = (config: AgentConfig, world: AgentWorld, log: Log) => Promise<number>;

/** What the command line asks for; a message where its options do not fit. Only that mode is loaded. */
async function workOf({ mode, options, command }: Run): Promise<Work | string> {
  if (mode === 'exec') {
    const { execCommand, readExecOptions } = await import('./exec-command.ts');
    const asked = readExecOptions(options, command);
    return typeof asked === 'string' ? asked : (config, world, log) => execCommand(config, asked, world, log);
  }
  if (mode === 'render') {
    const { readRenderOptions, renderTemplates } = await import('./render-templates.ts');
    const asked = readRenderOptions(options);
    return typeof asked === 'string'
      ? asked
      : (config, world, log) => renderTemplates(config, asked, world, log);
  }
  if (options.has('--check')) {
    const { checkAgent } = await import('./check-agent.ts');
    return (config, world) => checkAgent(servingConfig(config), world);
  }
  const { serve } = await import('./serve.ts');
  return (config, world, log) => serve(servingConfig(config), world, log);
}

function servingConfig({ token, ...config }: AgentConfig): ServingConfig {
  if (token === undefined) throw new TypeError('a configuration for serving has a token');
  return { ...config, token };
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
