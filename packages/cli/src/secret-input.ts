// A value that a person gives without showing it: typed without echo on a terminal, else standard input byte for byte.
import { maxValueBytes } from '@clef/core';
import type { CommandContext, CommandInput } from './command.ts';
import { askHidden } from './terminal.ts';

/** Reads it; `--trim-newline` takes one newline off the end of standard input. */
export async function readSecret(
  { terminal }: CommandContext,
  input: CommandInput,
  question: string,
): Promise<Uint8Array> {
  if (terminal.inputIsTerminal && terminal.talkIsTerminal)
    return new TextEncoder().encode(await askHidden(question));
  const bytes = await terminal.readInput(maxValueBytes + 1);
  if (bytes.at(-1) !== 0x0a) return bytes;
  if (input.has('--trim-newline')) return bytes.subarray(0, -1);
  terminal.talk('note: the value ends in a newline, which counts too; --trim-newline takes it off');
  return bytes;
}
