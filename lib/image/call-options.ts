/** Options of an image's calls that name and list files, as node:fs has them where it has such a call. */
import type { AbortableOptions } from '../source/range-source.js';
import type { ImagePath, NameEncoding } from '../tree/path-lookup.js';

export interface NameOptions extends AbortableOptions {
  /** Default 'utf8', also for null; 'buffer' for names that may be no text. */
  readonly encoding?: NameEncoding | null | undefined;
}

export interface OpendirOptions extends NameOptions {
  /** Also what is in directories below, as 'directory/name'; links are not followed. Default false. */
  readonly recursive?: boolean | undefined;
}

export interface ReaddirOptions extends OpendirOptions {
  readonly withFileTypes?: boolean | undefined;
}

export interface GlobOptions extends AbortableOptions {
  /** Where patterns without a leading '/' begin. Default '/'. */
  readonly cwd?: ImagePath | undefined;
  readonly withFileTypes?: boolean | undefined;
}
