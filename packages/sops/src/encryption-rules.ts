// Which values are encrypted: exactly one rule per file. Regular expressions are Go's RE2 and nothing else, because
// a pattern that means one thing here and another to SOPS leaves a secret in clear.
import { SopsError } from './sops-error.ts';
import type { Place } from './tree.ts';

export const ruleKinds = [
  'unencrypted_suffix',
  'encrypted_suffix',
  'unencrypted_regex',
  'encrypted_regex',
  'unencrypted_comment_regex',
  'encrypted_comment_regex',
] as const;

/** The fields of the sops block that can hold a rule; a file has one of them at most. */
export type RuleKind = (typeof ruleKinds)[number];
/** Which values are encrypted: a suffix of keys, or a regular expression in RE2 syntax for keys or comments. */
export type EncryptionRule = { readonly kind: RuleKind; readonly text: string };

/** What is in force when a file names no rule. */
export const defaultRule: EncryptionRule = { kind: 'unencrypted_suffix', text: '_unencrypted' };

/**
 * The one rule among some options, or undefined when there is none; an empty text counts as absent.
 *
 * Throws SopsError 'conflicting_rules' when more than one is given.
 */
export function chooseRule(options: Partial<Record<RuleKind, string>>): EncryptionRule | undefined {
  const found = ruleKinds.flatMap((kind): EncryptionRule[] => {
    const text = options[kind] ?? '';
    return text === '' ? [] : [{ kind, text }];
  });
  if (found.length > 1) throw new SopsError('conflicting_rules', 'Only one encryption rule can be in force');
  return found[0];
}

/** Says of a value or a comment at a place whether it is encrypted. */
export type Selector = {
  readonly value: (place: Place) => boolean;
  readonly comment: (place: Place, text: string) => boolean;
};

type Pattern = (text: string) => boolean;
type Engine = { compile: (source: string) => { matcher: (text: string) => { find: () => boolean } } };
let engine: Engine | undefined;

/** Loads what a rule needs beyond plain suffixes. Must have been awaited before {@link ruleSelector} of a regex rule. */
export async function prepareRule(rule: EncryptionRule): Promise<void> {
  if (rule.kind.endsWith('_regex') && engine === undefined) engine = (await import('re2js')).RE2JS;
}

/**
 * The selector of a rule.
 *
 * `reading`: a pattern that RE2 refuses never matches, as in SOPS; otherwise it throws SopsError 'unsupported',
 * since nothing may be written that such a pattern leaves in clear.
 */
export function ruleSelector(rule: EncryptionRule, purpose: 'reading' | 'writing'): Selector {
  if (rule.kind.endsWith('_suffix')) return keySelector(rule, (key) => key.endsWith(rule.text));
  const matches = compilePattern(rule.text, purpose);
  return rule.kind.endsWith('_comment_regex') ? commentSelector(rule, matches) : keySelector(rule, matches);
}

function keySelector(rule: EncryptionRule, matches: Pattern): Selector {
  const encryptsMatch = rule.kind.startsWith('encrypted_');
  const value = (place: Place) => place.keys.some(matches) === encryptsMatch;
  return { value, comment: value };
}

function commentSelector(rule: EncryptionRule, matches: Pattern): Selector {
  if (rule.kind === 'encrypted_comment_regex') {
    const value = (place: Place) => place.activeComments().some(matches);
    return { value, comment: value };
  }
  return {
    value: (place) => !place.activeComments().some(matches),
    comment: (place, text) => !matches(text) && !place.activeComments().some(matches),
  };
}

function compilePattern(source: string, purpose: 'reading' | 'writing'): Pattern {
  if (engine === undefined) {
    throw new SopsError(
      'unsupported',
      'The rule of this file is a regular expression and has not been prepared',
    );
  }
  try {
    const pattern = engine.compile(source);
    return (text) => pattern.matcher(text).find();
  } catch (cause) {
    if (purpose === 'reading') return () => false;
    throw new SopsError('unsupported', 'The regular expression of the encryption rule is not valid RE2', {
      cause,
    });
  }
}
