/**
 * Questions to a repository that are sent before their turn: an image index tells
 * two documents at once, and a name of a SOCI index tells all that it takes to ask
 * for it. Whoever asks the same in its turn gets the answer that is under way, which
 * has been checked like every other, or its failure. A question that nobody asks in
 * the end changes nothing.
 */
import { BegunWork } from '../async/begun-work.js';
import { overRepository } from './content-shelf.js';
import type { Descriptor } from './descriptor.js';
import type { ManifestContent, Repository } from './repository.js';

export class AskedAhead {
  /** To be asked in place of the one that was given; closed by whoever opened that. */
  readonly repository: Repository;
  readonly #origin: Repository;
  /** By what `getManifest` is given, when that is no descriptor. */
  readonly #manifests = new BegunWork<string | undefined, ManifestContent>();
  readonly #blobs = new BegunWork<string, Uint8Array>();
  readonly #referrers = new BegunWork<string, Descriptor[]>();

  constructor(origin: Repository) {
    this.#origin = origin;
    this.repository = overRepository(origin, {
      getManifest: (reference, options) => {
        const begun =
          typeof reference === 'object' ? undefined : this.#manifests.take(reference, options?.signal);
        return begun ?? origin.getManifest(reference, options);
      },
      getBlob: (descriptor, options) => {
        const { size } = descriptor;
        const begun =
          size > (options?.maxBytes ?? size)
            ? undefined
            : this.#blobs.take(blobKey(descriptor), options?.signal);
        return begun ?? origin.getBlob(descriptor, options);
      },
      referrers: (digest, options) => {
        const begun = this.#referrers.take(referrersKey(digest, options?.artifactType), options?.signal);
        return begun ?? origin.referrers(digest, options);
      },
    });
  }

  manifest(reference: string | undefined): void {
    this.#manifests.begin(reference, signal => this.#origin.getManifest(reference, { signal }));
  }

  /** @param descriptor of a blob that may be taken into memory: nothing is limited here. */
  blob(descriptor: Descriptor): void {
    const maxBytes = descriptor.size;
    this.#blobs.begin(blobKey(descriptor), signal => this.#origin.getBlob(descriptor, { signal, maxBytes }));
  }

  referrers(digest: string, artifactType: string): void {
    this.#referrers.begin(referrersKey(digest, artifactType), signal =>
      this.#origin.referrers(digest, { artifactType, signal }),
    );
  }

  /** Calls off what nobody has asked in its turn. */
  drop(): void {
    for (const questions of this.#all) questions.drop();
  }

  /** The same, and settles when nothing of it is under way. */
  async end(): Promise<void> {
    this.drop();
    await Promise.all(this.#all.map(questions => questions.finished()));
  }

  get #all(): readonly Pick<BegunWork<never, unknown>, 'drop' | 'finished'>[] {
    return [this.#manifests, this.#blobs, this.#referrers];
  }
}

function blobKey({ digest, size }: Descriptor): string {
  return `${digest} ${size}`;
}

function referrersKey(digest: string, artifactType: string | undefined): string {
  return `${digest} ${artifactType ?? ''}`;
}
