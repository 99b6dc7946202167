/**
 * ERR_SOCI_INVALID_ARGUMENT has one form of words, which lib/errors.ts knows:
 * nothing else makes such an error by its code.
 */
import t from 'tap';
import ts from 'typescript';
import { nodesOf, parseFile, sourceFiles, whereIs } from './library.js';

const CODE = 'ERR_SOCI_INVALID_ARGUMENT';

/** Who may name the code, and why. */
const ALLOWED: Readonly<Record<string, string>> = {
  'lib/errors.ts': 'the form itself',
  'lib/native-failure.ts': 'what the addon reports is a call out of order, not an argument',
  'lib/cli/command.ts': 'a command line is no call: its errors say which option',
};

/** Files that still word it themselves: none may be added, and each goes when it is mended. */
const STILL: readonly string[] = [];

t.test('arguments are refused in one form of words', async t => {
  const made = new Map<string, string>();
  for (const name of sourceFiles('lib')) {
    for (const node of nodesOf(parseFile(name))) {
      if (ts.isStringLiteralLike(node) && node.text === CODE) made.set(name, whereIs(node));
    }
  }
  for (const [name, where] of made) {
    if (!(name in ALLOWED) && !STILL.includes(name)) t.fail(`${where}: invalidArgument() words this`);
  }
  t.strictSame(
    [...Object.keys(ALLOWED), ...STILL].filter(name => !made.has(name)),
    [],
    'what is mended is struck off',
  );
});
