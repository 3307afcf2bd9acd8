// A person's editor: a command line from the person's own environment, split without a shell, on one file. Vim, Neovim and
// nano are told to keep no copy elsewhere, whatever their configuration says; a text that has modelines sets no option.
import { realpathSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { withAbsolutePath } from './absolute-path.ts';
import { type ChildExit, runChild } from './child.ts';
import { HostError } from './host-error.ts';
import { splitWords } from './split-words.ts';

const usualEditors = ['vim', 'nano', 'vi'] as const;

// The first holds from before the text is read, the second when it may be written: by then all of the configuration is in force.
const quietVim = [
  '-n',
  '--cmd',
  'silent! autocmd BufReadPre * setlocal nomodeline noswapfile',
  '-c',
  'silent! set nobackup nowritebackup | silent! set noundofile | silent! set viminfo=',
];

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
  const own = withAbsolutePath(environment);
  const run = (command: string, given: readonly string[]): Promise<ChildExit> => {
    const quiet = quietly(programOf(command, own['PATH']), dirname(path));
    const args = [...given, ...quiet.args, path];
    const variables = { ...own, ...quiet.variables };
    return runChild({ command, args, cwd, environment: variables, stdio: 'inherit', forwardSignals: true });
  };
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

/** What keeps all that is edited in its folder: nano's backups, and the words that one searched for. */
function quietly(
  program: string,
  folder: string,
): { readonly args: readonly string[]; readonly variables?: Readonly<Record<string, string>> } {
  if (/^[gn]?vim\b/.test(program)) return { args: quietVim };
  if (program !== 'nano') return { args: [] };
  return { args: [`--backupdir=${folder}`], variables: { XDG_DATA_HOME: folder } };
}

/** The name of what is run in the end: "vi" is often a link to Vim. */
function programOf(command: string, path = ''): string {
  const places = command.includes('/')
    ? [command]
    : path.split(delimiter).map((folder) => join(folder, command));
  return basename(places.map(realPathOf).find((place) => place !== undefined) ?? command);
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    // Not there: the next folder may have it.
    return undefined;
  }
}

function notFound(message: string): HostError {
  return new HostError('command_not_found', message);
}
