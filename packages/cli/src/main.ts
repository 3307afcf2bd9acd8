// The process: the only catch and the only exit.
import type { World } from '@clef/core';
import type { CommandContext } from './command.ts';
import { exitOfCancel } from './exit-codes.ts';
import { jsonText } from './print.ts';
import { execFailure, failsAsExec, type GlobalOptions, runProgram } from './program.ts';
import { errorLines, renderError } from './render-error.ts';
import { processTerminal, processWorld, type Terminal } from './terminal.ts';
import { version } from './version.ts';

// The AWS SDK's note about Node 20 is for those who develop with it, not for those who run clef.
const silenceSdk = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED';

async function main(commandLine: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const world = processWorld(terminal);
    process.env[silenceSdk] ??= 'true';
    return await runProgram(commandLine, (globals) => contextOf(globals, terminal, world));
  } catch (error) {
    return showError(error, commandLine, terminal);
  }
}

/** Shows an error as it was asked for, even where it is that the command line cannot be parsed; returns the exit code. */
function showError(error: unknown, commandLine: readonly string[], terminal: Terminal): number {
  const ownWords = commandLine.includes('--') ? commandLine.slice(0, commandLine.indexOf('--')) : commandLine;
  const rendered = renderError(error);
  if (ownWords.includes('--json')) process.stderr.write(`${jsonText({ error: rendered.body })}\n`);
  else for (const line of errorLines(rendered, ownWords.includes('--debug'))) terminal.talk(line);
  const isExecs = [126, 127, exitOfCancel].includes(rendered.exitCode);
  return failsAsExec(ownWords) && !isExecs ? execFailure : rendered.exitCode;
}

function contextOf(globals: GlobalOptions, terminal: Terminal, world: World): CommandContext {
  return {
    world: globals.breakLock ? { ...world, breakLock: true } : world,
    terminal,
    json: globals.json,
    directory: globals.directory,
    version,
    program: [process.execPath, process.argv[1] ?? ''],
  };
}

const terminal = processTerminal();
const commandLine = process.argv.slice(2);
// Node would print the error's message, and a message may hold what its thrower was given.
process.on('uncaughtException', (error) => process.exit(showError(error, commandLine, terminal)));
void main(commandLine, terminal).then((exitCode) => process.exit(exitCode));
