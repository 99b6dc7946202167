/**
 * The options that Node.js documents for the calls that an image imitates: each is honoured, or refused by its name.
 * None is taken and then ignored.
 */
import t, { type Test } from 'tap';
import type { Image } from '../../lib/image/image.js';
import { openImage } from '../../lib/image/open-image.js';
import { openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { layerOf, pushIndexedImage } from './sample-image.js';

type Call =
  | 'access'
  | 'createReadStream'
  | 'glob'
  | 'handle.createReadStream'
  | 'handle.read'
  | 'handle.readFile'
  | 'lstat'
  | 'open'
  | 'opendir'
  | 'readFile'
  | 'readdir'
  | 'readlink'
  | 'realpath'
  | 'stat';

interface Options {
  readonly honoured: Readonly<Record<string, unknown>>;
  readonly refused: readonly string[];
}

/** By call: what is honoured, and with which value it may be tried; what is refused. */
const DOCUMENTED: Readonly<Record<Call, Options>> = {
  access: { honoured: {}, refused: [] },
  createReadStream: {
    honoured: { encoding: 'latin1', start: 1, signal: new AbortController().signal },
    refused: ['flags', 'fd', 'mode', 'autoClose', 'emitClose', 'end', 'highWaterMark', 'fs'],
  },
  glob: { honoured: { cwd: '/etc', withFileTypes: true }, refused: ['exclude', 'followSymlinks'] },
  'handle.createReadStream': {
    honoured: { encoding: 'latin1', start: 1, signal: new AbortController().signal },
    refused: ['autoClose', 'emitClose', 'end', 'highWaterMark'],
  },
  'handle.read': { honoured: {}, refused: [] },
  'handle.readFile': {
    honoured: { encoding: 'hex', signal: new AbortController().signal },
    refused: ['flag'],
  },
  lstat: { honoured: {}, refused: ['bigint'] },
  open: { honoured: {}, refused: ['flags', 'mode'] },
  opendir: { honoured: { encoding: 'hex', recursive: true }, refused: ['bufferSize', 'withFileTypes'] },
  readFile: { honoured: { encoding: 'hex', signal: new AbortController().signal }, refused: ['flag'] },
  readdir: { honoured: { encoding: 'hex', withFileTypes: true, recursive: true }, refused: ['bufferSize'] },
  readlink: { honoured: { encoding: 'hex' }, refused: [] },
  realpath: { honoured: { encoding: 'hex' }, refused: [] },
  stat: { honoured: {}, refused: ['bigint', 'throwIfNoEntry'] },
};
/** Calls that take an encoding, in an object or alone. */
const ENCODED = Object.entries(DOCUMENTED)
  .filter(([, { honoured }]) => 'encoding' in honoured)
  .map(([call]) => call as Call);

async function sample(t: Test): Promise<Image> {
  const repository = openRepository(startTransport(t), await startRegistry(t));
  const layer = await layerOf([
    { name: 'etc/', type: 'directory' },
    { name: 'etc/motd', body: Buffer.from('hello\n') },
    { name: 'link', type: 'symlink', linkname: 'etc' },
  ]);
  const { descriptor } = await pushIndexedImage(repository, [layer], { tag: 'options' });
  const image = await openImage({ repository, reference: descriptor.digest });
  t.teardown(() => image.close());
  return image;
}

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The call with its result in a form that can be compared. */
async function result(image: Image, call: Call, options: unknown): Promise<unknown> {
  const given = options as never;
  const file = '/etc/motd';
  switch (call) {
    case 'access':
      return await image.access(file, 0, given);
    case 'createReadStream':
      return await image.createReadStream(file, given).toArray();
    case 'glob':
      return await collected(image.glob('*', given));
    case 'handle.createReadStream':
      return await (await image.open(file)).createReadStream(given).toArray();
    case 'handle.read':
      return (await (await image.open(file)).read(Buffer.alloc(1), 0, 1, 0, given)).bytesRead;
    case 'handle.readFile':
      return await (await image.open(file)).readFile(given);
    case 'opendir':
      return (await collected(await image.opendir('/', given))).map(({ name }) => name);
    case 'readdir':
      return await image.readdir('/', given);
    case 'readlink':
      return await image.readlink('/link', given);
    case 'realpath':
      return await image.realpath('/link', given);
    case 'open':
      return (await image.open(file, given)).size;
    case 'lstat':
    case 'readFile':
    case 'stat':
      return await image[call](file, given);
  }
}

t.test('options are honoured or refused', async t => {
  const image = await sample(t);
  for (const [call, { honoured, refused }] of Object.entries(DOCUMENTED) as [Call, Options][]) {
    const plain = await result(image, call, undefined);
    for (const [name, value] of Object.entries(honoured)) {
      const found = await result(image, call, { [name]: value });
      if (name === 'signal') t.same(found, plain, `${call} ${name}`);
      else t.notSame(found, plain, `${call} ${name}`);
    }
    const before = { code: 'ERR_SOCI_INVALID_ARGUMENT', message: /options of/ };
    for (const name of refused)
      await t.rejects(result(image, call, { [name]: 'r' }), before, `${call} ${name}`);
    const aborted = { signal: AbortSignal.abort(new Error('enough')) };
    await t.rejects(result(image, call, aborted), { message: 'enough' }, `${call} sees an abort`);
  }
});

t.test('an encoding is one that Buffer knows, and may stand alone', async t => {
  const image = await sample(t);
  for (const call of ENCODED) {
    t.same(await result(image, call, 'hex'), await result(image, call, { encoding: 'hex' }), `${call} 'hex'`);
    t.same(await result(image, call, null), await result(image, call, undefined), `${call} null`);
    t.same(
      await result(image, call, { encoding: null }),
      await result(image, call, {}),
      `${call} no encoding`,
    );
    const bytes = await result(image, call, 'buffer');
    t.ok(Buffer.isBuffer(Array.isArray(bytes) ? bytes[0] : bytes), `${call} 'buffer'`);
    for (const encoding of ['utf-9', '', 'toString', 8, {}]) {
      const refusal = { code: 'ERR_SOCI_INVALID_ARGUMENT', message: /encoding/ };
      await t.rejects(result(image, call, { encoding }), refusal, `${call} ${String(encoding)}`);
    }
  }
});

t.test('what is no mode of access is refused', async t => {
  const image = await sample(t);
  for (const mode of ['r', 8, -1, null]) {
    await t.rejects(image.access('/etc', mode as never), { code: 'ERR_SOCI_INVALID_ARGUMENT' }, `${mode}`);
  }
});
