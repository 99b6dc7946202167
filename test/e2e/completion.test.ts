/** The completion scripts in the shells that they are for, which are asked what they would offer. */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';

import { command } from '../cli/run-command.js';
import { needs } from './support/tools.js';
import { workspace } from './support/workspace.js';

/** What is typed: the words of a line, the last one not finished. */
type Typed = readonly string[];

/** How a shell is asked, without its user's configuration: arguments from the script's path and the words. */
const SHELLS: Readonly<Record<string, (script: string, typed: Typed) => readonly string[]>> = {
  bash: (script, typed) => [
    '--norc',
    '-c',
    `source "$0"; COMP_WORDS=(seekable-oci "$@"); COMP_CWORD=$#; _seekable_oci; printf '%s\\n' "\${COMPREPLY[@]}"`,
    script,
    ...typed,
  ],
  // compadd and _files are zsh's own, and answer to its line editor only.
  zsh: (script, typed) => [
    '-f',
    '-c',
    `compdef() { true }; source "$0"; compadd() { shift; print -l -- "$@" }; _files() { print FILES }
     words=(seekable-oci "$@"); CURRENT=$#words; _seekable_oci`,
    script,
    ...typed,
  ],
  fish: (script, typed) => [
    '--no-config',
    '-c',
    'source $argv[1]; complete -C (string join -- " " seekable-oci $argv[2..])',
    script,
    ...typed,
  ],
};

for (const [shell, asked] of Object.entries(SHELLS)) {
  t.test(`${shell} offers commands and options`, { skip: needs(shell) }, async t => {
    const script = join(await workspace(t), 'script');
    await writeFile(script, (await command(['completion', shell])).stdout);
    const offered = (...typed: string[]): string[] => {
      const { stdout, stderr, status } = spawnSync(shell, asked(script, typed), { encoding: 'utf8' });
      t.equal(status, 0, stderr);
      t.equal(stderr, '', `${shell} ${typed.join(' ')}`);
      // fish puts a description behind a tab.
      return stdout.split('\n').map(line => line.split('\t')[0] ?? '');
    };
    has(t, offered('in'), ['index', 'inspect']);
    has(t, offered('index', 'c'), ['create', 'copy']);
    has(t, offered('--quiet', 'index', 'v'), ['verify']);
    has(t, offered('ls', '--rec'), ['--recursive']);
    has(t, offered('diff', 'image', '--exit'), ['--exit-code']);
    has(t, offered('index', 'create', 'image', '--span'), ['--span-size']);
    t.notOk(offered('ls', '--span').includes('--span-size'), 'no option of another command');
    t.notOk(offered('cat', 'image', '').includes('index'), 'no command behind a command');
  });
}

function has(t: Test, offered: readonly string[], words: readonly string[]): void {
  for (const word of words) t.ok(offered.includes(word), `${word} among ${offered.slice(0, 20).join(' ')}`);
}
