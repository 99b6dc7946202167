/** A tar of regular files, as a stream: whatever writes archives of images writes them with this. */
import { encodeArchiveEnd, encodeFileHeader, encodePadding, type TarFile } from './header-writer.js';

export interface StreamedFile extends TarFile {
  /** Its data, `size` bytes of them; asked for when all before it has been taken. */
  content(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export async function* archiveStream(
  files: AsyncIterable<StreamedFile> | Iterable<StreamedFile>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const file of files) {
    yield encodeFileHeader(file);
    yield* file.content();
    yield encodePadding(file.size);
  }
  yield encodeArchiveEnd();
}
