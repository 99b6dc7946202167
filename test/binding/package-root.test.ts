import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { PACKAGE_ROOT, packageRootOf } from '../../lib/package-root.js';

function folder(t: Test, files: Readonly<Record<string, object>>): string {
  const root = t.testdir();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(root, dirname(name)), { recursive: true });
    writeFileSync(join(root, name), JSON.stringify(content));
  }
  return root;
}

t.test('from its own files, the package is above', async t => {
  const root = folder(t, {
    'package.json': { name: 'seekable-oci', version: '7.8.9' },
    'dist/package.json': {},
  });
  t.same(packageRootOf(join(root, 'dist/deep/down/file.js')), { directory: root, version: '7.8.9' });
  t.match(PACKAGE_ROOT, { version: /^\d+\.\d+\.\d+/ });
});

t.test('code on the command line, where every module is given a __filename, finds it too', async t => {
  const { href } = pathToFileURL(join(import.meta.dirname, '../../lib/package-root.js'));
  const script = `import('${href}').then(({ PACKAGE_ROOT }) => console.log(PACKAGE_ROOT.directory))`;
  const found = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', cwd: '/' });
  t.equal(found.trim(), PACKAGE_ROOT.directory);
});

t.test('from a bundle, it is what is installed beside it, and never the package of the bundle', async t => {
  const root = folder(t, {
    'package.json': { name: 'app', version: '1.0.0' },
    'node_modules/seekable-oci/package.json': {
      name: 'seekable-oci',
      version: '4.5.6',
      exports: { './package.json': './package.json' },
    },
  });
  const directory = join(root, 'node_modules/seekable-oci');
  t.same(packageRootOf(join(root, 'out/bundle.js')), { directory, version: '4.5.6' });
});

t.test('where it is nowhere, the error says what to do', async t => {
  t.throws(() => packageRootOf('/nowhere/out/bundle.js'), {
    code: 'ERR_SOCI_ADDON',
    message: /--external:seekable-oci/,
    data: { directory: '/nowhere/out' },
  });
});
