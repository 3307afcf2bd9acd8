// Runs its arguments as a child that gets our signals, and ends with its exit code, as `clef exec` does.
import { HostError, runChild } from '../../src/index.ts';

const [command = '', ...args] = process.argv.slice(2);
try {
  const result = await runChild({
    command,
    args,
    environment: process.env,
    stdio: 'inherit',
    forwardSignals: true,
  });
  process.exitCode = result.exitCode;
} catch (cause) {
  process.exitCode = cause instanceof HostError && cause.code === 'command_not_found' ? 127 : 126;
}
