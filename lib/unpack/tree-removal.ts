/**
 * Removes a tree that was unpacked, whatever is in it: paths that are longer than
 * the system takes in one call, names of any bytes, directories that their owner
 * may not enter. Node's own `rm` stops at each of these.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { TREE_OPERATION, TreeWriter } from '../native-tree.js';
import { encodeOperation, operationBytes } from './operations.js';
import { writeFailed } from './write-failure.js';

const { O_DIRECTORY, O_RDONLY } = constants;

/** Nothing at `path` is no error, and a link goes itself. @throws the system's error; SociError ERR_SOCI_OUTPUT */
export async function removeTree(path: string): Promise<void> {
  const folder = await open(dirname(path), O_RDONLY | O_DIRECTORY);
  try {
    const writer = new TreeWriter({ root: folder.fd, owners: false, privileged: false });
    try {
      const name = Buffer.from(basename(path)).toString('latin1');
      const removal = { kind: TREE_OPERATION.REMOVE, path: name };
      const record = Buffer.alloc(operationBytes(removal));
      encodeOperation(removal, record, 0);
      const { failed } = await writer.run(record);
      if (failed !== undefined) throw writeFailed(dirname(path), name, failed);
    } finally {
      await writer.close();
    }
  } finally {
    await folder.close();
  }
}
