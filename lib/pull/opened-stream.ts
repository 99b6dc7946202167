/** All of a blob out of a source that is opened for it: one that is on this machine, or was kept on its way. */
import type { AbortableOptions } from '../source/range-source.js';
import { PULL_LANE } from './blob-download.js';
import type { PulledBlob } from './pull-target.js';

export async function* openedStream(
  blob: Pick<PulledBlob, 'open'>,
  { signal = new AbortController().signal }: AbortableOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = await blob.open(signal);
  try {
    yield* source.stream({ signal, lane: PULL_LANE });
  } finally {
    await source.close();
  }
}
