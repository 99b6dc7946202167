/**
 * The end of unpacking a tree: directories get their owners, modes, times and
 * xattrs once nothing comes or goes in them any more, those inside of others first,
 * since some may not be entered afterwards.
 */

import { Pace } from '../async/pace.js';
import { TREE_FLAG, TREE_OPERATION } from '../native-tree.js';
import type { EntryFields } from '../tar/entry.js';
import { KIND } from '../tree/node-kind.js';
import { OPAQUE_XATTRS } from '../tree/unpacked-attributes.js';
import { attributesOf, type Owners } from './inode-attributes.js';
import type { TarContents } from './tar-contents.js';
import type { TreeWriting } from './tree-writing.js';
import type { UnpackedTree } from './unpacked-tree.js';

export interface DirectoryAttributesOptions {
  readonly writing: TreeWriting;
  readonly contents: TarContents;
  readonly owners: Owners;
  /** Which xattr says that a directory is opaque: the one of a mount by root, or by a user. */
  readonly opaque: keyof typeof OPAQUE_XATTRS;
  /** Of directories that the tree's own layers do not declare. */
  readonly lower: (path: string) => readonly EntryFields[] | undefined;
}

/** @throws SociError ERR_SOCI_ID_UNMAPPED, ERR_SOCI_LIMIT, ERR_SOCI_OUTPUT; the signal's reason */
export async function setDirectoryAttributes(
  tree: UnpackedTree,
  { writing, contents, owners, opaque, lower }: DirectoryAttributesOptions,
  signal: AbortSignal,
): Promise<void> {
  await writing.settled();
  writing.inOrder();
  const pace = new Pace();
  for (const node of tree.directories()) {
    const path = tree.path(node);
    const headers = tree.declared(node) ?? lower(path) ?? NO_HEADERS;
    const flags = TREE_FLAG.OWNER | TREE_FLAG.MODE | TREE_FLAG.TIMES;
    const kind = TREE_OPERATION.SET_ATTRIBUTES;
    if (tree.isOpaque(node)) {
      writing.perform(
        { kind, flags: TREE_FLAG.XATTRS_REQUIRED, path, xattrs: [OPAQUE_XATTRS[opaque]] },
        contents,
      );
    }
    writing.perform({ kind, flags, path, ...attributesOf(KIND.dir, headers, owners, path) }, contents);
    await pace.step(signal);
    await writing.whenRoom(contents);
  }
  await writing.settled();
}

const NO_HEADERS: readonly EntryFields[] = [];
