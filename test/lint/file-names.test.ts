/** A file is found by its name: no two of lib/ share one, whatever their folders. */
import path from 'node:path';
import t from 'tap';
import { sourceFiles } from './library.js';

/** Names that are still shared: none may be added, and each goes when one of its files does. */
const STILL_SHARED: readonly string[] = [];

t.test('no two files of lib/ have one name', async t => {
  const byName = new Map<string, string[]>();
  for (const file of sourceFiles('lib')) {
    const name = path.posix.basename(file);
    byName.set(name, [...(byName.get(name) ?? []), file]);
  }
  const shared = [...byName].filter(([, files]) => files.length > 1);
  t.strictSame(
    shared.filter(([name]) => !STILL_SHARED.includes(name)).map(([, files]) => files),
    [],
  );
  t.strictSame(
    STILL_SHARED.filter(name => (byName.get(name)?.length ?? 0) < 2),
    [],
    'what is mended is struck off',
  );
});
