// The rows of what keeps running: the agent and the emulator.
import type { CommandDefinition } from '../command.ts';

export const runtimeRows: readonly CommandDefinition[] = [
  {
    name: 'agent',
    summary: 'Keep one artifact fresh and serve its values on 127.0.0.1',
    details:
      'Run "clef agent --help" for its settings. The same program is installed as clef-agent.\n\n"clef agent exec -- COMMAND" runs a command with the values as its environment, anew when they change; "clef agent render" writes them into files of a memory-backed file system. Both accept an artifact exactly as the agent does.',
    examples: [
      { line: 'clef agent --check', does: 'accept the artifact once, say the verdict, and end' },
      { line: 'clef agent exec -- node server.js', does: 'run a server, anew when its secrets change' },
      {
        line: 'clef agent render --once --template /etc/app.tmpl --to /dev/shm/app.env',
        does: 'fill in a template once, before the app starts',
      },
    ],
    passThrough: true,
    load: () => import('../commands/agent.ts'),
  },
  {
    name: 'kms emulate',
    summary: 'Run AWS KMS and GCP KMS on this machine, for development and tests',
    details:
      'Speaks the wire protocols over software keys, with roles, policies and metadata endpoints. Loopback only. Never for production.',
    options: [
      { flag: '--port', value: 'port', summary: 'the port (default: any free one)' },
      {
        flag: '--state',
        value: 'file',
        summary: 'keep keys and roles in this file (0600; it holds key material in the clear)',
      },
      {
        flag: '--fault',
        value: 'operation=kind',
        repeatable: true,
        summary:
          'make trouble: throttle, error, hang, reset, wrong_key, wrong_plaintext, bad_checksum, malformed, empty, or seconds of delay',
      },
    ],
    examples: [
      { line: 'clef kms emulate --port 7780', does: 'print the variables to set, and serve until Ctrl-C' },
      {
        line: 'clef kms emulate > kms.env & sleep 2; . ./kms.env',
        does: 'the same beside this shell, with them set',
      },
      {
        line: "clef kms emulate --fault aws.Decrypt=throttle --fault 'gcp.*=2'",
        does: 'see what a workload does when AWS throttles and Google is slow',
      },
    ],
    load: () => import('../commands/kms-emulate.ts'),
  },
];
