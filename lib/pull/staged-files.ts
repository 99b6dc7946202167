/**
 * What is to be changed of a layout, in memory, over the layout as it is: whatever
 * edits layouts edits this, and in the end it is known what has to be written, and
 * whether anything has.
 */
import type { LayoutFiles } from '../registry/layout-files.js';
import { blobPath } from '../registry/layout-files.js';
import { LayoutRepository } from '../registry/layout-repository.js';
import { BufferSource } from '../source/buffer-source.js';
import type { RangeSource } from '../source/range-source.js';
import { PresentBlobs } from './present-blobs.js';
import type { PullContent } from './pull-content.js';

export class StagedFiles implements LayoutFiles {
  readonly name: string;
  readonly key: string;
  /** What differs from the layout as it is, by path. */
  readonly changed = new Map<string, Uint8Array>();
  readonly #files: LayoutFiles;

  constructor(files: LayoutFiles) {
    this.#files = files;
    this.name = files.name;
    this.key = `staged ${files.key}`;
  }

  async size(path: string, signal?: AbortSignal): Promise<number | undefined> {
    return this.changed.get(path)?.length ?? (await this.#files.size(path, signal));
  }

  async open(path: string, signal?: AbortSignal): Promise<RangeSource> {
    const bytes = this.changed.get(path);
    return bytes === undefined
      ? await this.#files.open(path, signal)
      : new BufferSource(bytes, `${this.name}/${path}`);
  }

  async write(
    path: string,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    const bytes = Buffer.concat(parts);
    if (this.changed.has(path) || !(await this.#has(path, bytes, signal))) this.changed.set(path, bytes);
  }

  async commit(): Promise<void> {}

  async close(): Promise<void> {}

  async #has(path: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<boolean> {
    if ((await this.#files.size(path, signal)) !== bytes.length) return false;
    const source = await this.#files.open(path, signal);
    try {
      return Buffer.compare(await source.read(0, bytes.length, { signal }), bytes) === 0;
    } finally {
      await source.close();
    }
  }
}

/** Writes all documents of an image, and lists it by `tag`; what refers to another document is listed too. */
export async function writeDocuments(
  files: LayoutFiles,
  { documents, root }: PullContent,
  tag: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const repository = new LayoutRepository(files);
  const present = new PresentBlobs(files);
  for (const { descriptor, bytes, manifest } of documents) {
    const { digest, mediaType } = descriptor;
    // The repository takes what is there, and has the right size, for what it should be.
    if ((await present.read(digest, bytes.length, signal)) === undefined)
      await files.write(blobPath(digest), [bytes], signal);
    const isRoot = digest === root.descriptor.digest;
    const where = !isRoot ? {} : tag === undefined ? { listed: true } : { tag };
    if (isRoot || manifest.subject !== undefined)
      await repository.pushManifest(bytes, mediaType, { ...where, signal });
  }
}
