import t from 'tap';
import { ByteView } from '../../lib/tar/byte-view.js';
import { DirectoryTrail } from '../../lib/tree/directory-trail.js';
import { ROOT } from '../../lib/tree/path-walk.js';
import fc from '../property.js';

function viewOf(path: string): ByteView {
  const view = new ByteView();
  view.setText(path);
  return view;
}

/** Goes to a path's directories as the overlay does; returns the paths of those that were not known. */
function walk(trail: DirectoryTrail, path: string, numbers: Map<string, number>): string[] {
  const asked: string[] = [];
  trail.follow(viewOf(path));
  while (trail.end < path.length) {
    const slash = path.indexOf('/', trail.end + 1);
    const end = slash < 0 ? path.length : slash;
    const directory = path.slice(0, end);
    asked.push(directory);
    if (!numbers.has(directory)) numbers.set(directory, numbers.size + 1);
    trail.push(viewOf(path), end, numbers.get(directory) as number);
  }
  return asked;
}

t.test('only what the last path did not lead to is asked for', async t => {
  const trail = new DirectoryTrail();
  const numbers = new Map<string, number>();
  const ask = (path: string) => walk(trail, path, numbers);
  t.strictSame(ask('usr/lib/x'), ['usr', 'usr/lib', 'usr/lib/x']);
  t.strictSame(ask('usr/lib/x'), []);
  t.strictSame(ask('usr/lib/xy'), ['usr/lib/xy'], 'a name that begins alike is another one');
  t.strictSame(ask('usr/lib'), []);
  t.strictSame(ask('usr/lib/xy'), ['usr/lib/xy'], 'what lay below is forgotten');
  t.strictSame(ask(''), []);
  t.equal(trail.node, ROOT);
  trail.clear();
  t.strictSame(ask('usr'), ['usr']);
});

t.test('whatever the paths: it ends where the last one leads', async () => {
  const names = fc.constantFrom('a', 'ab', 'b', 'long'.repeat(80));
  const paths = fc.array(
    fc.array(names, { maxLength: 5 }).map(parts => parts.join('/')),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(paths, paths => {
      const trail = new DirectoryTrail();
      const numbers = new Map<string, number>([['', ROOT]]);
      for (const path of paths) {
        walk(trail, path, numbers);
        if (trail.node !== numbers.get(path) || trail.end !== path.length) return false;
      }
      return true;
    }),
  );
});
