/** Prints files of an image as they are found, a page at a time: there may be hundreds of thousands. */
import { entryAsJson, type FileEntry, longLine } from './file-entry.js';
import { printableName } from './printable.js';
import type { Surroundings } from './surroundings.js';

/** Characters that are printed together. */
const PAGE = 64 * 1024;

/** `json`: an array with all that is known of each; `long`: a line of it each; else names. */
export async function writeEntries(
  entries: AsyncIterable<FileEntry>,
  { json, long }: { readonly json: boolean; readonly long: boolean },
  { output, signal }: Pick<Surroundings, 'output' | 'signal'>,
): Promise<void> {
  let page = json ? '[' : '';
  let separator = '\n';
  for await (const entry of entries) {
    if (json) page += `${separator}  ${JSON.stringify(entryAsJson(entry))}`;
    else page += `${long ? longLine(entry) : printableName(entry.name)}\n`;
    separator = ',\n';
    if (page.length > PAGE) {
      signal.throwIfAborted();
      await output.write(page);
      page = '';
    }
  }
  await output.write(json ? `${page}\n]\n` : page);
}
