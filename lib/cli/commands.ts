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
    'explain',
    {
      summary: 'tell what reading a file would cost',
      load: async () => (await import('./explain.js')).explain,
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
    'ztoc verify',
    {
      summary: 'prove that a ztoc describes a layer',
      load: async () => (await import('./ztoc-verify.js')).ztocVerify,
    },
  ],
]);
