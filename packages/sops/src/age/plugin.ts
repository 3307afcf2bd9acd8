// age plugins: programs that hold or use a key elsewhere, spoken with over stdin and stdout (spec age-format, section 6).
// A program runs only if the caller's own configuration names its absolute path: never by looking its name up in PATH, and
// never because a file asks for it (GHSA-32gq-x56h-299c).
import { isAbsolute } from 'node:path';
import { type ChildConversation, HostError, openChild } from '@clef/host';
import { excerpt } from '@clef/strict';
import { SopsError } from '../sops-error.ts';
import { type AgeStanza, decodeUnpadded, formatAgeStanza, parseStanzaLines } from './age-file.ts';
import { type AgeIdentity, isPluginName, pluginOfRecipient } from './age-keys.ts';

/** What a plugin wants from a person. `text` is the plugin's own and not to be trusted: show it as such, escaped. */
export type PluginQuestion = {
  readonly plugin: string;
  readonly kind: 'message' | 'public' | 'secret' | 'confirm';
  readonly text: string;
  /** What the two choices of `confirm` are called; `no` may be absent. */
  readonly yes?: string;
  readonly no?: string;
};

/** How the programs of age plugins are found, what they may see, and who answers their questions. */
export type AgePlugins = {
  /** The absolute path of the program for a plugin's name; undefined where none is configured. */
  readonly programOf: (name: string) => Promise<string | undefined>;
  /** All of the environment that a program gets. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The answer: text for `public` and `secret`, true or false for `confirm`, anything for a message; undefined for none. */
  readonly ask?: (question: PluginQuestion) => Promise<string | boolean | undefined>;
};

const maxStanzas = 1000;
const maxOutputBytes = 4 * 1024 * 1024;
// Somebody may have to fetch the hardware key.
const timeoutSeconds = 300;

/**
 * The stanzas that a plugin wraps a file key in.
 *
 * Throws SopsError 'bad_recipient', 'unsupported' when no program is configured for it, 'key_service' when it fails.
 */
export async function wrapByPlugin(
  plugins: AgePlugins | undefined,
  recipient: string,
  fileKey: Uint8Array,
): Promise<readonly AgeStanza[]> {
  const name = pluginOfRecipient(recipient);
  const found: AgeStanza[] = [];
  const question = [
    { args: ['add-recipient', recipient], body: new Uint8Array() },
    { args: ['wrap-file-key'], body: fileKey },
  ];
  await converse(plugins, { name, phase: 'recipient-v1', question }, ({ args, body }) => {
    const [command, index, type, ...rest] = args;
    if (command !== 'recipient-stanza' || index !== '0' || type === undefined) return 'unsupported';
    found.push({ args: [type, ...rest], body });
    return 'ok';
  });
  if (found.length === 0) throw failed(name, 'gave no stanza');
  return found;
}

/**
 * The file key that a plugin finds in a file's stanzas; undefined when they are not for it.
 *
 * Throws SopsError 'unsupported' when no program is configured for it, 'key_service' when it fails.
 */
export async function unwrapByPlugin(
  plugins: AgePlugins | undefined,
  identity: Extract<AgeIdentity, { kind: 'plugin' }>,
  stanzas: readonly AgeStanza[],
): Promise<Uint8Array | undefined> {
  let fileKey: Uint8Array | undefined;
  const question = [
    { args: ['add-identity', identity.reveal()], body: new Uint8Array() },
    ...stanzas.map(({ args, body }) => ({ args: ['recipient-stanza', '0', ...args], body })),
  ];
  await converse(plugins, { name: identity.plugin, phase: 'identity-v1', question }, ({ args, body }) => {
    if (args[0] !== 'file-key' || args[1] !== '0') return 'unsupported';
    fileKey ??= body;
    return 'ok';
  });
  return fileKey;
}

type Conversation = {
  readonly name: string;
  readonly phase: 'recipient-v1' | 'identity-v1';
  readonly question: readonly AgeStanza[];
};

async function converse(
  plugins: AgePlugins | undefined,
  { name, phase, question }: Conversation,
  take: (stanza: AgeStanza) => 'ok' | 'unsupported',
): Promise<void> {
  const { program, configured } = await programFor(plugins, name);
  try {
    const child = await openChild({
      command: program,
      args: [`--age-plugin=${phase}`],
      environment: configured.environment,
      maxOutputBytes,
      timeoutSeconds,
    });
    try {
      for (const stanza of question) child.write(formatAgeStanza(stanza));
      child.write(formatAgeStanza({ args: ['done'], body: new Uint8Array() }));
      await answerAll(child, name, configured, take);
    } finally {
      child.endInput();
      child.kill('SIGTERM');
    }
  } catch (cause) {
    if (cause instanceof HostError) throw failed(name, 'could not be run, or did not end', cause);
    throw cause;
  }
}

async function programFor(
  plugins: AgePlugins | undefined,
  name: string,
): Promise<{ program: string; configured: AgePlugins }> {
  const program = isPluginName(name) ? await plugins?.programOf(name) : undefined;
  if (plugins === undefined || program === undefined) {
    throw new SopsError('unsupported', `No program is configured for the age plugin "${excerpt(name)}"`);
  }
  if (isAbsolute(program)) return { program, configured: plugins };
  throw new SopsError(
    'unsupported',
    `The program of the age plugin "${name}" is not given by its absolute path`,
  );
}

/** Reads what the plugin says until it is done, and answers each stanza. */
async function answerAll(
  child: ChildConversation,
  name: string,
  plugins: AgePlugins,
  take: (stanza: AgeStanza) => 'ok' | 'unsupported',
): Promise<void> {
  let failure: SopsError | undefined;
  for (let count = 0; count < maxStanzas; count += 1) {
    const stanza = await readStanza(child, name);
    const command = stanza.args[0];
    if (command === 'done') {
      if (failure !== undefined) throw failure;
      return;
    }
    // Its text is the plugin's own, and may hold anything.
    if (command === 'error') failure ??= failed(name, 'reports an error');
    const answer =
      command === 'error' || command === 'labels'
        ? { args: ['ok'], body: new Uint8Array() }
        : ((await askPerson(stanza, name, plugins)) ?? { args: [take(stanza)], body: new Uint8Array() });
    child.write(formatAgeStanza(answer));
  }
  throw failed(name, 'does not come to an end');
}

async function readStanza(child: ChildConversation, name: string): Promise<AgeStanza> {
  const first = await child.readLine();
  if (first === undefined) throw failed(name, 'ended before it was done');
  const stanza = await parseStanzaLines(first, child.readLine);
  if (stanza === undefined) throw failed(name, 'does not keep to the protocol');
  return stanza;
}

const kinds: ReadonlyMap<string, PluginQuestion['kind']> = new Map([
  ['msg', 'message'],
  ['request-public', 'public'],
  ['request-secret', 'secret'],
  ['confirm', 'confirm'],
]);

/** The answer to a request for a person; undefined when it is none. */
async function askPerson(
  { args, body }: AgeStanza,
  plugin: string,
  { ask }: AgePlugins,
): Promise<AgeStanza | undefined> {
  const kind = kinds.get(args[0] ?? '');
  if (kind === undefined) return undefined;
  const [yes, no] = args.slice(1).map(textOf);
  const question = {
    plugin,
    kind,
    text: Buffer.from(body).toString('utf8'),
    ...(yes === undefined ? {} : { yes }),
    ...(no === undefined ? {} : { no }),
  };
  const answer = await ask?.(question);
  if (ask === undefined || (answer === undefined && kind !== 'message')) return reply('fail');
  if (kind === 'confirm') return reply('ok', answer === true ? 'yes' : 'no');
  const isText = (kind === 'public' || kind === 'secret') && typeof answer === 'string';
  return isText
    ? { args: ['ok'], body: new TextEncoder().encode(answer) }
    : reply(kind === 'message' ? 'ok' : 'fail');
}

function reply(...args: readonly string[]): AgeStanza {
  return { args, body: new Uint8Array() };
}

function textOf(base64: string): string {
  return Buffer.from(decodeUnpadded(base64) ?? []).toString('utf8');
}

function failed(name: string, why: string, cause?: unknown): SopsError {
  return new SopsError(
    'key_service',
    `The age plugin "${name}" ${why}`,
    cause === undefined ? {} : { cause },
  );
}
