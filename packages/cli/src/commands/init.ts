// `clef init`
import { type InitResult, initRepository } from '@clef/core';
import type { CommandContext, CommandInput } from '../command.ts';
import { printJson } from '../print.ts';

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { world, terminal, directory } = context;
  const result = await initRepository(world, {
    ...(directory === undefined ? {} : { directory }),
    withPassphrase: input.has('--passphrase'),
  });
  if (context.json) return printJson(terminal, result);
  for (const line of story(result)) terminal.talk(line);
  if (result.kind === 'joined' && result.inviteLine !== undefined)
    await terminal.data(`${result.inviteLine}\n`);
  return 0;
}

function story(result: InitResult): readonly string[] {
  const made =
    result.kind === 'created' ? 'Made your age key' : 'You have no age key here yet, so one was made:';
  const key = result.madeKey ? [`${made} ${result.recipient}`, `  kept ${result.keptIn}`] : [];
  if (result.kind === 'created') {
    return [
      ...key,
      `Wrote ${result.manifestPath}: environments ${result.environments.join(', ')}; "${result.person}" may read everything`,
      ...(result.git === 'inside' ? [] : [gitAdvice(result.git)]),
      'Next: clef set database/development DB_URL',
    ];
  }
  if (result.inviteLine === undefined)
    return [...key, `You are "${result.person}" in this repository already`];
  return [
    ...key,
    'This key is not in clef.yaml yet. Send this line to a teammate, who runs it; or ask in a pull request, with "clef recipients request":',
  ];
}

function gitAdvice(git: 'no_git' | 'outside'): string {
  if (git === 'no_git') return 'note: git is not installed; Clef works, but history and review come with git';
  return 'note: this folder is not in a git repository; run "git init" to have history and review';
}
