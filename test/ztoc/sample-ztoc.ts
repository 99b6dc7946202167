/** Ztocs from parts: valid ones by default, and as wrong as a test asks for. */
import type { EntryFields } from '../../lib/tar/entry.js';
import { GZIP } from '../../lib/ztoc/codec/gzip.js';
import { type Checkpoint, encodeGzipZinfo, WINDOW_SIZE } from '../../lib/ztoc/codec/gzip-zinfo.js';
import { encodeZtoc, type ZtocParts } from '../../lib/ztoc/encode.js';

export function entry(fields: Partial<EntryFields> = {}): EntryFields {
  return {
    name: 'file',
    type: 'reg',
    offset: 512,
    size: 0,
    headerOffset: 0,
    linkname: '',
    mode: 0o644,
    uid: 0,
    gid: 0,
    uname: '',
    gname: '',
    modTime: '2023-11-14T22:13:20Z',
    devmajor: 0,
    devminor: 0,
    pax: [],
    ...fields,
  };
}

export function checkpoint(input: number, output: number, bits = 0, fill = 0): Checkpoint {
  const window = new Uint8Array(WINDOW_SIZE);
  window.fill(fill, Math.max(0, WINDOW_SIZE - output));
  return { in: input, out: output, bits, window };
}

export const DIGEST = `sha256:${'0'.repeat(64)}`;

export interface Sample extends Omit<Partial<ZtocParts>, 'entryCount' | 'entryAt'> {
  entries?: readonly EntryFields[];
  list?: readonly Checkpoint[];
  zinfoVersion?: 1 | 2;
}

/** A gzip layer of 1 MiB holding a tar of 4 MiB, unless told otherwise. */
export function sampleZtoc(sample: Sample = {}): Uint8Array {
  const { entries = [entry()], list = [checkpoint(10, 0)], zinfoVersion = 2, ...parts } = sample;
  return encodeZtoc({
    version: '0.9',
    buildToolIdentifier: 'test',
    algorithm: GZIP.algorithm,
    compressedSize: 2 ** 20,
    uncompressedSize: 2 ** 22,
    maxSpanId: list.length - 1,
    spanDigests: list.map(() => DIGEST),
    checkpoints: encodeGzipZinfo(65_536, list, zinfoVersion),
    entryCount: entries.length,
    entryAt: index => entries[index] as EntryFields,
    ...parts,
  });
}
