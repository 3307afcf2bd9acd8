// A person's editor: a command line from the person's own environment, split without a shell, on one file.
import { type ChildExit, runChild } from './child.ts';
import { HostError } from './host-error.ts';
import { splitWords } from './split-words.ts';

const usualEditors = ['vim', 'nano', 'vi'] as const;

/**
 * Opens a file in an editor and waits for its end. Signals are passed on to it.
 * @param commandLine - The person's choice, such as `code --wait`; without one the usual editors are tried in turn.
 * @throws {HostError} `command_not_found`, `command_not_executable` where none can be started; as {@link runChild}.
 */
export async function runEditor(
  path: string,
  {
    commandLine,
    cwd,
    environment,
  }: {
    readonly commandLine: string | undefined;
    readonly cwd: string;
    readonly environment: Readonly<Record<string, string | undefined>>;
  },
): Promise<ChildExit> {
  const run = (command: string, args: readonly string[]): Promise<ChildExit> =>
    runChild({ command, args: [...args, path], cwd, environment, stdio: 'inherit', forwardSignals: true });
  if (commandLine !== undefined && commandLine !== '') {
    const [command = '', ...args] = splitWords(commandLine) ?? [];
    if (command === '') throw notFound('A quote in the editor command is not closed');
    return run(command, args);
  }
  for (const editor of usualEditors) {
    try {
      return await run(editor, []);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
    }
  }
  throw notFound('There is no editor');
}

function notFound(message: string): HostError {
  return new HostError('command_not_found', message);
}
