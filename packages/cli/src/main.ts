// The process: the only catch and the only exit.
import type { World } from '@clef/core';
import type { CommandContext } from './command.ts';
import { execFailure, failsAsExec, type GlobalOptions, runProgram } from './program.ts';
import { errorLines, renderError } from './render-error.ts';
import { processTerminal, processWorld, type Terminal } from './terminal.ts';
import { version } from './version.ts';

// The AWS SDK's note about Node 20 is for those who develop with it, not for those who run clef.
const silenceSdk = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED';

async function main(commandLine: readonly string[], terminal: Terminal, world: World): Promise<number> {
  // Known before parsing, so that an error of the parser itself is shown as it was asked for.
  const ownWords = commandLine.includes('--') ? commandLine.slice(0, commandLine.indexOf('--')) : commandLine;
  const json = ownWords.includes('--json');
  const debug = ownWords.includes('--debug');
  try {
    return await runProgram(commandLine, (globals) => contextOf(globals, terminal, world));
  } catch (error) {
    const rendered = renderError(error);
    if (json) process.stderr.write(`${JSON.stringify({ error: rendered.body })}\n`);
    else for (const line of errorLines(rendered, debug)) terminal.talk(line);
    return failsAsExec(ownWords) && rendered.exitCode !== 126 && rendered.exitCode !== 127
      ? execFailure
      : rendered.exitCode;
  }
}

function contextOf(globals: GlobalOptions, terminal: Terminal, world: World): CommandContext {
  return {
    world,
    terminal,
    json: globals.json,
    directory: globals.directory,
    version,
    program: [process.execPath, process.argv[1] ?? ''],
  };
}

const terminal = processTerminal();
const world = processWorld(terminal);
process.env[silenceSdk] ??= 'true';
void main(process.argv.slice(2), terminal, world).then((exitCode) => process.exit(exitCode));
