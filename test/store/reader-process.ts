/**
 * A process that reads blobs through a store, as told by one JSON argument; it says on its standard output what it
 * has done, and what was wrong.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { HttpSource } from '../../lib/source/http/http-source.js';
import { BlobUse } from '../../lib/store/blob-use.js';
import { SYSTEM_DISK } from '../../lib/store/disk.js';
import { Store } from '../../lib/store/store.js';
import { sample } from './sample-blob.js';

export interface ReaderTask {
  /** 'claim' and 'pin' say so and wait to be killed. */
  readonly what: 'read' | 'claim' | 'pin';
  readonly folder: string;
  readonly maxBytes: number;
  readonly blobs: readonly { readonly size: number; readonly seed: number; readonly url: string }[];
  /** Each reads all blobs so many times, in steps of so many bytes, from another place on. */
  readonly rounds: number;
  readonly step: number;
  readonly shift: number;
}

async function readAll(task: ReaderTask): Promise<string> {
  await using store = await Store.open(task.folder, { maxBytes: task.maxBytes });
  for (let round = 0; round < task.rounds; round++) {
    for (const { size, seed, url } of task.blobs) {
      const blob = sample(size, seed);
      const source = await store.open(blob, await HttpSource.open(url, { size }));
      const steps = Math.ceil(size / task.step);
      for (let at = 0; at < steps; at++) {
        const offset = ((at + task.shift + round) % steps) * task.step;
        const length = Math.min(task.step, size - offset);
        const bytes = await source.read(offset, length);
        if (Buffer.compare(bytes, blob.bytes.subarray(offset, offset + length)) !== 0)
          return `wrong at ${offset}`;
        process.stdout.write('.');
      }
      await source.close();
    }
  }
  return 'right';
}

const task = JSON.parse(process.argv[2]!) as ReaderTask;
if (task.what === 'read') console.log(await readAll(task));
else {
  const [{ size, seed } = { size: 1, seed: 1 }] = task.blobs;
  const { digest } = sample(size, seed);
  if (task.what === 'pin') await (await Store.open(task.folder)).pin([digest]);
  else {
    const path = `${task.folder}/use/sha256/${digest.slice('sha256:'.length)}`;
    (await BlobUse.begin(SYSTEM_DISK, path, 'use'))?.claim({ first: 0, end: 10 });
  }
  console.log('ready');
  await delay(600_000);
}
