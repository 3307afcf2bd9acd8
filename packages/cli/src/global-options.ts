// The options that every command takes, before or after its name.
import type { OptionDefinition } from './command.ts';

export const globalOptions: readonly OptionDefinition[] = [
  { flag: '--dir', value: 'folder', summary: 'work on the repository around this folder' },
  { flag: '--json', summary: 'print data as JSON on stdout, an error as one JSON object on stderr' },
  {
    flag: '--break-lock',
    summary:
      'take the lock of the repository from a process that cannot be seen from here and that you know is gone',
  },
  { flag: '--debug', summary: 'show where in the code an error arose' },
];
