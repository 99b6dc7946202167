/**
 * What an inode gets on disk, by its headers: the last one counts, and the xattrs
 * of all (a hard link has a header of its own). The rules are those that the tree
 * of an image shows it by.
 */
import { SociError } from '../errors.js';
import { quoteByteString } from '../tar/byte-string.js';
import type { EntryFields } from '../tar/entry.js';
import { GO_ZERO_TIME, parseTime } from '../tar/time.js';
import { KIND, type Kind } from '../tree/node-kind.js';
import {
  IMPLIED_MODE,
  isUnpackedTime,
  LINK_MODE,
  unpackedId,
  xattrsOf,
} from '../tree/unpacked-attributes.js';
import type { IdMap } from './id-map.js';
import { type OperationAttributes, XATTR_HEAD } from './operations.js';

/** How owners of the image become owners of this machine. */
export interface Owners {
  readonly uids: IdMap;
  readonly gids: IdMap;
}

/** What Linux takes: of a name 255 bytes, of a value 64 KiB (xattr(7)). */
const MAX_XATTR_NAME = 255;
const MAX_XATTR_VALUE = 64 * 2 ** 10;
/** Of all xattrs of one inode, with the heads that they have in a record: fewer than its number of them can say. */
const MAX_XATTR_BYTES = 512 * 2 ** 10;

/**
 * @param headers of one inode, its own first
 * @param path for messages
 * @throws SociError ERR_SOCI_ID_UNMAPPED; ERR_SOCI_LIMIT for xattrs that no file system takes
 */
export function attributesOf(
  kind: Kind,
  headers: readonly EntryFields[],
  owners: Owners,
  path: string,
): OperationAttributes {
  const last = headers.at(-1);
  const time = parseTime(last?.modTime ?? '') ?? GO_ZERO_TIME;
  const { seconds, nanoseconds } =
    last !== undefined && isUnpackedTime(time.seconds) ? time : { seconds: 0, nanoseconds: 0 };
  return {
    mode: kind === KIND.symlink ? LINK_MODE : (last?.mode ?? IMPLIED_MODE) & 0o7777,
    uid: owners.uids.toHost(unpackedId(last?.uid ?? 0), path),
    gid: owners.gids.toHost(unpackedId(last?.gid ?? 0), path),
    mtime: seconds,
    nanoseconds,
    xattrs: headers.every(({ pax }) => pax.length === 0) ? NO_XATTRS : checkedXattrs(headers, path),
  };
}

const NO_XATTRS: OperationAttributes['xattrs'] = [];

function checkedXattrs(headers: readonly EntryFields[], path: string): OperationAttributes['xattrs'] {
  const xattrs = [
    ...xattrsOf(
      headers.length === 1 ? (headers[0]?.pax ?? []) : headers.flatMap(({ pax }) => pax),
      'unpacked',
    ),
  ];
  let bytes = 0;
  for (const [name, value] of xattrs) {
    bytes += XATTR_HEAD + name.length + value.length;
    if (name.length <= MAX_XATTR_NAME && value.length <= MAX_XATTR_VALUE && bytes <= MAX_XATTR_BYTES)
      continue;
    throw new SociError(
      'ERR_SOCI_LIMIT',
      `${quoteByteString(`/${path}`)}: expected xattrs of at most ${MAX_XATTR_NAME} bytes of name, ${MAX_XATTR_VALUE} of value ` +
        `and ${MAX_XATTR_BYTES} in all, found ${quoteByteString(name)} with ${value.length} (${bytes} in all)`,
      { data: { name: name.length, value: value.length, bytes } },
    );
  }
  return xattrs;
}
