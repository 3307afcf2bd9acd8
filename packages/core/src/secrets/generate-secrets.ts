// Makes random values and stores them: nobody sees them, and they come from the world's source of randomness alone.
import { type ChangedCell, type Confirm, changeCell } from '../cells/write.ts';
import {
  type AlphabetName,
  alphabetNames,
  alphabets,
  defaultGenerateRule,
  entropyBits,
  type GenerateRule,
  maxGeneratedLength,
} from '../checks/alphabets.ts';
import { readSchema } from '../checks/schema-file.ts';
import { ClefError } from '../errors.ts';
import { checkKeyName, didYouMean, quoteName } from '../manifest/names.ts';
import type { Repository } from '../repository.ts';
import type { World } from '../world.ts';
import { refuseDangerousNames } from './environment-policy.ts';
import { refuseSchemaBreaks } from './value-rules.ts';

export type GenerateRequest = {
  readonly cell: string;
  /** Each gets a value of its own. */
  readonly keys: readonly string[];
  /** What is given here goes before the schema's `generate`, and that before 32 letters and digits. */
  readonly length?: number | undefined;
  readonly alphabet?: string | undefined;
  readonly createNamespace: boolean;
  readonly allowedEnvironmentNames: readonly string[];
  readonly confirm: Confirm;
};

export type GeneratedSecrets = ChangedCell & { readonly keys: readonly string[] };

/** Below this many bits a note says so: somebody could try them all. */
const weakBits = 80;

/**
 * Stores a new random value for each key; an old value is replaced.
 * @throws {ClefError} `usage` for a length or an alphabet that there is not, `schema_violation` where the schema refuses
 * what was made, and as `setSecret`.
 */
export async function generateSecrets(
  repository: Repository,
  request: GenerateRequest,
): Promise<GeneratedSecrets> {
  const { keys } = request;
  keys.forEach(checkKeyName);
  refuseDangerousNames(keys, request.allowedEnvironmentNames);
  const wanted = { length: checkLength(request.length), alphabet: checkAlphabet(request.alphabet) };
  const changed = await changeCell(repository, request.cell, {
    createNamespace: request.createNamespace,
    confirm: request.confirm,
    edit: async () => async (current) => {
      const schema = await readSchema(current.repository, current.cell.namespace);
      const set = new Map(
        keys.map((key) => {
          const rule = ruleFor(wanted, schema?.keys.get(key)?.generate);
          noteWeakness(repository.world, key, rule);
          return [key, generateValue(rule, repository.world.randomBytes)] as const;
        }),
      );
      await refuseSchemaBreaks(current, set);
      return { set, delete: [] };
    },
  });
  return { ...changed, keys };
}

/**
 * Characters of the alphabet, each as likely as any other: a byte that would favour the first ones is thrown away.
 * @param randomBytes - Cryptographically secure.
 */
export function generateValue(
  { length, alphabet }: GenerateRule,
  randomBytes: (length: number) => Uint8Array,
): string {
  const characters = alphabets[alphabet];
  const limit = 256 - (256 % characters.length);
  let value = '';
  while (value.length < length) {
    for (const byte of randomBytes(length - value.length)) {
      if (byte < limit) value += characters.charAt(byte % characters.length);
    }
  }
  return value;
}

type Wanted = { readonly length: number | undefined; readonly alphabet: AlphabetName | undefined };

function ruleFor(wanted: Wanted, ofSchema: GenerateRule | undefined): GenerateRule {
  const otherwise = ofSchema ?? defaultGenerateRule;
  return { length: wanted.length ?? otherwise.length, alphabet: wanted.alphabet ?? otherwise.alphabet };
}

function noteWeakness(world: World, key: string, rule: GenerateRule): void {
  const bits = Math.floor(entropyBits(rule));
  if (bits >= weakBits) return;
  world.notify({
    level: 'warning',
    message: `"${key}" is worth ${bits} bits only: it could be found by trying`,
  });
}

function checkLength(length: number | undefined): number | undefined {
  if (length === undefined || (Number.isInteger(length) && length >= 1 && length <= maxGeneratedLength))
    return length;
  throw new ClefError({
    code: 'usage',
    message: `A value of that length is not generated`,
    hint: `give a length of 1 to ${maxGeneratedLength}`,
  });
}

function checkAlphabet(name: string | undefined): AlphabetName | undefined {
  const found = alphabetNames.find((known) => known === name);
  if (found !== undefined || name === undefined) return found;
  throw new ClefError({
    code: 'usage',
    message: `There is no alphabet ${quoteName(name)}${didYouMean(name, alphabetNames)}`,
    hint: `use one of ${alphabetNames.join(', ')}`,
  });
}
