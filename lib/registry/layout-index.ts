/**
 * The index.json of a layout: its roots, by tag or unnamed. Edited as the JSON
 * that it is, so that members we do not know survive; updates of this process
 * and of others are done one after the other.
 */
import type { RangeSource } from '../source/range-source.js';
import type { Descriptor } from './descriptor.js';
import { LAYOUT_FILE, LAYOUT_TEXT, type LayoutFiles } from './layout-files.js';
import { MAX_MANIFEST_BYTES, parseManifest } from './manifest.js';
import { OCI_INDEX } from './media-types.js';

export const REF_NAME = 'org.opencontainers.image.ref.name';
/** containerd's and buildx's annotation with the full reference. */
const CONTAINERD_NAME = 'io.containerd.image.name';
const INDEX = 'index.json';

const updates = new Map<string, Promise<unknown>>();

/** Runs `work` when everything before it under the same key has ended. */
async function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
  const before = updates.get(key) ?? Promise.resolve();
  const mine = before.then(work, work);
  updates.set(key, mine);
  try {
    return await mine;
  } finally {
    if (updates.get(key) === mine) {
      updates.delete(key);
    }
  }
}

export function refName(descriptor: Descriptor): string | undefined {
  return descriptor.annotations?.[REF_NAME];
}

/** Whether `descriptor` is what `tag` names: its ref.name, or the whole reference that containerd notes. */
export function isNamed(descriptor: Descriptor, tag: string): boolean {
  return refName(descriptor) === tag || descriptor.annotations?.[CONTAINERD_NAME] === tag;
}

async function readAll(source: RangeSource, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    // parseManifest words the error of a file that is too large.
    return await source.read(0, Math.min(source.size, MAX_MANIFEST_BYTES + 1), { signal });
  } finally {
    await source.close();
  }
}

export class LayoutIndex {
  readonly #files: LayoutFiles;

  constructor(files: LayoutFiles) {
    this.#files = files;
  }

  /** Undefined when there is no layout (yet). */
  async read(signal?: AbortSignal): Promise<readonly Descriptor[] | undefined> {
    const bytes = await this.#bytes(signal);
    return bytes === undefined ? undefined : this.#parse(bytes);
  }

  /** Adds `descriptor`, in the place of all that had the same tag; the layout is made if there is none. */
  async add(descriptor: Descriptor, tag: string | undefined, signal?: AbortSignal): Promise<void> {
    await this.#alone(signal, async () => {
      const bytes = await this.#bytes(signal);
      const known = bytes === undefined ? [] : this.#parse(bytes);
      const document: Record<string, unknown> =
        bytes === undefined
          ? { schemaVersion: 2, mediaType: OCI_INDEX }
          : JSON.parse(new TextDecoder().decode(bytes));
      const entries = [...((document['manifests'] as unknown[] | undefined) ?? [])];
      const place = known.findIndex(entry =>
        tag === undefined
          ? entry.digest === descriptor.digest && refName(entry) === undefined
          : refName(entry) === tag,
      );
      if (tag === undefined && place >= 0) {
        return;
      }
      const annotations =
        tag === undefined ? descriptor.annotations : { ...descriptor.annotations, [REF_NAME]: tag };
      const entry = annotations === undefined ? descriptor : { ...descriptor, annotations };
      const others = entries.filter((_, at) => tag === undefined || refName(known[at]!) !== tag);
      others.splice(place < 0 ? others.length : place, 0, entry);
      if ((await this.#files.size(LAYOUT_FILE, signal)) === undefined) {
        await this.#files.write(LAYOUT_FILE, [Buffer.from(LAYOUT_TEXT)], signal);
      }
      await this.#files.write(
        INDEX,
        [Buffer.from(JSON.stringify({ ...document, manifests: others }))],
        signal,
      );
    });
  }

  /** Takes every entry with `digest` away. */
  async remove(digest: string, signal?: AbortSignal): Promise<void> {
    await this.#keepOnly(entry => entry.digest !== digest, signal);
  }

  /** Takes the entry that is tagged `tag` away. */
  async removeTag(tag: string, signal?: AbortSignal): Promise<void> {
    await this.#keepOnly(entry => refName(entry) !== tag, signal);
  }

  async #keepOnly(isKept: (entry: Descriptor) => boolean, signal: AbortSignal | undefined): Promise<void> {
    await this.#alone(signal, async () => {
      const bytes = await this.#bytes(signal);
      if (bytes === undefined) return;
      const document = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
      const known = this.#parse(bytes);
      const entries = (document['manifests'] as unknown[]).filter((_, at) => isKept(known[at]!));
      const text = JSON.stringify({ ...document, manifests: entries });
      await this.#files.write(INDEX, [Buffer.from(text)], signal);
    });
  }

  /** One change at a time, by this process and by others. */
  async #alone(signal: AbortSignal | undefined, change: () => Promise<void>): Promise<void> {
    const files = this.#files;
    await inTurn(files.key, async () => {
      if (files.alone === undefined) await change();
      else await files.alone(change, signal);
    });
  }

  async #bytes(signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    if ((await this.#files.size(INDEX, signal)) === undefined) {
      return undefined;
    }
    return await readAll(await this.#files.open(INDEX, signal), signal);
  }

  #parse(bytes: Uint8Array): readonly Descriptor[] {
    const parsed = parseManifest(bytes, OCI_INDEX, `${this.#files.name}/${INDEX}`);
    return parsed.kind === 'index' ? parsed.manifests : [];
  }
}
