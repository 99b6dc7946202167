/**
 * The blobs of one pull on their way: each is downloaded once, for all targets
 * that lack it, into the store or the staging folder, and handed to them as it
 * comes. The first failure ends all of it.
 */

import { abortable } from '../async/abortable.js';
import { runBounded } from '../async/bounded-tasks.js';
import type { PullLimits } from '../configuration/pull-presets.js';
import { SociError } from '../errors.js';
import { publish } from '../observe/channels.js';
import type { Descriptor } from '../registry/descriptor.js';
import { namesUrls } from '../registry/foreign-source.js';
import type { Repository } from '../registry/repository.js';
import { VerifiedSource } from '../registry/verified-source.js';
import { BufferSource } from '../source/buffer-source.js';
import type { RangeSource } from '../source/range-source.js';
import type { ReadContext } from '../span/read-context.js';
import type { Store } from '../store/store.js';
import { ArrivingBlob } from './arriving-blob.js';
import { BlobDownload, type Downloaded } from './blob-download.js';
import { DownloadPlaces, DownloadTurns } from './download-turns.js';
import { HeldBytes } from './held-bytes.js';
import type { KeptDocuments } from './kept-documents.js';
import type { LayerZtocs } from './layer-ztocs.js';
import { openedStream } from './opened-stream.js';
import type { PullContent } from './pull-content.js';
import {
  type PulledBlobReport,
  type PullOutcome,
  type PullProgress,
  rateOf,
  wayText,
} from './pull-report.js';
import type { PullDestination, PulledBlob } from './pull-target.js';
import type { Staging } from './staging.js';

/** Each has an open file or two, and ranges under way. */
const MAX_BLOBS_AT_ONCE = 16;
/** Files of targets that are read to know what is there. */
const CHECKS_AT_ONCE = 2;

export interface PullRunParts {
  readonly repository: Repository;
  /** Whether the image comes from elsewhere: only that is kept. */
  readonly isRemote: boolean;
  /** That was named. */
  readonly store: Store | undefined;
  readonly staging: Staging;
  readonly documents: KeptDocuments;
  readonly destinations: readonly PullDestination[];
  readonly ztocs: LayerZtocs;
  readonly limits: PullLimits;
  readonly context: ReadContext;
  readonly onProgress: ((progress: PullProgress) => void) | undefined;
}

/** A source, and whether it keeps what is read of it. */
interface Opened {
  readonly source: RangeSource;
  readonly keptIn: Store | undefined;
}

interface WantedBlob {
  readonly descriptor: Descriptor;
  readonly layer: number | undefined;
  readonly diffId: string | undefined;
  readonly lacking: readonly PullDestination[];
  /** A target that has it. */
  readonly having: PullDestination | undefined;
}

type Done = Pick<PulledBlobReport, 'fetched' | 'outcome' | 'why'>;

export class PullRun {
  readonly #parts: PullRunParts;
  readonly #content: PullContent;
  readonly #turns: DownloadTurns;
  readonly #held = new HeldBytes();
  #totalBytes = 0;
  #totalSize = 0;

  constructor(content: PullContent, parts: PullRunParts) {
    this.#content = content;
    this.#parts = parts;
    this.#turns = new DownloadTurns(parts.limits, parts.context.part(DownloadPlaces));
  }

  async run(signal: AbortSignal): Promise<PulledBlobReport[]> {
    const { destinations, limits } = this.#parts;
    const wanted = await this.#wanted(signal);
    for (const destination of destinations) {
      const lacking = wanted.filter(blob => blob.lacking.includes(destination));
      await destination.begin(
        this.#content,
        lacking.map(({ descriptor }) => descriptor),
        { ztocs: this.#parts.ztocs, onUnpacking: (...unpacked) => this.#unpacking(...unpacked) },
      );
    }
    const missing = wanted.filter(({ lacking }) => lacking.length > 0);
    this.#totalSize = missing.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    const perImage = limits.maxConcurrentDownloadsPerImage;
    const atOnce = perImage > 0 ? Math.min(perImage, MAX_BLOBS_AT_ONCE) : MAX_BLOBS_AT_ONCE;
    return await runBounded(wanted, atOnce, signal, (blob, abort) => this.#pull(blob, abort));
  }

  /** What each target has is known before the first blob is asked for. */
  async #wanted(signal: AbortSignal): Promise<readonly WantedBlob[]> {
    const { destinations } = this.#parts;
    const { images, blobs } = this.#content;
    const layers = new Map<string, Pick<WantedBlob, 'layer' | 'diffId'>>();
    for (const { manifest, diffIds } of images) {
      for (const [layer, { digest }] of manifest.layers.entries()) {
        if (!layers.has(digest)) layers.set(digest, { layer, diffId: diffIds[layer] });
      }
    }
    return await runBounded(blobs, CHECKS_AT_ONCE, signal, async (descriptor, abort) => {
      const lacking: PullDestination[] = [];
      let having: PullDestination | undefined;
      for (const destination of destinations) {
        const { present } = destination;
        if ((await present?.has(descriptor, abort)) !== true) lacking.push(destination);
        else if (present?.open !== undefined) having ??= destination;
      }
      const { layer, diffId } = layers.get(descriptor.digest) ?? { layer: undefined, diffId: undefined };
      return { descriptor, layer, diffId, lacking, having };
    });
  }

  async #pull(blob: WantedBlob, signal: AbortSignal): Promise<PulledBlobReport> {
    const started = performance.now();
    const { fetched, outcome, why } = await this.#brought(blob, signal);
    const ms = Math.round(performance.now() - started);
    const { digest, mediaType, size } = blob.descriptor;
    const { layer, diffId } = blob;
    return {
      layer,
      digest,
      mediaType,
      diffId,
      size,
      fetched,
      ms,
      bytesPerSecond: rateOf(fetched, ms),
      outcome,
      why,
    };
  }

  async #brought(blob: WantedBlob, signal: AbortSignal): Promise<Done> {
    const { descriptor, lacking, having } = blob;
    if (lacking.length === 0) return { fetched: 0, outcome: 'present', why: 'with the right digest' };
    try {
      const opened = await this.#open(blob, signal);
      try {
        if (opened.keptIn !== undefined) return await this.#download(blob, opened, opened.keptIn, signal);
      } finally {
        await opened.source.close();
      }
      await this.#copy(blob, signal);
      const outcome: PullOutcome =
        having !== undefined ? 'copied' : this.#parts.isRemote ? 'fetched' : 'copied';
      const why =
        having !== undefined
          ? 'from another target'
          : this.#parts.isRemote
            ? 'with the documents'
            : 'it is on this machine';
      return { fetched: outcome === 'fetched' ? descriptor.size : 0, outcome, why };
    } catch (error) {
      const missing = error instanceof SociError && error.code === 'ERR_SOCI_REGISTRY_NOT_FOUND';
      if (!missing || !namesUrls(descriptor)) throw error;
      for (const destination of lacking) destination.leaveOut(descriptor);
      this.#told(blob, descriptor.size, 0);
      return { fetched: 0, outcome: 'left-out', why: error.message };
    }
  }

  /** Downloads it while the targets take it, each as it comes or when it is there. */
  async #download(blob: WantedBlob, { source }: Opened, store: Store, signal: AbortSignal): Promise<Done> {
    const { descriptor } = blob;
    const { limits } = this.#parts;
    const arriving = new ArrivingBlob(source);
    let bytes = 0;
    const download = new BlobDownload(descriptor, source, {
      limits,
      turns: this.#turns,
      held: this.#held,
      onBytes: chunk => {
        arriving.pass(chunk);
        this.#told(blob, bytes + chunk.length, bytes);
        bytes += chunk.length;
      },
      check: () => this.#requireKeeping(source, store),
    });
    const there = async (
      abort: AbortSignal,
    ): Promise<{ downloaded: Downloaded; file: string | undefined }> => {
      try {
        const downloaded = await download.run(abort);
        this.#requireKeeping(source, store);
        const file = await store.fileOf(descriptor);
        arriving.proved();
        return { downloaded, file };
      } catch (error) {
        arriving.failed(error);
        throw error;
      }
    };
    let whole: ReturnType<typeof there> | undefined;
    const tasks = [
      async (abort: AbortSignal) => {
        whole = there(abort);
        await whole;
      },
      ...blob.lacking.map(destination => async (abort: AbortSignal) => {
        const pulled: PulledBlob = {
          ...this.#described(blob),
          stream: options => arriving.stream(options),
          whole: async waiting => (await abortable(whole!, waiting)).file,
        };
        await destination.write(pulled, abort);
      }),
    ];
    await runBounded(tasks, tasks.length, signal, (task, abort) => task(abort));
    const { way, kept } = (await whole!).downloaded;
    const fetched = descriptor.size - Math.min(kept, descriptor.size);
    const outcome = fetched === 0 ? 'kept' : kept > 0 ? 'resumed' : 'fetched';
    return { fetched, outcome, why: wayText(way, kept) };
  }

  /** Each target takes it where it is: on this machine already, or in no need of being kept. */
  async #copy(blob: WantedBlob, signal: AbortSignal): Promise<void> {
    const described = this.#described(blob);
    const pulled: PulledBlob = {
      ...described,
      stream: ({ signal: abort = signal } = {}) => openedStream(described, { signal: abort }),
      whole: async () => undefined,
    };
    for (const destination of blob.lacking) await destination.write(pulled, signal);
    this.#told(blob, blob.descriptor.size, 0);
  }

  #described(blob: WantedBlob): Pick<PulledBlob, 'descriptor' | 'layer' | 'diffId' | 'open'> {
    const { descriptor, layer, diffId } = blob;
    return { descriptor, layer, diffId, open: async signal => (await this.#open(blob, signal)).source };
  }

  async #open({ descriptor, having }: WantedBlob, signal: AbortSignal): Promise<Opened> {
    const { repository, isRemote, store, staging, documents } = this.#parts;
    const read = documents.get(descriptor.digest);
    if (read?.length === descriptor.size) {
      const name = `${repository.name}@${descriptor.digest}`;
      return { source: new VerifiedSource(new BufferSource(read, name), descriptor), keptIn: undefined };
    }
    const present = await having?.present?.open?.(descriptor, signal);
    if (present !== undefined) return { source: present, keptIn: undefined };
    const source = await repository.openBlob(descriptor, { signal });
    if (!isRemote) return { source, keptIn: undefined };
    if (source.keeping?.willKeep() === true && store !== undefined) return { source, keptIn: store };
    const own = await staging.store();
    const staged = await own.open(descriptor, source).catch(async error => {
      await source.close();
      throw error;
    });
    if (staged === source) return { source, keptIn: undefined };
    return { source: staged, keptIn: own };
  }

  /** What is not kept any more has to be fetched again: better to say so at once. */
  #requireKeeping({ keeping }: RangeSource, store: Store): void {
    if (keeping?.willKeep() !== false) return;
    const { code: reason, message } = (store.failure ?? {}) as Partial<NodeJS.ErrnoException>;
    const code = store === this.#parts.store ? 'ERR_SOCI_STORE' : 'ERR_SOCI_OUTPUT';
    throw new SociError(
      code,
      `${store.root}: what is fetched cannot be kept: ${message ?? 'the disk takes no more'}; what is there by now is not fetched again`,
      { data: { path: store.root, reason }, cause: store.failure },
    );
  }

  #unpacking(layer: number, bytes: number, size: number): void {
    const { onProgress } = this.#parts;
    const digest = this.#content.images[0]?.manifest.layers[layer]?.digest ?? '';
    const total = { totalBytes: this.#totalBytes, totalSize: this.#totalSize };
    onProgress?.({ phase: 'unpack', layer, digest, bytes, size, ...total });
  }

  #told({ descriptor, layer }: WantedBlob, bytes: number, before: number): void {
    const { digest, size } = descriptor;
    this.#totalBytes += bytes - before;
    publish('seekable-oci:progress', () => ({ phase: 'pull', digest, bytes, size }));
    const { onProgress } = this.#parts;
    const total = { totalBytes: this.#totalBytes, totalSize: this.#totalSize };
    onProgress?.({ phase: 'download', layer, digest, bytes, size, ...total });
  }
}
