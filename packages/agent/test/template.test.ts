import { describe, expect, test } from 'vitest';
import { fillTemplate, parseTemplate, TemplateError } from '../src/template.ts';

const values = new Map([
  ['A', 'alpha'],
  ['QUOTED', `it's "q" \\ $HOME \`x\`\n{{ A }}`],
  ['UTF', 'é😀'],
  ['__proto__', 'data'],
]);
const render = (text: string): string => fillTemplate(parseTemplate(text), values);

describe('a template', () => {
  test.each([
    ['no placeholder', 'plain } } { {\n', 'plain } } { {\n'],
    ['nothing', '', ''],
    ['one', '{{ A }}', 'alpha'],
    ['without spaces', 'x{{A}}y', 'xalphay'],
    ['two, and text around', 'a={{ A }};b={{ A }}\n', 'a=alpha;b=alpha\n'],
    ['a value that looks like a placeholder stays as it is', '{{ QUOTED }}', values.get('QUOTED')],
    ['json', '{"q": {{ QUOTED | json }}}', `{"q": ${JSON.stringify(values.get('QUOTED'))}}`],
    ['base64', '{{ UTF|base64 }}', Buffer.from('é😀').toString('base64')],
    ['quote-sh', 'export A={{ A | quote-sh }}', "export A='alpha'"],
    ['quote-sh with quotes', '{{ QUOTED | quote-sh }}', `'it'\\''s "q" \\ $HOME \`x\`\n{{ A }}'`],
    ['a prototype’s name', '{{ __proto__ }}', 'data'],
    ['braces themselves', '{{ "{{" }} A }}', '{{ A }}'],
    ['a byte order mark and CRLF stay', '\ufeff{{ A }}\r\n', '\ufeffalpha\r\n'],
  ])('%s', (_, text, expected) => {
    expect(render(text)).toBe(expected);
  });

  test.each([
    ['an unknown key', 'one\ntwo {{ NOPE }}', 'line 2, column 5: there is no key "NOPE"'],
    [
      'a prototype’s name that is no key',
      '{{ constructor }}',
      'line 1, column 1: there is no key "constructor"',
    ],
    ['an unknown filter', 'é {{ A | upper }}', 'line 1, column 3: there is no filter "upper"'],
    [
      'a filter of the prototype',
      '{{ A | constructor }}',
      'line 1, column 1: there is no filter "constructor"',
    ],
    ['no end', '\n\n {{ A', 'line 3, column 2: there is no "}}" to this "{{"'],
    ['nothing inside', '{{ }}', 'line 1, column 1: between the braces goes a key'],
    ['two words', '{{ A B }}', 'between the braces goes a key'],
    ['a key that can be none', '{{ A-B }}', 'between the braces goes a key'],
    ['two filters', '{{ A | json | base64 }}', 'between the braces goes a key'],
    ['code', '{{ process.exit() }}', 'between the braces goes a key'],
  ])('%s is an error with its place', (_, text, message) => {
    expect(() => render(text)).toThrow(TemplateError);
    expect(() => render(text)).toThrow(message);
    expect(() => render(text)).not.toThrow('alpha');
  });
});
