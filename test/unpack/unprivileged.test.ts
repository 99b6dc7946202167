/** Not root: what only root may set is left out and counted, and what would show something else is an error. */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { listDisk, walkDisk } from './disk-walk.js';
import { IS_ROOT, scratchFolder } from './fixture.js';
import { tarOf } from './sample-tar.js';

const NOBODY = 65_534;
const LAYERS = [
  tarOf([
    { name: 'closed/', type: 'dir', mode: 0o500, uid: 3 },
    { name: 'closed/suid', mode: 0o4755, uid: 3, body: 'bytes' },
    { name: 'closed/none/', type: 'dir', mode: 0 },
    'closed/none/f',
    'gone',
    'null c1,3',
  ]),
  tarOf(['.wh.gone', 'closed/.wh..wh..opq']),
];

t.test(
  'without privileges',
  { skip: !IS_ROOT && 'not root, and so not able to become somebody else' },
  async t => {
    const folder = scratchFolder(t);
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, 'home'));
    chownSync(join(folder, 'home'), NOBODY, NOBODY);
    for (const [i, layer] of LAYERS.entries()) writeFileSync(join(folder, `${i}.tar`), layer);
    const unpack = (target: string, name: string): { readonly skipped?: object } => {
      const script = `
      import { readFileSync } from 'node:fs';
      const { unpackImage } = await import(${JSON.stringify(import.meta.resolve('../../lib/unpack/unpack-image.js'))});
      const layers = [0, 1].map(i => ({ content: readFileSync(${JSON.stringify(folder)} + '/' + i + '.tar') }));
      const directory = ${JSON.stringify(join(folder, 'home', name))};
      const { skipped } = await unpackImage({ target: ${JSON.stringify(target)}, directory, layers });
      console.log(JSON.stringify({ skipped }));`;
      const args = ['--input-type=module', '-e', script];
      const { stdout, stderr } = spawnSync(process.execPath, args, { uid: NOBODY, gid: NOBODY });
      if (stdout.length === 0) throw new Error(stderr.toString());
      return JSON.parse(stdout.toString());
    };
    await t.test('merged', async t => {
      const { skipped } = unpack('merged', 'merged');
      t.match(skipped, { xattrs: 0, devices: 1 });
      const found = new Map(walkDisk(join(folder, 'home', 'merged')).map(entry => [entry.path, entry]));
      t.strictSame([...found.keys()], ['', 'closed']);
      t.match(found.get('closed'), { mode: 0o040500, uid: NOBODY });
    });
    await t.test('overlay', async t => {
      const { skipped } = unpack('overlay', 'overlay');
      t.match(skipped, { xattrs: 0, devices: 1 });
      const directory = join(folder, 'home', 'overlay');
      t.strictSame(listDisk(join(directory, '0')), [
        'closed/',
        'closed/none/',
        'closed/none/f ',
        'closed/suid bytes',
        'gone ',
      ]);
      t.strictSame(listDisk(join(directory, '1')), ['closed/', 'gone c0,0']);
      const found = new Map(walkDisk(directory).map(entry => [entry.path, entry]));
      t.equal((found.get('0/closed/suid')?.mode ?? 0) & 0o7777, 0o755, 'it would run as somebody else');
      t.strictSame(found.get('1/closed')?.xattrs, { 'user.overlay.opaque': 'y' });
    });
  },
);
