/** The words of simple commands: what is certain of them, and nothing that takes a shell to know. */
import t from 'tap';
import { simpleCommands } from '../../lib/load-order/shell-words.js';
import fc from '../property.js';

const ENV = new Map([
  ['HOME', '/home/app'],
  ['APP', 'server.js'],
]);

t.test('words, quotes, variables, operators', async t => {
  const cases: readonly (readonly [string, readonly (readonly string[])[]])[] = [
    ['python app.py', [['python', 'app.py']]],
    ['  exec  node "$APP" --x=1  ', [['exec', 'node', 'server.js', '--x=1']]],
    [`echo 'a b' "c d" e\\ f`, [['echo', 'a b', 'c d', 'e f']]],
    ['A=1 B="x y" run', [['run']]],
    ['cd /app && ./start; done', [['cd', '/app'], ['./start'], ['done']]],
    ['a | b || c & d', [['a'], ['b'], ['c'], ['d']]],
    ['run > /dev/null 2>&1 < in arg', [['run', 'arg']]],
    ['run # comment', [['run']]],
    ['run a#b', [['run', 'a#b']]],
    [`node \${HOME}/x.js`, [['node', '/home/app/x.js']]],
    [`say '$HOME'`, [['say', '$HOME']]],
    ['exec "$@"', [['exec']]],
    ['run ok $(date) more', [['run', 'ok']]],
    [`run ok \${X:-default}`, [['run', 'ok']]],
    ['run *.js', [['run']]],
    ['$UNKNOWN x', []],
    ['run "never ends', [['run']]],
    ['run a \\\n b', [['run', 'a', 'b']]],
    ['', []],
  ];
  for (const [text, expected] of cases) t.strictSame(simpleCommands(text, ENV), expected, text);
});

t.test('any text is words, in no time', async t => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), text => Array.isArray(simpleCommands(text, ENV))));
  for (const text of ['"', "'", '\\', '$', ' ', '"a', '(', '&', 'x"'].map(each => each.repeat(100_000))) {
    t.ok(simpleCommands(text, ENV).length <= 16 * 1024);
  }
});
