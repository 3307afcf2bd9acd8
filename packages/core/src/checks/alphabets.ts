// The alphabets that values are made of when Clef makes them, by name.

const upper = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const lower = upper.toLowerCase();
const digits = '0123456789';

/** Name to characters; each occurs once. `symbols` has none that a shell, a dotenv file or YAML would trip over. */
export const alphabets = {
  alphanumeric: upper + lower + digits,
  base64url: `${upper}${lower}${digits}-_`,
  hex: `${digits}abcdef`,
  digits,
  letters: upper + lower,
  symbols: `${upper}${lower}${digits}-_.~+=@%^`,
} as const;

export type AlphabetName = keyof typeof alphabets;

/** All names, as flags take them. */
export const alphabetNames = Object.keys(alphabets) as readonly AlphabetName[];

/** What a generated value is made of. */
export type GenerateRule = { readonly length: number; readonly alphabet: AlphabetName };

/** 190 bits. */
export const defaultGenerateRule: GenerateRule = { length: 32, alphabet: 'alphanumeric' };

/** The longest value that is generated, in characters. */
export const maxGeneratedLength = 4096;

/** How many bits a value of this rule is worth. */
export function entropyBits({ length, alphabet }: GenerateRule): number {
  return length * Math.log2(alphabets[alphabet].length);
}
