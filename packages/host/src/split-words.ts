// A command line in one text, split as a shell would split it, without a shell: quotes and backslashes, nothing else.

/** The words of a text, or undefined where a quote is not closed. No variables, no globs, no substitution. */
export function splitWords(text: string): readonly string[] | undefined {
  const words: string[] = [];
  const pattern = /\s*((?:[^\s'"\\]|\\[\s\S]|'[^']*'|"(?:[^"\\]|\\[\s\S])*")+)|\s+$/y;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null) return undefined;
    if (match[1] !== undefined) words.push(unquoted(match[1]));
  }
  return words;
}

function unquoted(word: string): string {
  return word.replaceAll(/'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])/g, (_, single, double, escaped) => {
    if (single !== undefined) return single as string;
    if (double !== undefined) return (double as string).replaceAll(/\\(["\\$`])/g, '$1');
    return escaped as string;
  });
}
