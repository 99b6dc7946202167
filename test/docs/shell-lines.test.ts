/**
 * Every command line of the pages is one that the command understands: its command and options exist, and it has as
 * many operands as it takes. Nothing is run.
 */
import t from 'tap';
import { readCommandLine } from '../../lib/cli/command-line.js';
import { COMMANDS } from '../../lib/cli/commands.js';
import { blocksOf, PAGES, pageText } from './pages.js';

interface ShellLine {
  readonly where: string;
  readonly text: string;
}

/** Lines of shell, those that end in a backslash joined; of `console` the ones that somebody types. */
function shellLines(): ShellLine[] {
  return PAGES.flatMap(blocksOf)
    .filter(({ language }) => language === 'sh' || language === 'console')
    .flatMap(({ page, line, text }) => {
      const typed = text.replace(/\\\n/g, ' ').split('\n');
      return typed.map((each, index) => ({
        where: `${page}:${line + index}`,
        text: each.replace(/^\$ /, ''),
      }));
    });
}

/** `seekable-oci …` in running text and tables, where it is meant as it stands and nothing is left out. */
function inlineLines(): ShellLine[] {
  return PAGES.flatMap(page => {
    const text = pageText(page).replace(/^ *```.*?^ *```$/gms, '');
    return [...text.matchAll(/`(seekable-oci [^`]+)`/g)].map(({ 1: found = '' }) => ({
      where: page,
      text: found.replace(/\s*\n\s*/g, ' '),
    }));
  }).filter(({ text }) => !/…|COMMAND/.test(text));
}

/** The words behind each `seekable-oci` of a line, up to what ends a simple command or redirects its output. */
function commandsOf(text: string): string[][] {
  const words = [
    ...text.matchAll(/(?<!\S)\d>{1,2}|(?:"[^"]*"|'[^']*'|[^\s"'|;&<>#()]|(?<=\S)#)+|>{1,2}|[|;&<()]+|#.*/g),
  ];
  const commands: string[][] = [[]];
  for (const [word] of words) {
    if (/^(?:#|\d?>|[|;&<()])/.test(word)) commands.push([]);
    else commands.at(-1)?.push(word.replace(/["']/g, ''));
  }
  // `npm install seekable-oci` is none.
  return commands.filter(([first]) => first === 'seekable-oci').map(([, ...rest]) => rest);
}

t.test('every command line of the pages is understood', async t => {
  let count = 0;
  for (const { where, text } of shellLines()) {
    for (const words of commandsOf(text)) {
      count += 1;
      await t.resolves(readCommandLine(words), `${where}: ${text}`);
    }
  }
  t.ok(count >= 15, `${count} command lines`);
});

t.test('so is every one in running text, where a command may also be named alone', async t => {
  let count = 0;
  for (const { where, text } of inlineLines()) {
    for (const words of commandsOf(text)) {
      count += 1;
      const name = words.length === 0 || COMMANDS.has(words.join(' '));
      await t.resolves(readCommandLine(name ? [...words, '--help'] : words), `${where}: ${text}`);
    }
  }
  t.ok(count >= 5, `${count} command lines`);
});

t.test('words are found as a shell finds them', async t => {
  const line = `echo "$A" | seekable-oci ls "$B":/etc -name 'lib*' 2> error.json || seekable-oci tags x # all`;
  t.same(commandsOf(line), [
    ['ls', '$B:/etc', '-name', 'lib*'],
    ['tags', 'x'],
  ]);
  await t.rejects(readCommandLine(['ls', 'x', '--no-such-option']), { message: /Unknown option/ });
});
