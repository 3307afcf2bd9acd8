// `clef doctor`
import { type DoctorFinding, type DoctorStatus, examine } from '@clef/core';
import { escapeControl } from '@clef/strict';
import type { CommandContext, CommandInput } from '../command.ts';
import { exitOfFindings } from '../exit-codes.ts';
import { printJson } from '../print.ts';

const marks = { ok: 'ok     ', warning: 'warning', problem: 'PROBLEM' } as const satisfies Record<
  DoctorStatus,
  string
>;

export async function run(
  { world, terminal, directory, json }: CommandContext,
  input: CommandInput,
): Promise<number> {
  const findings = await examine(world, {
    nodeVersion: process.versions.node,
    open: input.has('--open'),
    ownKeys: !input.has('--without-keys'),
    ...(directory !== undefined && { directory }),
  });
  const exitCode = findings.some(({ status }) => status === 'problem') ? exitOfFindings : 0;
  if (json) {
    await printJson(terminal, findings);
    return exitCode;
  }
  await terminal.data(findings.map(linesOf).join(''));
  return exitCode;
}

function linesOf({ check, status, message, fix }: DoctorFinding): string {
  const advice = fix === undefined ? '' : `${' '.repeat(21)}fix: ${escapeControl(fix)}\n`;
  return `${marks[status]}  ${check.padEnd(10)}  ${escapeControl(message)}\n${advice}`;
}
