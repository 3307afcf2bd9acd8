// A command on a terminal of its own, and somebody who types: each answer is typed once its question is on the screen.

import { runPeer } from '../../../test/peers.ts';
import { clefPath, type RunOptions, type Sandbox } from './run-clef.ts';

/** What must have come onto the screen, and what is typed then. */
export type Answer = readonly [shown: string, keys: string];

const typist = `
import fcntl, json, os, pty, select, struct, sys, termios, time
answers = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, int(os.environ['TYPIST_COLUMNS']), 0, 0))
    os.execv(sys.argv[2], sys.argv[2:])
screen, unseen, until = b"", b"", time.monotonic() + 20
while time.monotonic() < until:
    if not select.select([fd], [], [], 0.2)[0]: continue
    try: data = os.read(fd, 65536)
    except OSError: break
    if not data: break
    screen += data; unseen += data
    while answers and answers[0][0].encode() in unseen:
        time.sleep(0.15)
        os.write(fd, answers.pop(0)[1].encode())
        unseen = b""
else:
    os.kill(pid, 9)
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
json.dump({"exitCode": code, "screen": screen.decode("utf8", "replace"), "unanswered": len(answers)}, sys.stdout)`;

/** Runs clef on a terminal; `screen` is every byte that reached it. Answers that were never asked for are an error. */
export async function atTerminal(
  box: Sandbox,
  args: readonly string[],
  answers: readonly Answer[],
  { environment = {}, columns = 100 }: Pick<RunOptions, 'environment'> & { readonly columns?: number } = {},
): Promise<{ readonly exitCode: number; readonly screen: string }> {
  const line = ['-c', typist, JSON.stringify(answers), process.execPath, clefPath, ...args];
  const ran = await runPeer('python3', line, {
    cwd: box.folder,
    environment: { ...box.environment, TERM: 'xterm', TYPIST_COLUMNS: String(columns), ...environment },
  });
  if (ran.exitCode !== 0) throw new Error(ran.stderr);
  const { exitCode, screen, unanswered } = JSON.parse(ran.stdout);
  if (unanswered > 0) throw new Error(`${unanswered} questions never came; the screen: ${screen}`);
  return { exitCode, screen };
}
