/**
 * Load orders as the commands read and write them: a DOCUMENT is a file, a
 * WORKLOAD the name of one that the image has beside it.
 */
import { open, stat } from 'node:fs/promises';
import {
  encodeLoadOrder,
  findLoadOrder,
  type LoadOrder,
  type PlatformManifest,
  parseLoadOrder,
  parsePlatform,
  type Repository,
  SociError,
  selectManifest,
} from '../index.js';
import { selectForHost } from '../registry/platform-selection.js';
import { isWorkload, MAX_LOAD_ORDER_BYTES, WORKLOAD_FORM } from '../soci/load-order.js';
import { byteText } from './byte-text.js';
import { type Invocation, type OptionTable, optionText, UsageError } from './command.js';
import { counted } from './counted.js';
import type { ImageSession } from './image-session.js';
import { OutputFile } from './output-file.js';

/** Where a command writes the load order that it makes. */
export const DOCUMENT_OPTIONS: OptionTable = {
  output: { type: 'string', short: 'o', value: 'FILE', help: 'where it goes (default -, standard output)' },
};

export const WORKLOAD_OPTION: OptionTable = {
  workload: { type: 'string', value: 'NAME', help: "the workload's name (default start)" },
};

/** @throws UsageError for what is no name */
export function workloadOption(invocation: Invocation): string | undefined {
  const name = optionText(invocation, 'workload');
  if (name === undefined || isWorkload(name)) return name;
  throw new UsageError(`--workload: expected ${WORKLOAD_FORM}, received '${name}'`);
}

/** @throws SociError whose message begins with `path`; one of a file that cannot be read as well */
export async function readDocument(path: string, signal: AbortSignal): Promise<LoadOrder> {
  return parseLoadOrder(await readBytes(path, signal), path);
}

async function readBytes(path: string, signal: AbortSignal): Promise<Uint8Array> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    // A byte more than there may be: what is too long is said to be so by its reader.
    const bytes = Buffer.alloc(Math.min(size, MAX_LOAD_ORDER_BYTES + 1));
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      signal.throwIfAborted();
      read = (await file.read(bytes, length, bytes.length - length, length)).bytesRead;
    }
    return bytes.subarray(0, length);
  } catch (cause) {
    signal.throwIfAborted();
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    throw new SociError('ERR_SOCI_SOURCE_IO', `${path}: ${message}`, { data: { reason: code }, cause });
  }
}

/** The canonical bytes, and what they hold in a line unless they are on standard output themselves. */
export async function writeDocument(invocation: Invocation, order: LoadOrder): Promise<void> {
  const bytes = encodeLoadOrder(order);
  const target = optionText(invocation, 'output') ?? '-';
  const file = await OutputFile.open(target, invocation.output);
  try {
    await file.write(bytes);
    if (target === '-') await file.write(Buffer.from('\n'));
    await file.commit();
  } finally {
    await file.dispose();
  }
  if (target === '-') return;
  const summary = { workload: order.workload, image: order.image, runs: order.runs, ...sizesOf(order) };
  if (invocation.options['json'] === true) await invocation.output.writeJson(summary);
  else await invocation.output.write(`${summaryText(order)}\n`);
}

export function sizesOf({ loads }: LoadOrder): { loads: number; files: number; bytes: number } {
  const files = new Set(loads.map(({ path }) => path)).size;
  return { loads: loads.length, files, bytes: loads.reduce((sum, { start, end }) => sum + end - start, 0) };
}

export function summaryText(order: LoadOrder): string {
  const { loads, files, bytes } = sizesOf(order);
  const origin = order.runs === 0 ? 'derived' : `of ${counted(order.runs, 'run')}`;
  return `${order.workload}  ${origin}: ${byteText(bytes)} of ${counted(files, 'file')} in ${counted(loads, 'load')}`;
}

/** The image that reads would choose. */
export async function chosenImage(
  session: ImageSession,
  repository: Repository,
  reference: string | undefined,
): Promise<PlatformManifest> {
  const { signal } = session;
  const platform = session.onePlatform;
  const content = await repository.getManifest(reference, { signal });
  if (platform === undefined) return await selectForHost(repository, content, { signal });
  return await selectManifest(repository, content, parsePlatform(platform), { signal });
}

/** A load order by the name of a file, else of a workload. @throws SociError ERR_SOCI_REGISTRY_NOT_FOUND */
export async function namedLoadOrder(
  name: string,
  repository: Repository,
  image: PlatformManifest,
  signal: AbortSignal,
): Promise<LoadOrder> {
  if ((await stat(name).catch(() => undefined))?.isFile()) return await readDocument(name, signal);
  if (!isWorkload(name)) {
    throw new UsageError(`expected a file, or ${WORKLOAD_FORM}, as the load order, received '${name}'`);
  }
  const found = await findLoadOrder(repository, image, name, { signal });
  if (found !== undefined) return found.order;
  throw new SociError(
    'ERR_SOCI_REGISTRY_NOT_FOUND',
    `${repository.name}@${image.descriptor.digest} has no load order of the workload '${name}'; 'load-order ls' lists what it has`,
    { data: { image: image.descriptor.digest, workload: name } },
  );
}
