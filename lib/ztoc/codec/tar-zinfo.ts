/**
 * The zinfo of an uncompressed layer: a flatbuffer of its own inside the ztoc,
 * TarZinfo { version, span_size, size }. Spans are plain slices of span_size bytes.
 */
import { Builder } from 'flatbuffers';
import { SociError } from '../../errors.js';
import { FlatBuffer } from '../flatbuffer-table.js';
import { Slot } from '../schema.js';

const TAR_ZINFO_VERSION = 2;

export interface TarZinfo {
  /** Bytes per span, > 0. */
  readonly spanSize: number;
  /** Bytes of the layer. */
  readonly size: number;
}

/** @throws SociError ERR_SOCI_ZTOC_FORMAT, ERR_SOCI_ZTOC_INVALID */
export function decodeTarZinfo(bytes: Uint8Array): TarZinfo {
  const buffer = new FlatBuffer(bytes, "ztoc's TarZinfo");
  const root = buffer.root();
  const version = buffer.int32(root, Slot.tarZinfo.version);
  const spanSize = buffer.int64(root, Slot.tarZinfo.spanSize);
  const size = buffer.int64(root, Slot.tarZinfo.size);
  if (version !== TAR_ZINFO_VERSION) {
    const message = `the ztoc's TarZinfo has version ${version}, expected ${TAR_ZINFO_VERSION}`;
    throw new SociError('ERR_SOCI_ZTOC_FORMAT', message, {
      data: { expected: TAR_ZINFO_VERSION, found: version },
    });
  }
  if (spanSize <= 0 || size < 0) {
    const message = `the ztoc contradicts itself: spans of ${spanSize} bytes in a layer of ${size}`;
    throw new SociError('ERR_SOCI_ZTOC_INVALID', message, { data: { spanSize, size } });
  }
  return { spanSize, size };
}

export function encodeTarZinfo({ spanSize, size }: TarZinfo): Uint8Array {
  const builder = new Builder(64);
  builder.startObject(3);
  builder.addFieldInt32(Slot.tarZinfo.version, TAR_ZINFO_VERSION, 0);
  builder.addFieldInt64(Slot.tarZinfo.spanSize, BigInt(spanSize), 0n);
  builder.addFieldInt64(Slot.tarZinfo.size, BigInt(size), 0n);
  builder.finish(builder.endObject());
  return builder.asUint8Array().slice();
}

export function tarSpanCount({ spanSize, size }: TarZinfo): number {
  return Math.ceil(size / spanSize);
}
