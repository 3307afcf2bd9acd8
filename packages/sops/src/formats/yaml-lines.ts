// YAML in the plain form that SOPS itself writes, read line by line: several times as fast as a whole YAML parser. It reads
// what it fully understands and nothing else: for any other text the answer is "undefined", and the parser decides.
import type { Entry, Leaf, SourceSpan, TreeNode } from '../tree.ts';
import type { Feature, Limits } from './format.ts';
import type { OpenMapping, OpenSequence } from './yaml-containers.ts';
import { isWordOfAnotherType, resolvePlainScalar } from './yaml-scalars.ts';

export type PlainLines = { readonly root: OpenMapping; readonly features: readonly Feature[] };

const mostLevels = 16;
/** A key that reads as a string, and what follows it on its line. */
const entryHead = /([A-Za-z_][A-Za-z0-9_.-]{0,127}):(?: (.+))?\n/y;
const element = /(.+)\n/y;
/** No sign that could begin or end anything else in YAML. Blanks and colons are looked at one by one. */
const plainText = /^[A-Za-z0-9_][A-Za-z0-9_+/=,.:@[\] -]*$/;
const quotedText = /^"[^"\\]*"$/;

/** Thrown where the text is not of the plain form; never leaves this file. */
const notPlain = Symbol('not plain');

/**
 * The one document of a text, exactly as the parser reads it, with all places; undefined where the text is not plain:
 * anything but printable ASCII, comments, flow collections, anchors, tags, escapes, values over several lines, keys twice.
 */
export function readPlainLines(bytes: Uint8Array, text: string, limits: Limits): PlainLines | undefined {
  // As long in bytes as in characters: all of it is ASCII, and places in one are places in the other.
  if (bytes.length !== text.length || !/^[\x20-\x7e\n]*\n$/.test(text)) return undefined;
  // Values are parts of this copy, so that nobody changes them by changing the file's bytes.
  const lines = new PlainReader(text, Uint8Array.from(bytes), Math.min(mostLevels, limits.maxDepth));
  try {
    return { root: lines.document(), features: lines.features };
  } catch (reason) {
    if (reason !== notPlain) throw reason;
    return undefined;
  }
}

class PlainReader {
  readonly features: Feature[] = [];
  readonly #text: string;
  readonly #bytes: Uint8Array;
  readonly #maxDepth: number;
  /** Where the next line begins, and how far it is indented. */
  #at = 0;
  #line = 1;
  #indent = 0;

  constructor(text: string, bytes: Uint8Array, maxDepth: number) {
    this.#text = text;
    this.#bytes = bytes;
    this.#maxDepth = maxDepth;
  }

  document(): OpenMapping {
    this.#measureIndent();
    const root = this.#mapping(0, this.#at, 0);
    return this.#at === this.#text.length ? root : this.#giveUp();
  }

  /** Entries in one column, the first of which begins at `start`: behind a dash, or in a line of its own. */
  #mapping(column: number, start: number, depth: number): OpenMapping {
    if (depth > this.#maxDepth) this.#giveUp();
    const at = this.#span(start, start);
    const items: Entry[] = [];
    const seen = new Set<string>();
    for (let entryStart = start; ; entryStart = this.#at + column) {
      const entry = this.#entry(column, entryStart, depth);
      if (seen.has(entry.key)) this.#giveUp();
      seen.add(entry.key);
      items.push(entry);
      if (this.#indent !== column || this.#at === this.#text.length) break;
    }
    if (this.#indent > column) this.#giveUp();
    return { kind: 'mapping', items, at: { ...at, end: this.#at } };
  }

  #entry(column: number, start: number, depth: number): Entry {
    const [, key = '', rest] = this.#match(entryHead, start);
    if (isWordOfAnotherType(key)) this.#giveUp();
    const at = this.#span(start, start + key.length);
    const valueAt = this.#span(at.end + 2, at.end + 2 + (rest ?? '').length);
    this.#nextLine(entryHead.lastIndex);
    if (rest === '|') return { kind: 'entry', key, at, value: this.#literal(column, valueAt) };
    if (rest !== undefined) {
      if (this.#indent > column) this.#giveUp();
      return { kind: 'entry', key, at, value: this.#scalar(rest, valueAt) };
    }
    const before = this.features.length;
    const value = this.#container(column, depth + 1);
    // Containers are the normal form of the sops block.
    if (depth === 0 && key === 'sops') this.features.length = before;
    else this.features.push({ kind: value.kind, at });
    return { kind: 'entry', key, at, value };
  }

  #container(column: number, depth: number): OpenMapping | OpenSequence {
    if (this.#indent <= column) this.#giveUp();
    const start = this.#at + this.#indent;
    return this.#text.startsWith('- ', start)
      ? this.#sequence(this.#indent, depth)
      : this.#mapping(this.#indent, start, depth);
  }

  #sequence(column: number, depth: number): OpenSequence {
    if (depth > this.#maxDepth) this.#giveUp();
    const start = this.#at + column;
    const at = this.#span(start, start);
    const items: TreeNode[] = [];
    while (this.#indent === column && this.#text.startsWith('- ', this.#at + column)) {
      items.push(this.#element(column, depth + 1));
    }
    if (this.#indent >= column) this.#giveUp();
    return { kind: 'sequence', items, at: { ...at, end: this.#at } };
  }

  #element(column: number, depth: number): TreeNode {
    const start = this.#at + column + 2;
    entryHead.lastIndex = start;
    if (entryHead.test(this.#text)) return this.#mapping(column + 2, start, depth);
    const [, text = ''] = this.#match(element, start);
    const span = this.#span(start, start + text.length);
    this.#nextLine(element.lastIndex);
    if (this.#indent > column) this.#giveUp();
    return this.#scalar(text, span);
  }

  /** A block of text: all lines that are indented as its first one, without that indentation. */
  #literal(column: number, at: SourceSpan): Leaf {
    const indent = this.#indent;
    if (indent <= column) this.#giveUp();
    const content: string[] = [];
    while (this.#indent >= indent) {
      const end = this.#text.indexOf('\n', this.#at);
      content.push(this.#text.slice(this.#at + indent, end + 1));
      this.#nextLine(end + 1);
    }
    if (this.#indent > column) this.#giveUp();
    const bytes = Buffer.from(content.join(''), 'latin1');
    return { kind: 'leaf', type: 'str', bytes, style: 'literal', at: { ...at, end: this.#at } };
  }

  #scalar(text: string, at: SourceSpan): Leaf {
    const first = text.charCodeAt(0);
    if (first === 0x22) {
      if (!quotedText.test(text)) this.#giveUp();
      return this.#string('double', at, 1);
    }
    const ends = text.charCodeAt(text.length - 1);
    if (ends === 0x20 || ends === 0x3a || !plainText.test(text) || text.includes(': ')) this.#giveUp();
    if (first > 0x39 && !isWordOfAnotherType(text)) return this.#string('plain', at, 0);
    const leaf = resolvePlainScalar(text);
    return leaf === 'too_large' ? this.#giveUp() : { ...leaf, style: 'plain', at };
  }

  #string(style: 'plain' | 'double', at: SourceSpan, quotes: 0 | 1): Leaf {
    const bytes = this.#bytes.subarray(at.start + quotes, at.end - quotes);
    return { kind: 'leaf', type: 'str', bytes, style, at };
  }

  #match(pattern: RegExp, at: number): RegExpExecArray {
    pattern.lastIndex = at;
    return pattern.exec(this.#text) ?? this.#giveUp();
  }

  #nextLine(start: number): void {
    this.#at = start;
    this.#line += 1;
    this.#measureIndent();
  }

  /** At the end of the text nothing is indented, and less than everything: -1. */
  #measureIndent(): void {
    let at = this.#at;
    while (this.#text.charCodeAt(at) === 0x20) at += 1;
    // An empty line is content of a block, or nothing; the parser knows.
    if (this.#text.charCodeAt(at) === 0x0a) this.#giveUp();
    this.#indent = at === this.#text.length ? -1 : at - this.#at;
  }

  #span(start: number, end: number): SourceSpan {
    return { line: this.#line, column: start - this.#at + 1, start, end };
  }

  #giveUp(): never {
    throw notPlain;
  }
}
