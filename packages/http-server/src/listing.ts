/** What is in a directory, as a page or as JSON. Names come from the image: nothing of them is markup. */
import type { ImageDirent } from 'seekable-oci';
import { encodeSegment } from './request-path.js';

type FileType = 'directory' | 'file' | 'symlink' | 'other';

export interface ListedFile {
  /** With U+FFFD for bytes that are no UTF-8; `href` is exact. */
  readonly name: string;
  readonly type: FileType;
  /** Relative to the directory. */
  readonly href: string;
}

export function listedFiles(dirents: readonly ImageDirent<Buffer>[]): ListedFile[] {
  return dirents.map(dirent => {
    const type = typeOf(dirent);
    // The dot keeps a name with a colon from being a scheme (RFC 3986 section 4.2).
    const href = `./${encodeSegment(dirent.name)}${type === 'directory' ? '/' : ''}`;
    return { name: dirent.name.toString('utf8'), type, href };
  });
}

function typeOf(dirent: ImageDirent<Buffer>): FileType {
  if (dirent.isDirectory()) return 'directory';
  if (dirent.isFile()) return 'file';
  return dirent.isSymbolicLink() ? 'symlink' : 'other';
}

/** @param path of the directory, as text */
export function listingPage(path: string, files: readonly ListedFile[]): string {
  const title = escapeMarkup(path);
  const up = path === '/' ? [] : ['<li><a href="../">../</a></li>'];
  const items = files.map(({ name, type, href }) => {
    const mark = type === 'directory' ? '/' : type === 'symlink' ? '@' : '';
    return `<li><a href="${href}">${escapeMarkup(name)}${mark}</a></li>`;
  });
  return [
    '<!doctype html>',
    `<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>`,
    `<body><h1>${title}</h1>`,
    '<ul>',
    ...up,
    ...items,
    '</ul></body></html>',
    '',
  ].join('\n');
}

function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`);
}
