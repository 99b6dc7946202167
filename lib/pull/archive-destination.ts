/**
 * What `oci-archive:FILE` and `docker-archive:FILE` have in common: blobs that
 * arrive in any order, written in that of the archive, and one pull at a time that
 * replaces the file.
 */
import { abortable } from '../async/abortable.js';
import type { FileTurn } from '../files/locked-file.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { LayoutFiles } from '../registry/layout-files.js';
import { blobPath } from '../registry/layout-files.js';
import { BufferSource } from '../source/buffer-source.js';
import { FileSource } from '../source/file-source.js';
import type { RangeSource } from '../source/range-source.js';
import { type ArchivePart, ArchiveWriting } from './archive-writing.js';
import { PresentBlobs } from './present-blobs.js';
import type { PullContent } from './pull-content.js';
import type { PullDestination, PullDestinationOptions, PulledBlob } from './pull-target.js';

type OpenPart = ArchivePart['open'];

/** What is written of an image; undefined when the archive is as it should be already. */
export type ArchivePlan = (
  content: PullContent,
  parts: ArchiveParts,
) => Promise<readonly ArchivePart[] | undefined>;

export interface ArchivePlace {
  readonly name: string;
  readonly path: string;
  /** What was there, as a layout: closed with the destination. */
  readonly files: LayoutFiles;
  readonly plan: ArchivePlan;
  /** A layer that is not to be had. @throws where the archive cannot be without it */
  leaveOut(descriptor: Descriptor): void;
}

/** What a plan makes its parts of. */
export class ArchiveParts {
  readonly #files: LayoutFiles;
  readonly #lacking: ReadonlySet<string>;
  readonly #arrivals = new Map<string, Promise<OpenPart | undefined>>();
  readonly #settle = new Map<string, (open: OpenPart | undefined) => void>();

  constructor(files: LayoutFiles, lacking: readonly Descriptor[]) {
    this.#files = files;
    this.#lacking = new Set(lacking.map(({ digest }) => digest));
    for (const digest of this.#lacking) {
      const arrival = new Promise<OpenPart | undefined>(resolve => this.#settle.set(digest, resolve));
      this.#arrivals.set(digest, arrival);
    }
  }

  /** Whether everything is in the archive that is there. */
  get complete(): boolean {
    return this.#lacking.size === 0;
  }

  blob(name: string, { digest, size }: Pick<Descriptor, 'digest' | 'size'>): ArchivePart {
    const arrival = this.#arrivals.get(digest);
    if (arrival === undefined) return this.file(name, size, blobPath(digest));
    const open = async (signal: AbortSignal) => await (await abortable(arrival, signal))?.(signal);
    return { name, size, open };
  }

  /** @param path in the archive as it was */
  file(name: string, size: number, path: string): ArchivePart {
    return { name, size, open: signal => this.#files.open(path, signal) };
  }

  bytes(name: string, bytes: Uint8Array): ArchivePart {
    return { name, size: bytes.length, open: async () => new BufferSource(bytes, name) };
  }

  /** @param open undefined: the archive does without it */
  arrived({ digest }: Descriptor, open: OpenPart | undefined): void {
    this.#settle.get(digest)?.(open);
  }
}

export class ArchiveDestination implements PullDestination {
  readonly present: PresentBlobs;
  readonly #place: ArchivePlace;
  readonly #turn: FileTurn;
  readonly #options: PullDestinationOptions;
  #parts: ArchiveParts | undefined;
  #writing: ArchiveWriting | undefined;

  constructor(place: ArchivePlace, turn: FileTurn, options: PullDestinationOptions) {
    this.#place = place;
    this.#turn = turn;
    this.#options = options;
    this.present = new PresentBlobs(place.files);
  }

  async begin(content: PullContent, lacking: readonly Descriptor[]): Promise<void> {
    this.#parts = new ArchiveParts(this.#place.files, lacking);
    const parts = await this.#place.plan(content, this.#parts);
    if (parts !== undefined) this.#writing = new ArchiveWriting(this.#place.path, parts, this.#options);
  }

  async write(blob: PulledBlob, signal: AbortSignal): Promise<void> {
    const whole = blob.whole(signal);
    // Nobody has to wait for the last blob to learn that there is no room for the first.
    const file = await (this.#writing === undefined ? whole : Promise.race([whole, this.#writing.failed()]));
    const open = (abort: AbortSignal): Promise<RangeSource> =>
      file === undefined ? blob.open(abort) : FileSource.open(file, { signal: abort });
    this.#parts?.arrived(blob.descriptor, open);
  }

  leaveOut(descriptor: Descriptor): void {
    this.#place.leaveOut(descriptor);
    this.#parts?.arrived(descriptor, undefined);
  }

  async commit(): Promise<'written' | 'unchanged'> {
    if (this.#writing === undefined) return 'unchanged';
    await this.#writing.commit();
    return 'written';
  }

  async close(): Promise<void> {
    await this.#writing?.close();
    await this.#place.files.close();
    await this.#turn.end();
  }
}
