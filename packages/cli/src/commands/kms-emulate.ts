// `clef kms emulate`
import { resolve } from 'node:path';
import { ClefError } from '@clef/core';
import {
  EmulatorError,
  emulatorVariables,
  type FaultKind,
  type FaultRule,
  faultKinds,
  startEmulator,
} from '@clef/emulator';
import { parseInteger, StrictError } from '@clef/strict';
import type { CommandContext, CommandInput } from '../command.ts';
import { untilInterrupted } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export async function run({ world, terminal, json }: CommandContext, input: CommandInput): Promise<number> {
  const state = input.text('--state');
  const emulator = await startEmulator({
    now: world.now,
    randomBytes: world.randomBytes,
    port: readPort(input.text('--port')),
    faults: input.list('--fault').map(readFault),
    ...(state !== undefined && { statePath: resolve(world.cwd, state) }),
    onFault: () => terminal.talk('warning: the emulator could not answer a call, or write its state file'),
  }).catch((error: unknown) => {
    throw error instanceof EmulatorError ? notStarted(error) : error;
  });
  const { url, awsKey, gcpKey } = emulator;
  const variables = emulatorVariables(emulator);
  if (json) await terminal.data(`${JSON.stringify({ url, awsKey, gcpKey, variables })}\n`);
  else {
    terminal.talk(
      `The emulator listens on ${url}. Its keys are in software: never put a real secret behind them`,
    );
    terminal.talk(`  AWS KMS  ${awsKey.reference}`);
    terminal.talk(`  GCP KMS  ${gcpKey.reference}`);
    terminal.talk(
      'Set these variables where you use it (they make you its administrator), and press Ctrl-C to stop:',
    );
    await terminal.data(
      Object.entries(variables)
        .map(([name, value]) => `export ${name}=${value}\n`)
        .join(''),
    );
  }
  await untilInterrupted();
  await emulator.stop();
  return 0;
}

function notStarted({ code, message }: EmulatorError): Error {
  if (code === 'port_in_use') {
    return new ClefError({ code: 'io', message, hint: 'name another port, or leave --port out' });
  }
  if (code === 'state') return new ClefError({ code: 'io', message, hint: 'name another file with --state' });
  return new UsageError(message, 'run "clef kms emulate --help"');
}

/** OPERATION=KIND, or OPERATION=SECONDS for a call that is only slow. */
function readFault(text: string): FaultRule {
  const at = text.indexOf('=');
  const [operation, what] = [text.slice(0, at), text.slice(at + 1)];
  if (at > 0 && (faultKinds as readonly string[]).includes(what))
    return { operation, kind: what as FaultKind };
  if (at > 0 && /^[0-9]{1,4}(\.[0-9]{1,3})?$/.test(what)) return { operation, delaySeconds: Number(what) };
  throw new UsageError(
    `"--fault" wants OPERATION=KIND, where KIND is one of ${faultKinds.join(', ')}, or a number of seconds`,
    'write for example: --fault aws.Decrypt=throttle',
  );
}

function readPort(text: string | undefined): number {
  if (text === undefined) return 0;
  try {
    return parseInteger(text, { min: 1, max: 65_535 });
  } catch (error) {
    if (!(error instanceof StrictError)) throw error;
    throw new UsageError(
      '"--port" is not a port number between 1 and 65535',
      'write for example: --port 7780',
    );
  }
}
