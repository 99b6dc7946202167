/** Error codes are part of the interface: each is documented, and none that does not exist. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { ERROR_CODES } from '../../lib/errors.js';
import { pageText } from './pages.js';

// Compiled tests run from .test-build/test/docs.
const page = readFileSync(path.join(import.meta.dirname, '../../../docs/api.md'), 'utf8');

t.test('docs/api.md lists every error code once', async t => {
  const listed = [...page.matchAll(/^\| `(ERR_SOCI_[A-Z_]+)` \|/gm)].map(([, code]) => code);
  t.strictSame([...listed].sort(), [...ERROR_CODES].sort());
});

t.test('docs/troubleshooting.md says of every code what to do, and of none that there is not', async t => {
  const rows = pageText('docs/troubleshooting.md')
    .split('\n')
    .filter(line => /^\|.*\|$/.test(line));
  const named = rows.flatMap(row => {
    const [, cause = ''] = row.split(/(?<!\\)\|/);
    return cause.match(/ERR_SOCI_[A-Z_]+/g) ?? [];
  });
  t.strictSame([...new Set(named)].sort(), ERROR_CODES.filter(code => code.startsWith('ERR_SOCI_')).sort());
  // Message, cause, cure.
  for (const row of rows) t.equal(row.split(/(?<!\\)\|/).length, 5, row);
});
