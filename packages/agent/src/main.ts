// The process of `clef-agent`: everything it is goes in as arguments, and its exit code comes out.
import { runAgent } from './run-agent.ts';
import { processWorld } from './world.ts';

const bug = 70;

// The AWS SDK would warn about the version of Node in lines that are no JSON.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';

runAgent(process.argv.slice(2), processWorld(process, Date.now)).then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    // Only where it happened: what it says may quote what it worked on.
    const frames =
      error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : [];
    process.stderr.write(`clef-agent: a bug; please report it with these lines\n${frames.join('\n')}\n`);
    process.exit(bug);
  },
);
