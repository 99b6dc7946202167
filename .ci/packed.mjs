/**
 * Run beside an installed tarball: builds a ztoc of a small layer, and decodes a
 * span that does not begin at a member's header.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { BufferSource, buildZtoc, openLayer, Ztoc } from 'seekable-oci';

const data = Buffer.from(randomBytes(300_000).toString('hex'));
const header = Buffer.alloc(512);
header.write('etc/data', 0, 'latin1');
header.write('0000644\0', 100, 'latin1');
header.write('0000000\0', 108, 'latin1');
header.write('0000000\0', 116, 'latin1');
header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
header.write('00000000000\0', 136, 'latin1');
header.write('        0', 148, 'latin1');
header.write('ustar\u000000', 257, 'latin1');
const sum = header.reduce((total, byte) => total + byte, 0);
header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
const padding = Buffer.alloc(1024 + ((512 - (data.length % 512)) % 512));

const bytes = gzipSync(Buffer.concat([header, data, padding]));
const { ztoc } = await buildZtoc(new BufferSource(bytes), { spanSize: 65536 });
assert.ok(ztoc.spanCount > 2, `${ztoc.spanCount} spans`);
const layer = await openLayer(new BufferSource(bytes), Ztoc.decode(ztoc.encode()));
const range = { start: 500_000, endExclusive: 500_100 };
const found = await layer.readFile('/etc/data', range);
assert.deepEqual(Buffer.from(found), data.subarray(range.start, range.endExclusive));
await layer.close();
console.log(`one range read through ${ztoc.spanCount} spans`);
