/** The options that `index create` and `convert` have in common. */
import { readFile, stat } from 'node:fs/promises';
import type { BuildIndexOptions } from '../index.js';
import {
  type Invocation,
  type OptionTable,
  optionBytes,
  optionList,
  optionText,
  UsageError,
} from './command.js';
import { ALL_PLATFORMS_OPTIONS } from './image-option-table.js';
import type { ImageSession } from './image-session.js';
import { reportIndexEvents } from './index-events.js';

const MAX_LIST_BYTES = 16 * 2 ** 20;

export const BUILD_OPTIONS: OptionTable = {
  'span-size': { type: 'string', value: 'SIZE', help: 'uncompressed bytes per span (default 4MiB)' },
  'min-layer-size': {
    type: 'string',
    value: 'SIZE',
    help: 'leave smaller layers alone (default 10MiB)',
  },
  'build-tool-identifier': {
    type: 'string',
    value: 'S',
    help: 'written into ztocs and indexes (default: this tool)',
  },
  optimizations: {
    type: 'string',
    multiple: true,
    value: 'xattr',
    help: 'note which layers have no extended attributes',
  },
  'prefetch-file': {
    type: 'string',
    multiple: true,
    value: 'PATH',
    help: 'a file to fetch before it is asked for, may be repeated',
  },
  'prefetch-files-json': {
    type: 'string',
    value: 'FILE',
    help: 'such files from a JSON array of strings',
  },
  reuse: { type: 'boolean', help: 'keep ztocs of the present index that prove to be right' },
  force: { type: 'boolean', help: 'build every ztoc, even one that is in the cache' },
  'allow-empty': { type: 'boolean', help: 'an image of which no layer can be indexed is no failure' },
  'dry-run': { type: 'boolean', help: 'do everything but write' },
  ...ALL_PLATFORMS_OPTIONS,
  index: {
    type: 'string',
    value: 'DIGEST',
    help: 'take the ztocs of this index on trust, without reading the layers',
  },
};

/** @throws UsageError */
export async function buildOptions(
  session: ImageSession,
): Promise<BuildIndexOptions & Pick<ImageSession, 'platforms'>> {
  const { invocation, signal, platforms, index } = session;
  const { reuse, force } = invocation.options;
  const optimizations = optionList(invocation, 'optimizations');
  const unknown = optimizations.find(name => name !== 'xattr');
  if (unknown !== undefined)
    throw new UsageError(`expected 'xattr' for --optimizations, received '${unknown}'`);
  return {
    spanSize: optionBytes(invocation, 'span-size', 1),
    minLayerSize: optionBytes(invocation, 'min-layer-size', 0),
    buildToolIdentifier: optionText(invocation, 'build-tool-identifier'),
    optimizations: optimizations.length === 0 ? [] : ['xattr'],
    prefetchFiles: [...optionList(invocation, 'prefetch-file'), ...(await listedFiles(invocation))],
    platforms,
    ztocsFrom: index,
    reuse: reuse === true,
    force: force === true,
    allowEmpty: invocation.options['allow-empty'] === true,
    cache: session.cacheForBuilding(),
    onEvent: reportIndexEvents(session.reporter),
    signal,
  };
}

async function listedFiles(invocation: Invocation): Promise<readonly string[]> {
  const path = optionText(invocation, 'prefetch-files-json');
  if (path === undefined) return [];
  const { size } = await stat(path);
  if (size > MAX_LIST_BYTES) {
    throw new UsageError(`--prefetch-files-json: ${path} has ${size} bytes, more than ${MAX_LIST_BYTES}`);
  }
  let list: unknown;
  try {
    list = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (Array.isArray(list) && list.every(file => typeof file === 'string')) return list;
  throw new UsageError(`--prefetch-files-json: expected a JSON array of strings in ${path}`);
}
