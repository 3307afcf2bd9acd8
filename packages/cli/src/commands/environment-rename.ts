// `clef environment rename`
import type { CommandBody } from '../command.ts';
import { runRename } from '../name-change.ts';

export const run: CommandBody['run'] = (context, input) => runRename('environment', context, input);
