/** Getting at a layer's bytes without a ztoc: node:zlib over the whole stream. */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';

export async function nodeZlib({ layer }: { readonly layer: string }): Promise<Record<string, number>> {
  const start = performance.now();
  const cpu = process.cpuUsage();
  let bytes = 0;
  const stream = createReadStream(layer, { highWaterMark: 1 << 20 }).pipe(
    createGunzip({ chunkSize: 1 << 20 }),
  );
  for await (const chunk of stream) bytes += (chunk as Buffer).length;
  const { user, system } = process.cpuUsage(cpu);
  return { milliseconds: performance.now() - start, cpu: (user + system) / 1000, bytes };
}
