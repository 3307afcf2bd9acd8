// The rows about artifacts as files: looking at one, checking it, opening it.
import type { ArgumentDefinition, CommandDefinition, OptionDefinition } from '../command.ts';

const artifactFile: ArgumentDefinition = { name: 'file', summary: 'the artifact, or - for standard input' };

const whomToTrust =
  'What is insisted on comes from clef.yaml (--service and --environment), else from the CLEF_AGENT_… variables of an agent; the other options overrule both.';

/** What an artifact is held against. */
const judging: readonly OptionDefinition[] = [
  { flag: '--service', value: 'name', summary: 'the service identity in clef.yaml', completes: 'service' },
  { flag: '--environment', value: 'name', summary: 'its environment', completes: 'environment' },
  { flag: '--repository', value: 'id', summary: 'the id of the repository' },
  { flag: '--identity', value: 'name', summary: 'the service identity, where no clef.yaml is at hand' },
  { flag: '--seal', value: 'key', summary: 'the only key the artifact may be sealed with' },
  {
    flag: '--verify-key',
    value: 'key',
    repeatable: true,
    summary: 'a key that is trusted, oldest first (ed25519:…, p256:…, retired:…)',
  },
  { flag: '--min-revision', value: 'revision', summary: 'the least revision' },
  {
    flag: '--floor',
    value: 'epoch,revision,digest',
    summary: 'what an agent accepted last: its epoch, revision and payload digest',
  },
  { flag: '--at', value: 'time', summary: 'judge as of this time (RFC 3339, UTC; default: now)' },
];

export const artifactRows: readonly CommandDefinition[] = [
  {
    name: 'artifact inspect',
    summary: 'Show what an artifact says of itself, without verifying anything',
    details: 'Decrypts nothing, needs no key and no repository. Anybody could have written what it shows.',
    arguments: [artifactFile],
    examples: [{ line: 'clef artifact inspect api-gateway.json', does: 'look at an artifact from outside' }],
    load: () => import('../commands/artifact-inspect.ts'),
  },
  {
    name: 'artifact verify',
    summary: 'Check an artifact as its agent would, as far as that needs no private key',
    details: whomToTrust,
    arguments: [artifactFile],
    options: judging,
    examples: [
      {
        line: 'clef artifact verify api-gateway.json --service api-gateway --environment production',
        does: 'check it against clef.yaml',
      },
    ],
    load: () => import('../commands/artifact-verify.ts'),
  },
  {
    name: 'artifact open',
    summary: 'Open an artifact as its agent would, and list what is in it',
    details: `Lists the names; prints the values, as JSON, only with --reveal. Asks the KMS with your own credentials, or takes an age key: of the agent (CLEF_AGENT_AGE_KEY_FILE), else your own (CLEF_AGE_KEY…, keys.yaml). ${whomToTrust}`,
    arguments: [artifactFile],
    options: [
      { flag: '--reveal', summary: 'print the values' },
      ...judging,
      {
        flag: '--allow-unsigned',
        summary: 'open an unsigned artifact where no verify key is given: nobody knows who made it',
      },
    ],
    examples: [
      {
        line: 'clef artifact open api-gateway.json --service api-gateway --environment production',
        does: 'list the names that the workload gets',
      },
    ],
    load: () => import('../commands/artifact-open.ts'),
  },
];
