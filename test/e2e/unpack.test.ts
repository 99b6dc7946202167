/** What GNU tar makes of a tar, and what we make of it: files of this machine and odd ones, as root. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { BufferSource } from '../../lib/source/buffer-source.js';
import { unpackImage } from '../../lib/unpack/unpack-image.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { type DiskEntry, walkDisk } from '../unpack/disk-walk.js';

const hasTar = spawnSync('tar', ['--version']).stdout?.toString().includes('GNU tar') === true;
const skip = process.geteuid?.() !== 0 ? 'not root' : !hasTar && 'no GNU tar';
const XATTRS = ['--xattrs', '--xattrs-include=*'];

function run(command: string, args: readonly string[], input?: Uint8Array): Buffer {
  const { stdout, stderr, status } = spawnSync(command, args, { maxBuffer: 2 ** 31 - 1, input });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}

/** Without what a file system counts for itself. */
function compared(directory: string): unknown[] {
  return walkDisk(directory).map(({ blocks: _, size, nlink, ...entry }: DiskEntry) => {
    const isDirectory = (entry.mode & 0o170000) === 0o040000;
    return isDirectory ? entry : { ...entry, size, nlink };
  });
}

t.test('unpacked as GNU tar unpacks it', { skip }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'soci-e2e-unpack-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const odd = join(folder, 'odd');
  mkdirSync(join(odd, 'closed'), { recursive: true });
  writeFileSync(join(odd, 'suid'), 'bytes');
  chownSync(join(odd, 'suid'), 12, 34);
  chmodSync(join(odd, 'suid'), 0o6755);
  linkSync(join(odd, 'suid'), join(odd, 'again'));
  writeFileSync(join(odd, 'holes'), 'start');
  truncateSync(join(odd, 'holes'), 50_000_000);
  symlinkSync('../../../etc/passwd', join(odd, 'out'));
  writeFileSync(join(odd, 'closed', 'ü\n'), '');
  run('mknod', [join(odd, 'null'), 'c', '1', '3']);
  run('mkfifo', [join(odd, 'fifo')]);
  run('python3', ['-c', `import os; os.setxattr(${JSON.stringify(join(odd, 'suid'))}, 'user.a', b'1')`]);
  chmodSync(join(odd, 'closed'), 0);
  const sources = ['-C', folder, 'odd', '-C', '/', 'etc'];
  for (const format of [['--format=pax', '-S'], ['--format=gnu', '-S'], ['--format=pax']]) {
    const forms = format.includes('--format=gnu') ? [] : XATTRS;
    const tar = run('tar', ['-c', ...format, ...forms, '--ignore-failed-read', '--sort=name', ...sources]);
    const expected = join(folder, 'expected');
    mkdirSync(expected, { mode: 0o755 });
    run('tar', ['-x', '-p', '--same-owner', '--numeric-owner', ...forms, '-C', expected], tar);
    const gzip = gzipSync(tar, { level: 1 });
    // What has sparse files has no ztoc.
    const { ztoc } = format.includes('-S') ? {} : await buildZtoc(gzip);
    const inputs =
      ztoc === undefined
        ? [{ content: gzip }]
        : [{ content: new BufferSource(gzip, 'layer'), ztoc }, { content: tar }];
    for (const input of inputs) {
      const directory = join(folder, 'ours');
      const { skipped } = await unpackImage({ target: 'merged', directory, layers: [input] });
      t.strictSame(skipped, { owners: 0, xattrs: 0, devices: 0 });
      const [wanted, found] = [compared(expected).slice(1), compared(directory).slice(1)];
      t.ok(found.length > 500);
      t.strictSame(
        found.filter((entry, i) => JSON.stringify(entry) !== JSON.stringify(wanted[i])).slice(0, 5),
        wanted.filter((entry, i) => JSON.stringify(entry) !== JSON.stringify(found[i])).slice(0, 5),
        format.join(' '),
      );
      rmSync(directory, { recursive: true });
    }
    rmSync(expected, { recursive: true });
  }
});
