/**
 * Folders made with their parents, each asked for once. Node's own recursive
 * mkdir asks for ever where a parent is there but nothing can be made in it, and
 * says ENOENT (as in /proc).
 */
import { access, constants, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes `path` and what is missing above it; that it is there is no error. @throws the system's error */
export async function makeFolders(path: string, mode = 0o777): Promise<void> {
  try {
    await makeOne(path, mode);
  } catch (error) {
    const above = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === path) throw error;
    await makeFolders(above, mode);
    await makeOne(path, mode);
  }
}

/** Makes the folder unless it is there, and asks whether files can be put into it. @throws the system's error */
export async function prepareFolder(path: string, mode: number): Promise<void> {
  await makeFolders(path, mode);
  await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
}

/** What was written will be there after a power cut: of a file its bytes, of a folder its names. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function makeOne(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A file system that nothing can be written to may say so before it says that the folder is there.
    const there = code !== 'ENOENT' && (await stat(path).catch(() => undefined))?.isDirectory();
    if (there !== true) throw error;
  }
}
