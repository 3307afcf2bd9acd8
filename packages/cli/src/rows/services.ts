// The rows about workloads: service identities and their artifacts.
import type { CommandDefinition, OptionDefinition } from '../command.ts';
import { yes } from './shared.ts';

const signWith: OptionDefinition = {
  flag: '--sign',
  value: 'environment=key',
  repeatable: true,
  summary: 'the KMS key that signs in an environment; its public half is asked for and trusted',
};

export const serviceRows: readonly CommandDefinition[] = [
  {
    name: 'service create',
    summary: 'Add a service identity to clef.yaml',
    details:
      'Names what the workload gets and the key that its artifacts are sealed to in each environment: a KMS key, or an age public key for workloads without KMS. Without --verify your own Ed25519 signing key is used, made on first use.',
    arguments: [{ name: 'name', summary: 'the service identity, for example api-gateway' }],
    options: [
      {
        flag: '--namespaces',
        value: 'names',
        summary: 'the namespaces it may have, separated by commas',
        completes: 'namespace',
      },
      {
        flag: '--seal',
        value: 'environment=key',
        repeatable: true,
        summary: 'the sealing key of an environment',
      },
      signWith,
      {
        flag: '--verify',
        value: 'environment=key',
        repeatable: true,
        summary: 'a key that the agent trusts (ed25519:… or p256:…)',
      },
      { flag: '--description', value: 'text', summary: 'what it is' },
      {
        flag: '--prefix',
        value: 'kind',
        summary: '"namespace": put the namespace before each name (database__DB_URL)',
      },
    ],
    examples: [
      {
        line: 'clef service create api-gateway --namespaces database --seal production=awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
        does: 'a service that opens its artifact with its own role',
      },
    ],
    load: () => import('../commands/service-create.ts'),
  },
  {
    name: 'service update',
    summary: 'Change what a service identity may have, or its keys',
    details:
      'What is not named stays. A key given with --verify or --sign is trusted besides those that are there; "clef service rotate" retires old ones.',
    arguments: [{ name: 'name', summary: 'the service identity', completes: 'service' }],
    options: [
      {
        flag: '--namespaces',
        value: 'names',
        summary: 'all that it may have from now on, separated by commas',
        completes: 'namespace',
      },
      {
        flag: '--seal',
        value: 'environment=key',
        repeatable: true,
        summary: 'another sealing key, or an environment more',
      },
      signWith,
      {
        flag: '--verify',
        value: 'environment=key',
        repeatable: true,
        summary: 'a key more that the agent trusts',
      },
      { flag: '--description', value: 'text', summary: 'what it is' },
      {
        flag: '--prefix',
        value: 'kind',
        summary: '"namespace", or "none"',
        completes: ['namespace', 'none'],
      },
      yes,
    ],
    examples: [
      { line: 'clef service update api-gateway --namespaces database,payments', does: 'widen its scope' },
    ],
    load: () => import('../commands/service-update.ts'),
  },
  {
    name: 'service rotate',
    summary: 'Rotate the signing key of a service identity',
    details:
      'First the next key: it is trusted besides the old one, and opens an epoch. Give the agents their new settings, and pack with the new key. Then --retire the old one: its place in the list stays, so that no epoch moves.',
    arguments: [
      { name: 'name', summary: 'the service identity', completes: 'service' },
      { name: 'environment', summary: 'one of its environments', completes: 'environment' },
    ],
    options: [
      {
        flag: '--verify',
        value: 'key',
        summary: 'the public half of the next signing key: ed25519:… or p256:…',
      },
      {
        flag: '--sign',
        value: 'key',
        summary: 'the next signing key, in a KMS; its public half is asked for and trusted',
      },
      { flag: '--retire', value: 'key', summary: 'a key to trust no longer: its text or its ID' },
      yes,
    ],
    examples: [
      {
        line: 'clef service rotate api-gateway production --sign awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
        does: 'sign with this key from the next pack on',
      },
    ],
    load: () => import('../commands/service-rotate.ts'),
  },
  {
    name: 'service delete',
    summary: 'Remove a service identity, or one of its environments',
    arguments: [
      { name: 'name', summary: 'the service identity', completes: 'service' },
      {
        name: 'environment',
        summary: 'only this environment of it',
        optional: true,
        completes: 'environment',
      },
    ],
    options: [yes],
    examples: [{ line: 'clef service delete api-gateway staging', does: 'take one environment away' }],
    load: () => import('../commands/service-delete.ts'),
  },
  {
    name: 'service list',
    summary: 'List the service identities',
    examples: [{ line: 'clef service list --json', does: 'hand the services to a program' }],
    load: () => import('../commands/service-list.ts'),
  },
  {
    name: 'service show',
    summary: 'Show a service identity, or the settings of its agent',
    arguments: [
      { name: 'name', summary: 'the service identity', completes: 'service' },
      { name: 'environment', summary: 'one of its environments', optional: true, completes: 'environment' },
    ],
    options: [
      { flag: '--agent-env', summary: "print the agent's pinned settings as variables" },
      {
        flag: '--iam',
        summary:
          'print the least that AWS and Google Cloud must allow, for the job that packs and for the workload',
      },
      {
        flag: '--to',
        value: 'destination',
        summary:
          'where the artifact is published (s3://…, gs://…): for --iam, and for --agent-env as its source',
      },
    ],
    examples: [
      {
        line: 'clef service show api-gateway production --agent-env --to s3://artifacts/api-gateway.json > agent.env',
        does: 'write the settings of its agent',
      },
      {
        line: 'clef service show api-gateway production --iam --to s3://artifacts/api-gateway.json',
        does: 'print the policies for CI and for the workload',
      },
    ],
    load: () => import('../commands/service-show.ts'),
  },
  {
    name: 'pack',
    summary: 'Seal what services may have, an artifact for each',
    details:
      'Decrypts only the cells in scope, each once, merges them, encrypts them to a key pair made for this one artifact, wraps the private key with the sealing key, and signs. Every artifact is complete or absent, and none is published before all are sealed.\n\nThe destination is a file, s3://BUCKET/KEY, gs://BUCKET/OBJECT or an https:// address that takes a PUT (with the token in CLEF_PUBLISH_TOKEN). It is replaced only if it still holds what was read there, so that of two packs at once one is told; the new revision exceeds the old one.',
    arguments: [
      {
        name: 'service',
        summary: 'the service identity, or several separated by commas',
        optional: true,
        completes: 'service',
      },
      {
        name: 'environment',
        summary: 'one of its environments, or several',
        optional: true,
        completes: 'environment',
      },
    ],
    options: [
      { flag: '--all', summary: 'every service identity, in every environment or in those named' },
      {
        flag: '--to',
        value: 'destination',
        summary:
          'a file, an address, or - for standard output (default); {service} and {environment} stand for the names',
      },
      { flag: '--expires-in', value: 'duration', summary: 'for example 12h or 30d (default: 30d)' },
      {
        flag: '--allow-dirty',
        summary: 'pack a protected environment although files in scope differ from HEAD',
      },
      {
        flag: '--dry-run',
        summary: 'check and decrypt everything, and stop before anything is sealed or written',
      },
    ],
    examples: [
      { line: 'clef pack api-gateway production --to api-gateway.json', does: 'make an artifact' },
      {
        line: 'clef pack --all production --to "s3://artifacts/{service}/{environment}.json"',
        does: 'publish all that production runs',
      },
    ],
    load: () => import('../commands/pack.ts'),
  },
  {
    name: 'revoke',
    summary: "End what was packed: the service's agents wipe what they have",
    details:
      'Publishes a signed revocation in the place of the artifact. Agents that read it stop serving within one poll and take nothing older. The next "clef pack" to the same place is accepted again.',
    arguments: [
      { name: 'service', summary: 'the service identity', completes: 'service' },
      { name: 'environment', summary: 'one of its environments', completes: 'environment' },
    ],
    options: [
      {
        flag: '--reason',
        value: 'text',
        summary: 'why, in the clear; for the people who look at the revocation',
      },
      {
        flag: '--to',
        value: 'destination',
        summary: 'where the artifact is, as for "clef pack"; - is standard output',
      },
      yes,
    ],
    examples: [
      {
        line: 'clef revoke api-gateway production --reason "host compromised" --to s3://artifacts/api-gateway/production.json',
        does: 'cut the service off',
      },
    ],
    load: () => import('../commands/revoke.ts'),
  },
];
