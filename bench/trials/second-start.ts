/** Opening an image behind a store and reading files of it, or fetching all of it: the first time, and after that. */
import { subscribe } from 'node:diagnostics_channel';
import { type HttpRequestEvent, openImage, ReadContext, RegistryTransport, Store } from '../../lib/index.js';

export interface SecondStartParameters {
  /** 'read': the files, all at the same time. 'all': all layers into the store. */
  readonly task: 'read' | 'all';
  readonly reference: string;
  /** Of the store; without one nothing is kept. */
  readonly folder?: string;
  readonly paths: readonly string[];
}

export async function secondStart({
  task,
  reference,
  folder,
  paths,
}: SecondStartParameters): Promise<Record<string, number>> {
  let requests = 0;
  let bytes = 0;
  subscribe('seekable-oci:http:request', event => {
    requests++;
    bytes += (event as HttpRequestEvent).bytes;
  });
  const start = performance.now();
  const cpu = process.cpuUsage();
  const transport = new RegistryTransport({
    credentials: null,
    env: {},
    hosts: { '*': { plainHttp: true } },
  });
  const store = folder === undefined ? undefined : await Store.open(folder, { maxBytes: 2 ** 32 });
  const image = await openImage(reference, { transport, store, context: new ReadContext() });
  let read = 0;
  if (task === 'read') {
    const files = await Promise.all(paths.map(path => image.readFile(path)));
    read = files.reduce((sum, { length }) => sum + length, 0);
  } else {
    const { layers, failures } = await image.prefetch('all');
    read = layers.reduce((sum, { present, fetched }) => sum + present + fetched, 0);
    if (failures.length > 0 || layers.some(({ diffId }) => diffId !== 'proved'))
      throw new Error('not all of it');
  }
  const milliseconds = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  await image.close();
  await store?.close();
  await transport.close();
  return {
    milliseconds,
    sinceStart: start + milliseconds,
    cpu: (user + system) / 1000,
    requests,
    bytes,
    read,
  };
}
