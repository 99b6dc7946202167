/**
 * Ending things early: an abort or a close() at any stage settles at once with
 * the right reason and leaves no connection behind.
 */
import { createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { HttpSource } from '../../lib/source/http/http-source.js';
import { HttpTransport } from '../../lib/source/http/http-transport.js';
import { type Fault, FaultyServer } from '../helpers/http-server.js';

const BODY = new Uint8Array(8 * 1024 * 1024);
const REASON = { why: 'not even an Error' };

/** Far below every timeout of the source, far above what settling takes. */
const PROMPTLY = 2000;

async function promptly<T>(promise: Promise<T>): Promise<PromiseSettledResult<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('did not settle in time')), PROMPTLY);
  });
  const [result] = await Promise.allSettled([Promise.race([promise, late])]);
  clearTimeout(timer);
  return result;
}

async function opened(t: Test): Promise<{ server: FaultyServer; source: HttpSource }> {
  const server = await FaultyServer.listen();
  const source = await HttpSource.open(server.put('/blob', BODY));
  t.teardown(async () => {
    await source.close();
    await server.close();
  });
  return { server, source };
}

const STAGES: [string, Fault][] = [
  ['while waiting for the header', { delay: Number.POSITIVE_INFINITY }],
  ['before the first byte of the body', { stall: 0 }],
  ['in the middle of the body', { stall: 1_000_000 }],
  ['while waiting to retry', { status: 503, headers: { 'retry-after': '30' } }],
];

for (const [stage, fault] of STAGES) {
  t.test(`abort ${stage}`, async t => {
    const { server, source } = await opened(t);
    server.faults.push(fault);
    const controller = new AbortController();
    const read = source.read(0, BODY.length, { signal: controller.signal });
    const settled = promptly(read);
    await server.received(2);
    await new Promise(resolve => setTimeout(resolve, 30));
    controller.abort(REASON);
    const result = await settled;
    t.equal(result.status === 'rejected' && result.reason, REASON);
    await server.drained(fault.status === undefined ? 0 : 1);
    // Whoever asked to be left alone is left alone by later reads, too.
    if (fault.status === undefined)
      t.equal((await source.read(3, 5)).length, 5, 'the source goes on working');
  });

  t.test(`close() ${stage}`, async t => {
    const { server, source } = await opened(t);
    server.faults.push(fault);
    const settled = promptly(source.read(0, BODY.length));
    await server.received(2);
    await new Promise(resolve => setTimeout(resolve, 30));
    await source.close();
    t.match(await settled, { status: 'rejected', reason: { code: 'ERR_SOCI_CLOSED' } });
    await server.drained();
  });
}

t.test('abort before anything is sent', async t => {
  const { server, source } = await opened(t);
  const signal = AbortSignal.abort(REASON);
  const result = await promptly(source.read(0, 10, { signal }));
  t.equal(result.status === 'rejected' && result.reason, REASON);
  const open = await promptly(HttpSource.open(`${server.origin}/blob`, { signal }));
  t.equal(open.status === 'rejected' && open.reason, REASON);
  t.equal(server.requests.length, 1, 'only the probe of the open source');
});

t.test('abort right after the call, and at random moments of many reads', async t => {
  const { server, source } = await opened(t);
  const reads = Array.from({ length: 60 }, (_, i) => {
    const controller = new AbortController();
    if (i % 3 === 0) queueMicrotask(() => controller.abort(REASON));
    else if (i % 3 === 1) setTimeout(() => controller.abort(REASON), i / 4);
    return promptly(source.read(i, 300_000, { signal: controller.signal }));
  });
  for (const [i, result] of (await Promise.all(reads)).entries()) {
    if (result.status === 'fulfilled') t.equal(result.value.length, 300_000);
    else {
      t.not(i % 3, 2, 'only what was aborted may fail');
      t.equal(result.reason, REASON);
    }
  }
  await source.close();
  await server.drained();
});

t.test('abort while connecting, and while waiting for a free connection', async t => {
  const sockets = new Set<Socket>();
  // Accepts connections and never says a word: what TLS sees of a hung server.
  const mute = createServer(socket => {
    sockets.add(socket);
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve));
  t.teardown(() => mute.close());
  const { port } = mute.address() as { port: number };

  const connecting = new AbortController();
  const open = promptly(HttpSource.open(`https://127.0.0.1:${port}/blob`, { signal: connecting.signal }));
  setTimeout(() => connecting.abort(REASON), 50);
  const result = await open;
  t.equal(result.status === 'rejected' && result.reason, REASON);
  const deadline = Date.now() + PROMPTLY;
  while (sockets.size > 0 && Date.now() < deadline) await new Promise(resolve => setTimeout(resolve, 5));
  t.equal(sockets.size, 0, 'the half-open connection is gone');

  const server = await FaultyServer.listen();
  t.teardown(() => server.close());
  const source = await HttpSource.open(server.put('/blob', BODY), { transport: { connections: 1 } });
  t.teardown(() => source.close());
  server.faults.push({ delay: Number.POSITIVE_INFINITY });
  const first = promptly(source.read(0, 10));
  const queued = new AbortController();
  const second = promptly(source.read(0, 10, { signal: queued.signal }));
  await server.received(2);
  queued.abort(REASON);
  const waited = await second;
  t.equal(waited.status === 'rejected' && waited.reason, REASON);
  t.equal(server.requests.length, 2, 'the queued request was never sent');
  await source.close();
  t.match(await first, { status: 'rejected', reason: { code: 'ERR_SOCI_CLOSED' } });
});

t.test('abort while a header callback does not come back', async t => {
  const server = await FaultyServer.listen();
  t.teardown(() => server.close());
  const controller = new AbortController();
  const open = promptly(
    HttpSource.open(server.put('/blob', BODY), {
      headers: () => new Promise(() => {}),
      signal: controller.signal,
    }),
  );
  setTimeout(() => controller.abort(REASON), 20);
  const result = await open;
  t.equal(result.status === 'rejected' && result.reason, REASON);
  t.equal(server.requests.length, 0);
});

t.test('a stream that is aborted or closed while its consumer is busy', async t => {
  const { server, source } = await opened(t);
  const controller = new AbortController();
  const aborted = source.stream({ signal: controller.signal });
  await aborted.next();
  const closed = source.stream();
  await closed.next();
  controller.abort(REASON);
  const result = await promptly(aborted.next());
  t.equal(
    result.status === 'rejected' && result.reason,
    REASON,
    'buffered chunks are not handed out any more',
  );
  await source.close();
  t.match(await promptly(closed.next()), { status: 'rejected', reason: { code: 'ERR_SOCI_CLOSED' } });
  await server.drained();
});

t.test('a shared transport outlives its sources', async t => {
  const server = await FaultyServer.listen();
  const transport = new HttpTransport();
  t.teardown(() => server.close());
  const url = server.put('/blob', BODY);
  const one = await HttpSource.open(url, { transport });
  const two = await HttpSource.open(url, { transport });
  t.equal(server.connections, 1, 'they share connections');
  server.faults.push({ delay: Number.POSITIVE_INFINITY });
  const cut = promptly(one.read(0, 10));
  await server.received(3);
  await one.close();
  t.match(await cut, { status: 'rejected', reason: { code: 'ERR_SOCI_CLOSED' } });
  t.equal((await two.read(0, 10)).length, 10);
  await transport.close();
  t.match(await promptly(two.read(0, 10)), { status: 'rejected', reason: { code: 'ERR_SOCI_CLOSED' } });
  await two.close();
  await server.drained();
});
