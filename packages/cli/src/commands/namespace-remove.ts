// `clef namespace remove`
import type { CommandBody } from '../command.ts';
import { runRemove } from '../name-change.ts';

export const run: CommandBody['run'] = (context, input) => runRemove('namespace', context, input);
