/** Generated layers: the headers of regular files, from the writer of the library. */
import { encodeArchiveEnd, encodeFileHeader, encodePadding } from '../lib/tar/header-writer.js';

export function tarHeader(name: string, size: number): Uint8Array {
  return encodeFileHeader({ name, size });
}

/** Header, data, and padding to the next block. */
export function tarFile(name: string, data: Uint8Array): Buffer {
  return Buffer.concat([tarHeader(name, data.length), data, encodePadding(data.length)]);
}

export const tarTrailer: Uint8Array = encodeArchiveEnd();
