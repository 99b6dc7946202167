/** The scripts for shells: every command and option, as the command table has them. */
import { spawnSync } from 'node:child_process';
import t from 'tap';

import { allOptions } from '../../lib/cli/command.js';
import { COMMANDS } from '../../lib/cli/commands.js';
import { command, fails } from './run-command.js';

async function script(shell: string): Promise<string> {
  return (await command(['completion', shell])).stdout.toString();
}

t.test('every command with every option is in each', async t => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const text = await script(shell);
    for (const [name, { load }] of COMMANDS) {
      for (const word of name.split(' ')) t.ok(text.includes(word), `${shell} ${word}`);
      for (const option of Object.keys(allOptions(await load()))) {
        t.ok(text.includes(shell === 'fish' ? `-l ${option}` : `--${option}`), `${shell} --${option}`);
      }
    }
  }
  fails(t, await command(['completion', 'csh']), 'ERR_SOCI_INVALID_ARGUMENT', 2);
});

t.test('bash completes with it', async t => {
  const source = await script('bash');
  const complete = (...words: string[]): string[] => {
    const line = ['seekable-oci', ...words].map(word => `'${word}'`).join(' ');
    const run = `${source}\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length}; _seekable_oci; echo "\${COMPREPLY[*]}"`;
    const { stdout, stderr, status } = spawnSync('bash', ['-uc', run], { encoding: 'utf8' });
    t.equal(status, 0, stderr);
    return stdout.trim().split(' ');
  };
  t.same(complete('l'), ['ls', 'load-order']);
  t.same(complete('load-order', 'd'), ['derive']);
  t.same(complete('index', 'c'), ['create', 'copy']);
  t.same(complete('--quiet', 'index', 'v'), ['verify']);
  t.same(complete('ls', '--rec'), ['--recursive']);
  t.same(complete('index', 'create', 'image', '--span'), ['--span-size']);
  t.same(complete('ls', '--span'), ['']);
});
