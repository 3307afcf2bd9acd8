// A whole tree through the value cipher, both ways, with the MAC over the same walk.
import { type EncryptionRule, ruleSelector, type Selector } from './encryption-rules.ts';
import { type EncryptedType, isEncryptedType, leafFromBytes } from './leaf-values.ts';
import { startMac } from './mac.ts';
import { SopsError, type SopsErrorDetails } from './sops-error.ts';
import { type Comment, type Leaf, mapTree, type Place, stringLeaf, type Tree } from './tree.ts';
import {
  type DataKey,
  encryptValue,
  openValue,
  parseEncryptedBytes,
  parseEncryptedValue,
  type RandomBytes,
} from './value-cipher.ts';

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Ciphertexts to use again, by path, type and plaintext: only an unchanged value may keep its IV. */
export type Kept = ReadonlyMap<string, string>;

/** The plaintext tree and its MAC, which the caller must compare before letting the tree out. */
export function decryptWithKey(
  tree: Tree,
  key: DataKey,
  { rule, macOnlyEncrypted }: { rule: EncryptionRule; macOnlyEncrypted: boolean },
): { tree: Tree; mac: string } {
  const selector = ruleSelector(rule, 'reading');
  const mac = startMac({ macOnlyEncrypted });
  const plain = mapTree(tree, {
    leaf(leaf, place) {
      const isEncrypted = selector.value(place);
      const opened = isEncrypted ? openLeaf(leaf, place, key) : leaf;
      if (opened.kind === 'leaf') mac.add(opened, isEncrypted);
      return opened;
    },
    comment: (comment, place) =>
      selector.comment(place, comment.text) ? openComment(comment, place, key) : comment,
  });
  return { tree: plain, mac: mac.finish() };
}

function openLeaf(leaf: Leaf, place: Place, key: DataKey): Leaf | Comment {
  if (leaf.type === 'null' || (leaf.type === 'str' && leaf.bytes.length === 0)) return leaf;
  const value = leaf.type === 'str' ? parseEncryptedBytes(leaf.bytes) : undefined;
  if (value === undefined) throw unreadable(leaf, place);
  const bytes = openValue(key, value, place.aad);
  if (bytes === undefined) {
    throw new SopsError('value_auth_failed', 'A value does not decrypt at this place', details(leaf, place));
  }
  // Strings are nearly all there is, and objects put together from parts cost more than their decryption.
  if (value.type === 'str' && leaf.at !== undefined) return { kind: 'leaf', type: 'str', bytes, at: leaf.at };
  return { ...typed(value.type, bytes, leaf, place), ...(leaf.at === undefined ? {} : { at: leaf.at }) };
}

function unreadable(leaf: Leaf, place: Place): SopsError {
  const text = leaf.type === 'str' ? decoder.decode(leaf.bytes) : '';
  return text.trimStart().startsWith('ENC[')
    ? new SopsError('value_bad_format', 'An encrypted value is cut short or malformed', details(leaf, place))
    : new SopsError('value_not_encrypted', 'A value that must be encrypted is not', details(leaf, place));
}

function typed(type: string, bytes: Uint8Array, leaf: Leaf, place: Place): Leaf | Comment {
  if (!isEncryptedType(type)) {
    throw new SopsError(
      'value_unknown_type',
      'An encrypted value has a type that is not known',
      details(leaf, place),
    );
  }
  if (type === 'comment') {
    // In a list an encrypted comment looks like an element; as the value of a key it makes no sense.
    if (place.container === 'sequence') return { kind: 'comment', text: decoder.decode(bytes) };
    throw new SopsError(
      'value_wrong_type',
      'The value of a key is marked as a comment',
      details(leaf, place),
    );
  }
  try {
    return leafFromBytes(type, bytes);
  } catch (error) {
    if (!(error instanceof SopsError)) throw error;
    throw new SopsError(error.code, error.message, details(leaf, place));
  }
}

// Comments are outside the MAC and may have been moved: the places around are tried, and what fits none stays sealed.
function openComment(comment: Comment, place: Place, key: DataKey): Comment {
  const value = parseEncryptedValue(comment.text);
  if (value === undefined) return { ...comment, verbatim: true };
  for (const aad of aadsAround(place)) {
    const bytes = openValue(key, value, aad);
    const text = bytes === undefined ? undefined : textOrUndefined(bytes);
    if (text !== undefined) return { ...comment, text };
  }
  return { ...comment, verbatim: true };
}

function* aadsAround({ keys, aad }: Place): Generator<string> {
  yield aad;
  for (let length = keys.length - 1; length >= 0; length -= 1) {
    yield length === 0 ? ':' : `${keys.slice(0, length).join(':')}:`;
  }
}

function textOrUndefined(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function details({ at }: Leaf | Comment, { keys }: Place): SopsErrorDetails {
  return { path: keys, ...(at === undefined ? {} : { position: at }) };
}

/**
 * The encrypted tree and its MAC.
 *
 * Throws SopsError 'unsupported' where the result could not be read again: a comment whose ciphertext would match the
 * comment rule, or an encrypted comment in a list under such a rule.
 */
export function encryptWithKey(
  tree: Tree,
  key: DataKey,
  options: {
    readonly rule: EncryptionRule;
    readonly macOnlyEncrypted: boolean;
    readonly kept: Kept;
    readonly randomBytes: RandomBytes;
  },
): { tree: Tree; mac: string } {
  const selector = ruleSelector(options.rule, 'writing');
  const mac = startMac(options);
  const encrypt = (type: EncryptedType, bytes: Uint8Array, { aad }: Place) =>
    options.kept.get(keptName(aad, type, bytes)) ??
    encryptValue(key, bytes, { aad, type, randomBytes: options.randomBytes });
  const sealed = mapTree(tree, {
    leaf(leaf, place) {
      const isEncrypted = selector.value(place);
      mac.add(leaf, isEncrypted);
      if (!isEncrypted || leaf.type === 'null' || leaf.bytes.length === 0) return leaf;
      return stringLeaf(encrypt(leaf.type, leaf.bytes, place));
    },
    comment(comment, place) {
      if (comment.verbatim === true || comment.text === '' || !selector.comment(place, comment.text))
        return comment;
      const text = encrypt('comment', encoder.encode(comment.text), place);
      refuseUnreadable(options.rule, selector, place, text);
      return place.container === 'sequence' ? stringLeaf(text) : { kind: 'comment', text };
    },
  });
  return { tree: sealed, mac: mac.finish() };
}

function refuseUnreadable(rule: EncryptionRule, selector: Selector, place: Place, text: string): void {
  if (rule.kind === 'unencrypted_comment_regex' && !selector.comment(place, text)) {
    throw new SopsError('unsupported', 'The comment rule would match an encrypted comment', {
      path: place.keys,
    });
  }
  if (rule.kind === 'encrypted_comment_regex' && place.container === 'sequence') {
    const message =
      'A comment in a list cannot be encrypted under a comment rule: SOPS could not read the file';
    throw new SopsError('unsupported', message, { path: place.keys });
  }
}

/** The ciphertexts of a file, to be used again where path, type and value are unchanged. */
export function keepCiphertexts(sealed: Tree, plain: Tree): Kept {
  const kept = new Map<string, string>();
  const texts: string[] = [];
  const ciphertext = (text: string) => {
    texts.push(text);
  };
  mapTree(sealed, {
    leaf(leaf) {
      ciphertext(decoder.decode(leaf.bytes));
      return leaf;
    },
    comment(comment) {
      ciphertext(comment.text);
      return comment;
    },
  });
  let index = 0;
  const keep = (type: string, bytes: Uint8Array, { aad }: Place) => {
    const text = texts[index] ?? '';
    index += 1;
    // A value in clear may look like a ciphertext; only what came out different has been one.
    const isCiphertext = parseEncryptedValue(text)?.exact === true && decoder.decode(bytes) !== text;
    if (isCiphertext) kept.set(keptName(aad, type, bytes), text);
  };
  mapTree(plain, {
    leaf(leaf, place) {
      keep(leaf.type, leaf.bytes, place);
      return leaf;
    },
    comment(comment, place) {
      keep('comment', encoder.encode(comment.text), place);
      return comment;
    },
  });
  return kept;
}

function keptName(aad: string, type: string, bytes: Uint8Array): string {
  return `${type}\0${aad}\0${Buffer.from(bytes).toString('latin1')}`;
}
