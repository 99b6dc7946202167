/** One signal for all that a program does: no warning of Node's, and everybody hears of its abort. */
import { once } from 'node:events';
import t from 'tap';
import { addAbortListener, removeAbortListener } from '../../lib/async/abort-listeners.js';
import { openImage } from '../../lib/image/open-image.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { layerOf, pushImage } from '../image/sample-image.js';
import { openRepository, startRegistry, startTransport } from '../registry/fixture.js';

const MORE_THAN_NODE_LIKES = 12;

t.test('listeners come and go', async t => {
  const controller = new AbortController();
  const { signal } = controller;
  const heard: string[] = [];
  const [first, second] = [() => void heard.push('first'), () => void heard.push('second')];
  addAbortListener(signal, first);
  addAbortListener(signal, second);
  removeAbortListener(signal, first);
  removeAbortListener(signal, first);
  controller.abort();
  addAbortListener(signal, first);
  t.same(heard, ['second'], 'not who has left, nor who came too late');
  addAbortListener(undefined, first);
  removeAbortListener(undefined, first);

  const again = new AbortController();
  addAbortListener(again.signal, first);
  removeAbortListener(again.signal, first);
  addAbortListener(again.signal, second);
  again.abort();
  t.same(heard, ['second', 'second'], 'who comes after the last one has left is heard all the same');
});

t.test('many operations share one signal', async t => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on('warning', note);
  t.teardown(() => process.off('warning', note));
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  await pushImage(repository, [await layerOf([{ name: 'file', body: Buffer.from('content') }])], {
    tag: 'v1',
  });
  await using context = new ReadContext();
  await using image = await openImage({ repository, reference: 'v1' }, { context });
  const { signal } = new AbortController();
  const operations: readonly (() => Promise<unknown>)[] = [
    () => repository.resolve('v1', { signal }),
    () => repository.listTags({ signal }),
    () => image.readFile('/file', { signal }),
    async () => await once(image.createReadStream('/file', { signal }).resume(), 'end'),
  ];
  for (const operation of operations) {
    await Promise.all(Array.from({ length: MORE_THAN_NODE_LIKES }, operation));
  }
  // Warnings are emitted in the next tick.
  await new Promise(resolve => setImmediate(resolve));
  t.same(warnings, []);
});
