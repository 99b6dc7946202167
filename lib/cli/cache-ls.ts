/** `seekable-oci cache ls`: what is kept for the next time. */
import { listCache } from '../files/cache-folder.js';
import { byteText } from './byte-text.js';
import { CACHE_OPTIONS, chosenCacheDirectory } from './cache-directory.js';
import type { Command, Invocation } from './command.js';
import { counted } from './counted.js';
import { timeText } from './file-entry.js';
import { tableText } from './table-text.js';

async function run(invocation: Invocation): Promise<void> {
  const { output } = invocation;
  const directory = chosenCacheDirectory(invocation);
  const files = await listCache(directory);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (invocation.options['json'] === true) {
    const list = files.map(({ kind, digest, size, usedAt, path }) => ({
      kind,
      digest,
      size,
      used: timeText(Math.floor(usedAt)),
      path,
    }));
    await output.writeJson({ directory, size: bytes, files: list });
    return;
  }
  const rows = files.map(({ kind, digest, size, usedAt }) => [
    kind,
    digest,
    byteText(size),
    timeText(Math.floor(usedAt / 1000) * 1000),
  ]);
  if (rows.length > 0) await output.write(tableText([['KIND', 'DIGEST', 'SIZE', 'USED'], ...rows]));
  await output.write(`${directory}: ${byteText(bytes)} in ${counted(files.length, 'file')}\n`);
}

export const cacheLs: Command = {
  summary: 'Lists what is kept for the next time, the least recently used first.',
  operands: [],
  options: CACHE_OPTIONS,
  notes: [
    'ztoc: built here, of the layer with that digest; tar: an unpacked layer, by its diffID;',
    'blob: a manifest, config, index or ztoc of a registry.',
  ],
  run,
};
