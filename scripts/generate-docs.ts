// Writes docs/commands.md, docs/errors.md and docs/openapi.yaml from the code; with --check only says whether they are current.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CommandDefinition } from '../packages/cli/src/command.ts';
import { commands as all } from '../packages/cli/src/commands.ts';
import { exitCodes } from '../packages/cli/src/exit-codes.ts';
import { globalOptions } from '../packages/cli/src/global-options.ts';
import { usageLine } from '../packages/cli/src/usage-line.ts';
import { type ErrorClass, errorClasses, errorTable } from '../packages/core/src/errors.ts';
import { openApiPage } from './openapi.ts';

const commands = all.filter(({ hidden }) => hidden !== true);
const note = 'Generated from the code by `npm run docs`; do not edit.';

function commandsPage(): string {
  const index = commands.map(
    ({ name, summary }) => `| [\`clef ${name}\`](#clef-${name.replace(' ', '-')}) | ${summary} |`,
  );
  const globals = globalOptions.map((option) => optionLine(option));
  return [
    '# Commands',
    note,
    'Everything that works on a cell takes `NAMESPACE/ENVIRONMENT`. Data goes to stdout, talk to stderr. These options work with every command:',
    globals.join('\n'),
    ['| command | what it does |', '| --- | --- |', ...index].join('\n'),
    ...commands.map(commandSection),
  ].join('\n\n');
}

function commandSection(command: CommandDefinition): string {
  const usage = usageLine(command, command.options?.length ? ['[options]'] : []);
  const examples = (command.examples ?? []).map(({ line, does }) => `# ${does}\n${line}`);
  return [
    `## clef ${command.name}`,
    `${command.summary}.`,
    `\`\`\`text\n${usage}\n\`\`\``,
    ...(command.details === undefined ? [] : [command.details]),
    ...section((command.arguments ?? []).map(({ name, summary }) => `- \`${name}\`: ${summary}`)),
    ...section((command.options ?? []).map(optionLine)),
    ...(examples.length === 0 ? [] : [`\`\`\`sh\n${examples.join('\n\n')}\n\`\`\``]),
  ].join('\n\n');
}

function section(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [lines.join('\n')];
}

function optionLine(option: {
  readonly flag: string;
  readonly value?: string;
  readonly summary: string;
  readonly repeatable?: boolean;
}): string {
  const again = option.repeatable ? ' (may be repeated)' : '';
  return `- \`${option.flag}${option.value === undefined ? '' : ` <${option.value}>`}\`: ${option.summary}${again}`;
}

function errorsPage(): string {
  const rows = Object.entries(errorTable).map(([code, row]) => ({
    code,
    ...row,
    exit: exitCodes[row.class as ErrorClass],
  }));
  const ordered = rows.sort(
    (a, b) => a.exit - b.exit || errorClasses.indexOf(a.class) - errorClasses.indexOf(b.class),
  );
  return [
    '# Errors',
    note,
    'Every error is one of these codes. With `--json` it is one JSON object on stderr: `{ "error": { "class", "code", "message", "hint", "location", "faults" } }`. `clef exec` gives 125 for every failure of its own, whatever the class.',
    [
      '| exit | class | code | meaning |',
      '| --- | --- | --- | --- |',
      ...ordered.map((row) => `| ${row.exit} | ${row.class} | \`${row.code}\` | ${row.meaning} |`),
    ].join('\n'),
  ].join('\n\n');
}

const pages: readonly (readonly [name: string, text: string])[] = [
  ['commands.md', `${commandsPage()}\n`],
  ['errors.md', `${errorsPage()}\n`],
  ['openapi.yaml', openApiPage()],
];

for (const [name, content] of pages) {
  const path = fileURLToPath(new URL(`../docs/${name}`, import.meta.url));
  if (!process.argv.includes('--check')) writeFileSync(path, content);
  else if (readFileSync(path, 'utf8') !== content) {
    process.stderr.write(`docs/${name} is out of date: run "npm run docs"\n`);
    process.exitCode = 1;
  }
}
