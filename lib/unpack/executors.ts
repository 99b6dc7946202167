/** Who executes operations, and what the process may set. */
import { readFileSync } from 'node:fs';
import { TreeWriter } from '../native-tree.js';
import type { OperationExecutor } from './operation-executor.js';

export interface ExecutorOptions {
  /** Descriptor of the tree's root, which may be closed afterwards. */
  readonly root: number;
  readonly owners: boolean;
  readonly privileged: boolean;
}

export type OpenExecutor = (options: ExecutorOptions) => OperationExecutor;

/** The addon's. @throws SociError ENOSYS on Windows */
export const openTreeWriter: OpenExecutor = options => new TreeWriter(options);

/**
 * Whether owners, devices and all xattrs can be set: root may, but in a user namespace only as far as that reaches,
 * and what it cannot set is left out as for anybody else.
 */
export function isPrivileged(): boolean {
  if (process.geteuid?.() !== 0) return false;
  try {
    // "0 0 4294967295": all ids are what they are (user_namespaces(7)).
    return /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
  } catch {
    return true;
  }
}
