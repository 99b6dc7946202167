/**
 * The words of a simple shell command, as far as they are certain: what a
 * Dockerfile's `CMD python app.py` is wrapped into (`/bin/sh -c`), and what
 * package.json has as scripts. A word that needs a shell to know (`$(…)`,
 * variables without a value) is not guessed.
 */

/** Longer commands are programs of their own. */
const MAX_COMMAND = 16 * 1024;
/** What ends a simple command (POSIX, Shell Command Language, 2.9). */
const OPERATORS: ReadonlySet<string> = new Set(['&&', '||', ';', '&', '|', '\n']);
const TOKEN =
  /\s*(?:#[^\n]*|(\n|&&|\|\||[;&|]|\d?>{1,2}&?|<)|((?:[^\s"'\\;&|<>]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+))/sy;

/**
 * The simple commands of a line, each as its words without assignments before it and redirections; those from a word on
 * that nobody knows are left out.
 */
export function simpleCommands(line: string, env: ReadonlyMap<string, string>): string[][] {
  const commands: string[][] = [[]];
  let redirected = false;
  for (const token of tokens(line)) {
    const words = commands.at(-1) as string[];
    if (OPERATORS.has(token.operator ?? '')) commands.push([]);
    else if (token.operator !== undefined) redirected = true;
    else if (redirected) redirected = false;
    else if (words.length > 0 || !/^[A-Za-z_]\w*=/.test(token.word)) words.push(token.word);
  }
  return commands.map(words => known(words, env)).filter(({ length }) => length > 0);
}

interface Token {
  readonly operator: string | undefined;
  readonly word: string;
}

function* tokens(line: string): Generator<Token, void, undefined> {
  const text = line.slice(0, MAX_COMMAND).replaceAll('\\\n', '');
  const pattern = new RegExp(TOKEN);
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    // A quote that never ends, or another thing that is no word.
    if (match === null || match[0] === '') return;
    const [, operator, word] = match;
    if (operator !== undefined || word !== undefined) yield { operator, word: word ?? '' };
  }
}

/** Words with quotes removed and variables replaced, up to the first that is not known. */
function known(words: readonly string[], env: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const word of words) {
    const text = expanded(word, env);
    if (text === undefined) break;
    found.push(text);
  }
  return found;
}

const PIECE = /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^'"\\]+)/gs;

function expanded(word: string, env: ReadonlyMap<string, string>): string | undefined {
  const pieces = Array.from(
    word.matchAll(PIECE),
    ([, single, double, escaped, bare]) =>
      single ?? escaped ?? variables(double?.replace(/\\(["\\])/g, '$1') ?? bare ?? '', env),
  );
  return pieces.includes(undefined) ? undefined : pieces.join('');
}

/** With `$NAME` and `${NAME}` replaced; undefined where that takes a shell. */
function variables(text: string, env: ReadonlyMap<string, string>): string | undefined {
  const replaced = text.replace(
    /\$(?:(\w+)|\{(\w+)\})/g,
    (all, name, braced) => env.get(name ?? braced) ?? all,
  );
  return /[$`*?[]/.test(replaced) ? undefined : replaced;
}
