/** What the calls of images, layers and open files may be told, by name: anything else is a slip of the caller's. */
import type { OptionNames } from '../arguments.js';
import type { AbortableOptions } from '../source/range-source.js';
import type { GlobOptions, NameOptions, OpendirOptions, ReaddirOptions } from './call-options.js';
import type { EncodingOptions, RangeOptions } from './file-content.js';
import type { FileRangeOptions, LayerTreeOptions, LookupOptions } from './layer.js';

export const ABORTABLE: OptionNames<AbortableOptions> = { signal: true };
export const RANGE: OptionNames<RangeOptions> = { ...ABORTABLE, start: true, endExclusive: true };
export const READ: OptionNames<RangeOptions & EncodingOptions> = { ...RANGE, encoding: true };
export const ENCODED: OptionNames<NameOptions> = { ...ABORTABLE, encoding: true };
export const OPENDIR: OptionNames<OpendirOptions> = { ...ENCODED, recursive: true };
export const READDIR: OptionNames<ReaddirOptions> = { ...OPENDIR, withFileTypes: true };
export const GLOB: OptionNames<GlobOptions> = { ...ABORTABLE, cwd: true, withFileTypes: true };
export const LOOKUP: OptionNames<LookupOptions> = { followSymlinks: true };
export const LINKED: OptionNames<LookupOptions & AbortableOptions> = { ...ABORTABLE, ...LOOKUP };
export const FILE_RANGE: OptionNames<FileRangeOptions> = { ...RANGE, ...LOOKUP };
export const LAYER_TREE: OptionNames<LayerTreeOptions> = { whiteouts: true };
