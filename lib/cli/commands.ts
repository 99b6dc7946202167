/**
 * The command table. Commands are loaded when they are run, so that `--help`
 * does not wait for the addon or the HTTP client.
 */
import type { Command } from './command.js';

export interface CommandEntry {
  readonly summary: string;
  load(): Promise<Command>;
}

export const COMMANDS: ReadonlyMap<string, CommandEntry> = new Map([
  [
    'ls',
    {
      summary: 'list a directory of an image',
      load: async () => (await import('./ls.js')).ls,
    },
  ],
  [
    'cat',
    {
      summary: 'write files of an image to standard output',
      load: async () => (await import('./cat.js')).cat,
    },
  ],
  [
    'cp',
    {
      summary: 'copy a file or a tree out of an image',
      load: async () => (await import('./cp.js')).cp,
    },
  ],
  [
    'stat',
    {
      summary: 'print what an image says about a file',
      load: async () => (await import('./stat.js')).stat,
    },
  ],
  [
    'find',
    {
      summary: 'find files of an image by name, type and size',
      load: async () => (await import('./find.js')).find,
    },
  ],
  [
    'du',
    {
      summary: 'add up the files below directories of an image',
      load: async () => (await import('./du.js')).du,
    },
  ],
  [
    'diff',
    {
      summary: 'tell what differs between two images',
      load: async () => (await import('./diff.js')).diff,
    },
  ],
  [
    'inspect',
    {
      summary: 'print what an image is made of',
      load: async () => (await import('./inspect.js')).inspect,
    },
  ],
  [
    'tags',
    {
      summary: 'list the tags of a repository',
      load: async () => (await import('./tags.js')).tags,
    },
  ],
  [
    'explain',
    {
      summary: 'tell what reading a file would cost',
      load: async () => (await import('./explain.js')).explain,
    },
  ],
  [
    'prefetch',
    {
      summary: 'fetch files of an image, or all of it, into a store',
      load: async () => (await import('./prefetch.js')).prefetch,
    },
  ],
  [
    'pull',
    {
      summary: 'fetch all of an image to layouts and archives',
      load: async () => (await import('./pull.js')).pull,
    },
  ],
  [
    'convert',
    {
      summary: 'copy an image and put SOCI indexes (v2) into it',
      load: async () => (await import('./convert.js')).convert,
    },
  ],
  [
    'index create',
    {
      summary: 'build the SOCI index (v1) of an image and push it',
      load: async () => (await import('./index-create.js')).indexCreate,
    },
  ],
  [
    'index push',
    {
      summary: 'push indexes made in a layout to a registry',
      load: async () => (await import('./index-copy.js')).indexPush,
    },
  ],
  [
    'index copy',
    {
      summary: 'copy indexes to where their image was copied',
      load: async () => (await import('./index-copy.js')).indexCopy,
    },
  ],
  [
    'index ls',
    {
      summary: 'list the SOCI indexes of an image',
      load: async () => (await import('./index-ls.js')).indexLs,
    },
  ],
  [
    'index info',
    {
      summary: 'print what a SOCI index holds',
      load: async () => (await import('./index-info.js')).indexInfo,
    },
  ],
  [
    'index verify',
    {
      summary: "prove that an index's ztocs describe the layers",
      load: async () => (await import('./index-verify.js')).indexVerify,
    },
  ],
  [
    'index rm',
    {
      summary: 'delete an index (v1) of an image',
      load: async () => (await import('./index-rm.js')).indexRm,
    },
  ],
  [
    'load-order record',
    {
      summary: 'make a load order of one run, of a log of it',
      load: async () => (await import('./load-order-record.js')).loadOrderRecord,
    },
  ],
  [
    'load-order merge',
    {
      summary: 'make one load order of many runs',
      load: async () => (await import('./load-order-merge.js')).loadOrderMerge,
    },
  ],
  [
    'load-order derive',
    {
      summary: 'make a load order without running the image',
      load: async () => (await import('./load-order-derive.js')).loadOrderDerive,
    },
  ],
  [
    'load-order show',
    {
      summary: 'print what a load order says',
      load: async () => (await import('./load-order-show.js')).loadOrderShow,
    },
  ],
  [
    'load-order push',
    {
      summary: 'publish a load order beside its image',
      load: async () => (await import('./load-order-push.js')).loadOrderPush,
    },
  ],
  [
    'load-order ls',
    {
      summary: 'list the load orders of an image',
      load: async () => (await import('./load-order-ls.js')).loadOrderLs,
    },
  ],
  [
    'load-order export',
    {
      summary: 'write a load order to a file, or as prefetch artifacts',
      load: async () => (await import('./load-order-export.js')).loadOrderExport,
    },
  ],
  [
    'cache ls',
    {
      summary: 'list what is kept for the next time',
      load: async () => (await import('./cache-ls.js')).cacheLs,
    },
  ],
  [
    'cache prune',
    {
      summary: 'remove what was not used for longest',
      load: async () => (await import('./cache-prune.js')).cachePrune,
    },
  ],
  [
    'status',
    {
      summary: 'tell how much of an image the store has',
      load: async () => (await import('./status.js')).status,
    },
  ],
  [
    'store ls',
    {
      summary: 'list what a store has',
      load: async () => (await import('./store-ls.js')).storeLs,
    },
  ],
  [
    'store du',
    {
      summary: 'add up what a store takes up',
      load: async () => (await import('./store-du.js')).storeDu,
    },
  ],
  [
    'store gc',
    {
      summary: 'remove what was not used for longest',
      load: async () => (await import('./store-gc.js')).storeGc,
    },
  ],
  [
    'store rm',
    {
      summary: 'remove blobs, or names of images',
      load: async () => (await import('./store-rm.js')).storeRm,
    },
  ],
  [
    'store verify',
    {
      summary: 'compare all that a store has with its digests',
      load: async () => (await import('./store-verify.js')).storeVerify,
    },
  ],
  [
    'store export',
    {
      summary: 'write an image of a store to an OCI archive',
      load: async () => (await import('./store-export.js')).storeExport,
    },
  ],
  [
    'store import',
    {
      summary: 'take the images of an OCI archive into a store',
      load: async () => (await import('./store-import.js')).storeImport,
    },
  ],
  [
    'ztoc build',
    {
      summary: 'build the table of contents of a layer',
      load: async () => (await import('./ztoc-build.js')).ztocBuild,
    },
  ],
  [
    'ztoc info',
    {
      summary: 'print what a ztoc holds, as JSON',
      load: async () => (await import('./ztoc-info.js')).ztocInfo,
    },
  ],
  [
    'ztoc ls',
    {
      summary: 'list the entries of a layer',
      load: async () => (await import('./ztoc-ls.js')).ztocLs,
    },
  ],
  [
    'ztoc cat',
    {
      summary: 'write one file of a layer to standard output',
      load: async () => (await import('./ztoc-cat.js')).ztocCat,
    },
  ],
  [
    'ztoc fetch',
    {
      summary: "write a ztoc of an image's index to a file",
      load: async () => (await import('./ztoc-fetch.js')).ztocFetch,
    },
  ],
  [
    'ztoc verify',
    {
      summary: 'prove that a ztoc describes a layer',
      load: async () => (await import('./ztoc-verify.js')).ztocVerify,
    },
  ],
  [
    'completion',
    {
      summary: 'print a script for the completion of bash, zsh or fish',
      load: async () => (await import('./completion.js')).completion,
    },
  ],
]);
