/**
 * A layout inside a tar archive. It is read in place; what is written waits in a
 * folder beside the archive until `commit` writes a new archive over the old one.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { KeyedWork } from '../async/keyed-work.js';
import { writeFileAtomically } from '../files/atomic-file.js';
import { closedError } from '../source/byte-range.js';
import { FileSource } from '../source/file-source.js';
import type { RangeSource } from '../source/range-source.js';
import { archiveStream, type StreamedFile } from '../tar/archive-stream.js';
import { type ArchiveMember, indexArchive } from './archive-index.js';
import { isDigest } from './digest.js';
import { DirectoryFiles, fileSize, type LayoutFiles, missingFile } from './layout-files.js';
import { SliceSource } from './slice-source.js';

interface OpenArchive {
  readonly source: FileSource;
  readonly members: ReadonlyMap<string, ArchiveMember>;
}

interface Staging {
  readonly root: string;
  readonly files: DirectoryFiles;
}

export class ArchiveFiles implements LayoutFiles {
  readonly name: string;
  readonly key: string;
  readonly #path: string;
  readonly #reads = new KeyedWork<string, void>();
  /** The latest run of `#read`. */
  #reading: Promise<void> | undefined;
  #closing = new AbortController();
  #archive: OpenArchive | 'missing' | undefined;
  /** Archives that commits replaced: sources that were opened before still read them. */
  readonly #replaced: FileSource[] = [];
  #staging: Promise<Staging> | undefined;
  readonly #staged = new Set<string>();

  /** @param path Absolute path of the archive, which need not exist before a commit. */
  constructor(path: string, name: string) {
    this.#path = path;
    this.name = name;
    this.key = `archive ${path}`;
  }

  async size(path: string, signal?: AbortSignal): Promise<number | undefined> {
    if (this.#staged.has(path)) {
      return await (await this.#staging!).files.size(path);
    }
    return (await this.#open(signal))?.members.get(path)?.size;
  }

  /** Where `path` is in the archive: files that are links to one another have one place. */
  async locate(path: string, signal?: AbortSignal): Promise<ArchiveMember | undefined> {
    return (await this.#open(signal))?.members.get(path);
  }

  /** The names of all files. */
  async paths(signal?: AbortSignal): Promise<readonly string[]> {
    const old = (await this.#open(signal))?.members.keys() ?? [];
    return [...new Set([...old, ...this.#staged])];
  }

  async open(path: string, signal?: AbortSignal): Promise<RangeSource> {
    if (this.#staged.has(path)) {
      return await (await this.#staging!).files.open(path, signal);
    }
    const archive = await this.#open(signal);
    const member = archive?.members.get(path);
    if (archive === undefined || member === undefined) {
      throw missingFile(this.name, path);
    }
    return new SliceSource(archive.source, `${this.name}/${path}`, member.offset, member.size);
  }

  async write(
    path: string,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    this.#staging ??= this.#stage();
    this.#staging.catch(() => {
      this.#staging = undefined;
    });
    await (await this.#staging).files.write(path, chunks, signal);
    this.#staged.add(path);
  }

  async commit(signal?: AbortSignal): Promise<void> {
    if (this.#staged.size === 0) {
      return;
    }
    await writeFileAtomically(this.#path, archiveStream(this.#serialize(signal)), {
      code: 'ERR_SOCI_LAYOUT',
      signal,
    });
    this.#replace();
    await this.#discardStaging();
  }

  async close(): Promise<void> {
    this.#closing.abort(closedError(this.name));
    this.#closing = new AbortController();
    await this.#discardStaging();
    await this.#reading?.catch(() => {});
    this.#replace();
    await Promise.all(this.#replaced.splice(0).map(source => source.close()));
  }

  #replace(): void {
    if (typeof this.#archive === 'object') {
      this.#replaced.push(this.#archive.source);
    }
    this.#archive = undefined;
  }

  async #stage(): Promise<Staging> {
    const root = await mkdtemp(join(dirname(this.#path), `.${basename(this.#path)}.`));
    return { root, files: new DirectoryFiles(root, this.name) };
  }

  async #discardStaging(): Promise<void> {
    const staging = await this.#staging?.catch(() => undefined);
    this.#staging = undefined;
    this.#staged.clear();
    if (staging !== undefined) {
      await rm(staging.root, { recursive: true, force: true });
    }
  }

  async #open(signal: AbortSignal | undefined): Promise<OpenArchive | undefined> {
    if (this.#archive === undefined) {
      await this.#reads.join(this.key, signal, abort => {
        this.#reading = this.#read(AbortSignal.any([abort, this.#closing.signal]));
        return this.#reading;
      });
    }
    return this.#archive === 'missing' ? undefined : this.#archive;
  }

  async #read(signal: AbortSignal): Promise<void> {
    if ((await fileSize(this.#path)) === undefined) {
      this.#archive = 'missing';
      return;
    }
    const source = await FileSource.open(this.#path, { signal });
    try {
      const members = await indexArchive(source, signal);
      signal.throwIfAborted();
      this.#archive = { source, members };
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /**
   * The layout's files and nothing else: a docker `manifest.json` beside them would describe the old content, and a
   * name that is no digest's may be one that leads whoever unpacks the archive elsewhere.
   */
  async *#serialize(signal: AbortSignal | undefined): AsyncGenerator<StreamedFile> {
    for (const name of layoutPaths(await this.paths(signal))) {
      const source = await this.open(name, signal);
      try {
        yield { name, size: source.size, content: () => source.stream({ signal }) };
      } finally {
        await source.close();
      }
    }
  }
}

/** The files of a layout among others, in the order in which an archive has them: blobs last, by their names. */
export function layoutPaths(paths: Iterable<string>): string[] {
  return ['oci-layout', 'index.json', ...[...new Set(paths)].filter(isBlobPath).sort()];
}

/** `blobs/ALGORITHM/ENCODED`, of any algorithm. */
function isBlobPath(path: string): boolean {
  const parts = path.split('/');
  return parts.length === 3 && parts[0] === 'blobs' && isDigest(`${parts[1]}:${parts[2]}`);
}
