/** What is said on standard error while something takes long: bars on a terminal, lines elsewhere. */
import { PassThrough } from 'node:stream';
import t from 'tap';

import { Reporter, type ReporterOptions } from '../../lib/cli/reporter.js';

function reporter(
  options: Omit<ReporterOptions, 'stream'> & { readonly terminal?: boolean; readonly columns?: number },
) {
  const { terminal = false, columns = 60, ...rest } = options;
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY: terminal, columns });
  const made = new Reporter({ ...rest, stream });
  return { made, text: (): string => stream.read() ?? '' };
}

t.test('elsewhere than on a terminal there are lines and no bars', async t => {
  const { made, text } = reporter({});
  made.progress('a', 'layer', 1, 10);
  t.equal(text(), '');
  made.line('one');
  made.line('evil\u001b[2J\nname');
  made.endBar('a');
  made.close();
  t.equal(text(), 'one\nevil\\x1b[2J\\x0aname\n');
});

t.test('on a terminal bars stay below the lines, and are gone in the end', async t => {
  const { made, text } = reporter({ terminal: true });
  made.progress('a', 'first', 5, 10);
  t.match(text(), /^first █+░+ 50%/);
  made.progress('b', 'second', 0, 10);
  t.equal(text(), '', 'not redrawn at once');
  made.line('a line');
  const drawn = text();
  t.ok(drawn.startsWith('\u001b[1A\r\u001b[Ja line\n'), 'the one row is cleared, the line is in its place');
  t.match(drawn, /\nfirst .*\nsecond .*\n$/);
  t.ok(
    drawn.split('\n').every(row => row.length < 60 + 8),
    'no row is wider than the terminal',
  );
  made.endBar('a');
  t.ok(text().startsWith('\u001b[2A\r\u001b[Jsecond '));
  made.close();
  t.equal(text(), '\u001b[1A\r\u001b[J');
  made.close();
  t.equal(text(), '');
});

t.test('quiet says nothing, debug is only said on request', async t => {
  const silent = reporter({ quiet: true, terminal: true });
  silent.made.line('x');
  silent.made.progress('a', 'x', 1, 2);
  silent.made.debug('x');
  silent.made.close();
  t.equal(silent.text(), '');
  const talkative = reporter({ debug: true });
  talkative.made.debug('a\nb\u001b');
  t.equal(talkative.text(), 'debug: a\ndebug: b\\x1b\n');
});
