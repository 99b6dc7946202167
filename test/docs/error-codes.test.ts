/** Error codes are part of the interface: each is documented, and none that does not exist. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { ERROR_CODES } from '../../lib/errors.js';

// Compiled tests run from .test-build/test/docs.
const page = readFileSync(path.join(import.meta.dirname, '../../../docs/api.md'), 'utf8');

t.test('docs/api.md lists every error code once', async t => {
  const listed = [...page.matchAll(/^\| `(ERR_SOCI_[A-Z_]+)` \|/gm)].map(([, code]) => code);
  t.strictSame([...listed].sort(), [...ERROR_CODES].sort());
});
