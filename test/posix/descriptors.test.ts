/** File descriptors that are passed over a socket. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { receiveDescriptors, sendDescriptors, socketPair } from '../../lib/posix.js';
import { linuxOnly } from './linux-only.js';

t.test('a descriptor arrives as another of the same file', linuxOnly, async t => {
  const root = t.testdir({ a: 'first', b: 'second' });
  const files = ['a', 'b'].map(name => openSync(path.join(root, name), 'r'));
  const [near, far] = socketPair();
  const buffer = new Uint8Array(100);
  t.throws(() => receiveDescriptors(far, buffer), { code: 'EAGAIN', syscall: 'recvmsg' });
  t.equal(sendDescriptors(near, Buffer.from('two'), files), 3);
  t.equal(sendDescriptors(near, Buffer.from('none'), []), 4);
  for (const fd of files) closeSync(fd);
  const first = receiveDescriptors(far, buffer);
  t.equal(Buffer.from(first?.data ?? []).toString(), 'two');
  t.strictSame(
    first?.descriptors.map(fd => readFileSync(fd, 'utf8')),
    ['first', 'second'],
  );
  t.match(receiveDescriptors(far, buffer), { data: Buffer.from('none'), descriptors: [] });
  for (const fd of first?.descriptors ?? []) closeSync(fd);
  closeSync(near);
  t.equal(receiveDescriptors(far, buffer), undefined, 'the end');
  t.throws(() => sendDescriptors(far, Buffer.from('x'), []), { code: 'EPIPE', syscall: 'sendmsg' });
  closeSync(far);
});

t.test('a message that does not fit leaves no descriptor open', linuxOnly, async t => {
  const [near, far] = socketPair();
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  sendDescriptors(near, Buffer.from('longer than that'), [near]);
  t.throws(() => receiveDescriptors(far, new Uint8Array(3)), { code: 'EMSGSIZE' });
  t.equal(open(), before);
  closeSync(near);
  closeSync(far);
});

t.test('what cannot be sent', linuxOnly, async t => {
  const [near, far] = socketPair();
  const byte = Buffer.from('x');
  const file = openSync(path.join(t.testdir({ file: '' }), 'file'), 'r');
  t.throws(() => sendDescriptors(near, byte, [-1]), { code: 'EBADF' });
  t.throws(() => sendDescriptors(file, byte, []), { code: 'ENOTSOCK' });
  t.throws(() => sendDescriptors(near, new Uint8Array(0), []), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  t.throws(() => receiveDescriptors(near, new Uint8Array(0)), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  t.throws(() => sendDescriptors(near, byte, new Array(254).fill(file)), TypeError);
  t.ok(fstatSync(near).isSocket());
  for (const fd of [near, far, file]) closeSync(fd);
});
