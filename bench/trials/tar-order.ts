/** All regular files of an image, one after the other as the tars of its layers have them, by the node API. */
import { openImage, ReadContext, RegistryTransport } from '../../lib/index.js';
import { peakMemory } from '../peak-memory.js';

export interface TarOrderParameters {
  /** `host:port/repository:tag` */
  readonly reference: string;
  /** Default: the setting's. */
  readonly maxReadAheadBytes?: number;
}

const BUFFER_BYTES = 1024 * 1024;

/** ms from the call of openImage. */
export async function tarOrder({
  reference,
  maxReadAheadBytes,
}: TarOrderParameters): Promise<Record<string, number>> {
  const transport = new RegistryTransport({
    credentials: null,
    env: {},
    hosts: { '*': { plainHttp: true } },
  });
  const settings = maxReadAheadBytes === undefined ? {} : { maxReadAheadBytes };
  await using context = new ReadContext(settings);
  const start = performance.now();
  const image = await openImage(reference, { transport, context });
  const tree = await image.tree();
  const files: {
    readonly ino: number;
    readonly size: number;
    readonly layer: number;
    readonly at: number;
  }[] = [];
  const layers = new Map<object, number>();
  for (let ino = tree.root; ino <= tree.nodeCount; ino++) {
    const { kind, size } = tree.attributes(ino);
    if (kind !== 'reg' || size === 0) continue;
    const { layer, entry } = tree.file(ino);
    const place = layers.get(layer) ?? layers.size;
    layers.set(layer, place);
    files.push({ ino, size, layer: place, at: layer.ztoc.entry(entry).offset });
  }
  files.sort((a, b) => a.layer - b.layer || a.at - b.at);
  const opened = performance.now();
  const buffer = Buffer.alloc(BUFFER_BYTES);
  let read = 0;
  for (const { ino, size } of files) {
    for (let at = 0; at < size; at += buffer.length) {
      read += await tree.readInto(ino, at, buffer.subarray(0, Math.min(buffer.length, size - at)));
    }
  }
  const milliseconds = performance.now() - start;
  const { user, system } = process.cpuUsage();
  const { requests } = image.stats;
  await image.close();
  await transport.close();
  return {
    milliseconds,
    opening: opened - start,
    cpu: (user + system) / 1000,
    read,
    requests,
    peak: peakMemory(),
  };
}
