// Where the demo plays: a temporary folder, commands run as a person would type them, and a narrator.
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChildHandle, runChild, startChild } from '@clef/host';
import type { Terminal } from '../terminal.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A folder, the commands in it, and what is told about them. */
export class Stage {
  readonly folder: string;
  readonly #terminal: Terminal;
  readonly #clef: readonly string[];
  readonly #children: ChildHandle[] = [];
  #chapter = 0;

  private constructor(terminal: Terminal, clef: readonly string[], folder: string) {
    this.#terminal = terminal;
    this.#clef = clef;
    this.folder = folder;
  }

  /** Opens an empty stage. `clef` is the command line that starts this very program. */
  static async open(terminal: Terminal, clef: readonly string[]): Promise<Stage> {
    return new Stage(terminal, clef, await realpath(await mkdtemp(join(tmpdir(), 'clef-demo-'))));
  }

  path(...names: readonly string[]): string {
    return join(this.folder, ...names);
  }

  async chapter(title: string): Promise<void> {
    this.#chapter += 1;
    await this.#print(`\n${this.#chapter}. ${title}\n`);
  }

  async tell(text: string): Promise<void> {
    await this.#print(`   ${text}\n`);
  }

  /** Runs a command line, shown as typed; `clef` is this program. Fails unless it ends with the expected exit code. */
  async run(
    line: readonly string[],
    options: {
      readonly environment: Environment;
      readonly input?: string;
      readonly shown?: string;
      readonly expected?: number;
      readonly quiet?: boolean;
    },
  ): Promise<string> {
    const { environment, input, expected = 0 } = options;
    if (!options.quiet) await this.#print(`   $ ${options.shown ?? line.map(quote).join(' ')}\n`);
    const [command = '', ...args] = line[0] === 'clef' ? [...this.#clef, ...line.slice(1)] : line;
    const result = await runChild({
      command,
      args,
      cwd: this.path('app'),
      environment,
      stdio: 'capture',
      ...(input !== undefined && { input: new TextEncoder().encode(input) }),
      timeoutSeconds: 60,
    });
    const decoder = new TextDecoder();
    const output = decoder.decode(result.stdout);
    if (!options.quiet) await this.#indent(`${decoder.decode(result.stderr)}${output}`);
    if (result.exitCode !== expected)
      throw new Error(`"${line.join(' ')}" ended with ${result.exitCode} instead of ${expected}`);
    return output;
  }

  /** Starts this program in the background; it is ended with the stage. */
  async start(args: readonly string[], environment: Environment, shown: string): Promise<ChildHandle> {
    await this.#print(`   $ ${shown}\n`);
    const [command = '', ...first] = this.#clef;
    const child = await startChild({
      command,
      args: [...first, ...args],
      cwd: this.path('app'),
      environment,
    });
    this.#children.push(child);
    return child;
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(this.path('app', name), text);
  }

  async read(name: string): Promise<string> {
    return readFile(this.path('app', name), 'utf8');
  }

  async show(lines: readonly string[]): Promise<void> {
    await this.#indent(lines.join('\n'));
  }

  /** Ends what was started and removes the folder. */
  async close(keep: boolean): Promise<void> {
    for (const child of this.#children) child.kill('SIGTERM');
    await Promise.all(this.#children.map((child) => child.exited));
    if (!keep) await rm(this.folder, { recursive: true, force: true });
  }

  async #indent(text: string): Promise<void> {
    const lines = text.split('\n').filter((line) => line !== '');
    await this.#print(lines.map((line) => `     ${line}\n`).join(''));
  }

  #print(text: string): Promise<void> {
    return this.#terminal.data(text.replaceAll(this.folder, '/demo'));
  }
}

function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@,+-]+$/.test(word) ? word : `"${word}"`;
}
