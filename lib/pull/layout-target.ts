/**
 * `oci:DIR`: an OCI image layout in a folder, which may have other images already.
 * Blobs come first, each under its name when it is complete, then the documents,
 * then the line of index.json, so that at no time anything is listed that is not
 * there.
 */
import { randomBytes } from 'node:crypto';
import { chmod, constants, copyFile, link, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { worded } from '../files/atomic-file.js';
import { makeFolders, syncPath } from '../files/folders.js';
import type { Descriptor } from '../registry/descriptor.js';
import { blobPath, DirectoryFiles, LAYOUT_FILE, refuseLinks } from '../registry/layout-files.js';
import { PresentBlobs } from './present-blobs.js';
import type { PullContent } from './pull-content.js';
import type { PullDestination, PullDestinationOptions, PulledBlob, PullTarget } from './pull-target.js';
import { StagedFiles, writeDocuments } from './staged-files.js';
import { somethingElse } from './target-error.js';

/** In the layout: a folder beside it may be on another file system, or not be ours. */
const STAGING = '.seekable-oci-pull';
/** Of files, before the umask, which is that of what made the layout. */
const READ_WRITE = 0o666;

export class LayoutTarget implements PullTarget {
  readonly name: string;
  readonly path: string;
  readonly staging: string;
  readonly #tag: string | undefined;

  /** @param path as it was written */
  constructor(path: string, tag: string | undefined) {
    this.name = `oci:${path}`;
    this.path = resolve(path);
    this.staging = join(this.path, STAGING);
    this.#tag = tag;
  }

  async check(): Promise<void> {
    const found = await stat(this.path).catch(() => undefined);
    if (found === undefined) return;
    if (!found.isDirectory()) throw somethingElse(this.name, 'a folder', 'something else');
    const names = await worded(this.path, { code: 'ERR_SOCI_OUTPUT' }, () => readdir(this.path));
    const others = names.filter(name => !name.startsWith(STAGING));
    if (others.length === 0 || others.includes(LAYOUT_FILE) || others.includes('index.json')) return;
    const shown = others.slice(0, 3).join(', ');
    throw somethingElse(this.name, 'an OCI layout or an empty folder', `a folder with ${shown}`);
  }

  async open(options: PullDestinationOptions): Promise<PullDestination> {
    return new LayoutDestination(this, this.#tag, options);
  }
}

class LayoutDestination implements PullDestination {
  readonly present: PresentBlobs;
  readonly #root: string;
  readonly #files: DirectoryFiles;
  readonly #tag: string | undefined;
  readonly #options: PullDestinationOptions;
  #content: PullContent | undefined;
  #changed = false;

  constructor({ path, name }: LayoutTarget, tag: string | undefined, options: PullDestinationOptions) {
    this.#root = path;
    this.#files = new DirectoryFiles(path, name, { sync: options.sync });
    this.#tag = tag;
    this.#options = options;
    this.present = new PresentBlobs(this.#files);
  }

  async begin(content: PullContent, lacking: readonly Descriptor[]): Promise<void> {
    const { signal } = this.#options;
    this.#content = content;
    // What cannot be listed is found out before anything is fetched.
    const staged = new StagedFiles(this.#files);
    await writeDocuments(staged, content, this.#tag, signal);
    this.#changed = staged.changed.size > 0 || lacking.length > 0;
    // Blobs without that would be somebody's folder, and not one to go on in.
    if (this.#changed) await this.#files.alone(async () => {}, signal);
  }

  async write(blob: PulledBlob, signal: AbortSignal): Promise<void> {
    const path = blobPath(blob.descriptor.digest);
    const file = await blob.whole(signal);
    if (file === undefined) await this.#files.write(path, blob.stream({ signal }), signal);
    else {
      await refuseLinks(this.#root, path);
      await worded(join(this.#root, path), { code: 'ERR_SOCI_OUTPUT' }, () => this.#take(file, path));
    }
  }

  leaveOut(): void {}

  async commit(signal: AbortSignal): Promise<'written' | 'unchanged'> {
    if (!this.#changed || this.#content === undefined) return 'unchanged';
    if (this.#options.sync) await this.#syncFolders(this.#content);
    await writeDocuments(this.#files, this.#content, this.#tag, signal);
    if (this.#options.sync) await this.#syncFolders(this.#content);
    return 'written';
  }

  async close(): Promise<void> {
    await this.#files.close();
  }

  /**
   * A file of our own staging gets a second name, and loses the first one when the pull ends. One of a store is copied,
   * without its bytes where the file system can do that: whatever is done to the layout, the store's stays as it is.
   */
  async #take(file: string, path: string): Promise<void> {
    const { temporary, sync } = this.#options;
    const target = join(this.#root, path);
    await makeFolders(dirname(target));
    const copy = join(temporary, `blob-${randomBytes(6).toString('hex')}.tmp`);
    try {
      if (file.startsWith(temporary + sep))
        await link(file, copy).catch(() => copyFile(file, copy, constants.COPYFILE_FICLONE));
      else await copyFile(file, copy, constants.COPYFILE_FICLONE);
      await chmod(copy, READ_WRITE & (await this.#mode()));
      if (sync) await syncPath(copy);
      await rename(copy, target);
    } finally {
      // A second name for what has the target's name already stays when it is renamed.
      await rm(copy, { force: true });
    }
  }

  /** Of the file that makes the folder a layout: who may read that may read the blobs. */
  async #mode(): Promise<number> {
    const found = await stat(join(this.#root, LAYOUT_FILE)).catch(() => undefined);
    return found?.mode ?? 0o644;
  }

  async #syncFolders({ blobs, documents }: PullContent): Promise<void> {
    const paths = [...blobs, ...documents.map(({ descriptor }) => descriptor)].map(({ digest }) =>
      blobPath(digest),
    );
    const folders = new Set(['.', 'blobs', ...paths.map(path => dirname(path))]);
    for (const folder of folders) {
      await worded(this.#root, { code: 'ERR_SOCI_OUTPUT' }, () => syncPath(join(this.#root, folder)));
    }
  }
}
