/** What is loaded for HTTP, and when. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';

const LIBRARY = new URL('../../lib/index.js', import.meta.url).href;

const PROGRAM = `
  import { createRequire } from 'node:module';
  const loaded = () => Object.keys(createRequire(import.meta.url).cache).some(file => /undici/.test(file));
  const { HttpSource } = await import(${JSON.stringify(LIBRARY)});
  const before = loaded();
  const { code } = await HttpSource.open('http://127.0.0.1:1/', { retry: { retries: 0 } }).catch(error => error);
  console.log(before, code, loaded());
`;

t.test('undici is loaded with the first request, not with the library', async t => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', PROGRAM]);
  t.equal(stdout, 'false ERR_SOCI_HTTP_NETWORK true\n');
});
