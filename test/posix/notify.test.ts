/** What a service manager is told. The receiver is Python: Node has no unix datagram sockets. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { sdNotify } from '../../lib/posix.js';
import { linuxOnly } from './linux-only.js';

const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', chr(0), 1))
print('bound', flush=True)
print(repr(s.recv(1000)), flush=True)
`;

/** In a short path: that of a socket has at most 107 bytes. */
function freshPath(t: Test): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'notify-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return path.join(folder, 'socket');
}

async function received(socket: string, send: () => void): Promise<string> {
  const child = spawn('python3', ['-c', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  send();
  const { value } = await lines.next();
  if (child.exitCode === null) await once(child, 'exit');
  return value as string;
}

t.test('a path, and a name of the abstract namespace', linuxOnly, async t => {
  const file = freshPath(t);
  const abstract = `@seekable-oci-${process.pid}`;
  t.equal(await received(file, () => t.ok(sdNotify('READY=1', file))), "b'READY=1'");
  t.equal(await received(abstract, () => t.ok(sdNotify('STATUS=ä', abstract))), "b'STATUS=\\xc3\\xa4'");
});

t.test('NOTIFY_SOCKET says where to', linuxOnly, async t => {
  const file = freshPath(t);
  t.teardown(() => {
    delete process.env['NOTIFY_SOCKET'];
  });
  process.env['NOTIFY_SOCKET'] = file;
  t.equal(await received(file, () => t.ok(sdNotify('STOPPING=1'))), "b'STOPPING=1'");
  process.env['NOTIFY_SOCKET'] = '';
  t.notOk(sdNotify('READY=1'), 'nobody');
  delete process.env['NOTIFY_SOCKET'];
  t.notOk(sdNotify('READY=1'), 'nobody');
});

t.test('a socket that is not there', linuxOnly, async t => {
  const file = freshPath(t);
  writeFileSync(file, '');
  t.throws(() => sdNotify('READY=1', `${file}-not`), {
    code: 'ENOENT',
    syscall: 'sendto',
    path: `${file}-not`,
  });
  t.throws(() => sdNotify('READY=1', file), { code: 'ECONNREFUSED' });
  t.throws(() => sdNotify('READY=1', `/${'x'.repeat(200)}`), { code: 'ENAMETOOLONG' });
});
