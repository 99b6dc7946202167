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
