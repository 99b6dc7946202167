/**
 * Every call of the public API refuses options that it does not know. The list is
 * held against the types of lib/index.ts: a new call with options must join it.
 */
import t from 'tap';
import * as api from '../../lib/index.js';
import { callsWithOptions } from '../lint/public-options.js';

const UNKNOWN = { unknwon: true } as never;
const NOTHING = {} as never;
const FILE = 'no such file';

/** What refuses, each called as its key says. */
const CALLS: Readonly<Record<string, () => unknown>> = {
  'FileSource.open': () => api.FileSource.open(FILE, UNKNOWN),
  'HttpSource.open': () => api.HttpSource.open('http://127.0.0.1:1/', UNKNOWN),
  'ReadContext#configure': () => new api.ReadContext().configure(UNKNOWN),
  'Store.open': () => api.Store.open(FILE, UNKNOWN),
  'Ztoc.decode': () => api.Ztoc.decode(NOTHING, UNKNOWN),
  buildZtoc: () => api.buildZtoc(NOTHING, UNKNOWN),
  configure: () => api.configure(UNKNOWN),
  convertImage: () => api.convertImage(NOTHING, NOTHING, UNKNOWN),
  copyIndex: () => api.copyIndex(NOTHING, NOTHING, UNKNOWN),
  createIndex: () => api.createIndex(NOTHING, UNKNOWN),
  deriveLoadOrder: () => api.deriveLoadOrder(NOTHING, UNKNOWN),
  findIndex: () => api.findIndex(NOTHING, NOTHING, UNKNOWN),
  findLoadOrder: () => api.findLoadOrder(NOTHING, NOTHING, 'start', UNKNOWN),
  importTrace: () => api.importTrace(NOTHING, NOTHING, UNKNOWN),
  keychain: () => api.keychain(UNKNOWN),
  listImages: () => api.listImages(NOTHING, NOTHING, UNKNOWN),
  listIndexes: () => api.listIndexes(NOTHING, NOTHING, UNKNOWN),
  listLoadOrders: () => api.listLoadOrders(NOTHING, NOTHING, UNKNOWN),
  loadZtoc: () => api.loadZtoc(NOTHING, NOTHING, NOTHING, UNKNOWN),
  'new HttpTransport': () => new api.HttpTransport(UNKNOWN),
  'new ReadContext': () => new api.ReadContext(UNKNOWN),
  'new RegistryTransport': () => new api.RegistryTransport(UNKNOWN),
  'new SpanReader': () => new api.SpanReader(new api.BufferSource(new Uint8Array(1)), NOTHING, UNKNOWN),
  openImage: () => api.openImage('oci:nowhere', UNKNOWN),
  openImageLocation: () => api.openImageLocation('oci:nowhere', NOTHING, UNKNOWN),
  openLayer: () => api.openLayer(NOTHING, NOTHING, UNKNOWN),
  publishIndex: () => api.publishIndex(NOTHING, UNKNOWN),
  pushIndex: () => api.pushIndex(NOTHING, UNKNOWN),
  pushLoadOrder: () => api.pushLoadOrder(NOTHING, NOTHING, NOTHING, UNKNOWN),
  resolveImages: () => api.resolveImages(NOTHING, undefined, UNKNOWN),
  selectManifest: () => api.selectManifest(NOTHING, NOTHING, undefined, UNKNOWN),
  verify: () => api.verify(NOTHING, NOTHING, UNKNOWN),
};

/** What may not: they hand their options on, to what others may have written, or are no calls of a user. */
const PASS_ON = [
  /^(Buffer|File|Http)Source#(read|readInto|stream)$/,
  /^FolderZtocCache#(get|put)$/,
  /^new SociError$/,
  // An object of the caller's own class, with whatever else it has.
  /^attachMetrics$/,
];

/** Methods of what has to be opened first: test/image/file-system.test.ts, test/layer/layer.test.ts and test/store/store.test.ts ask them. */
const OF_OPENED = [/^(Image|ImageFile|FileHandle|Layer|LayerFile|Store)#/];

/** What hands its options down to every read as they are: their names are few, and the time is its caller's. */
const PER_READ = [/^(FileTree|SpanReader)#/];

t.test('the list is the whole public API', async t => {
  const calls = callsWithOptions().filter(
    name => ![...PASS_ON, ...OF_OPENED, ...PER_READ].some(rule => rule.test(name)),
  );
  t.strictSame(Object.keys(CALLS).sort(), calls);
});

t.test('so are the names of limits', async t => {
  const code = 'ERR_SOCI_INVALID_ARGUMENT';
  const limits = { maxSpan: 1 } as never;
  await t.rejects(api.buildZtoc(new Uint8Array(0), { limits }), {
    code,
    message: /did you mean 'maxSpans'\?$/,
  });
  await t.rejects(api.openImage('oci:nowhere', { limits: { maxLayer: 1 } as never }), {
    code,
    message: /'maxLayers'/,
  });
});

t.test('names that a call does not know are refused', async t => {
  for (const [name, call] of Object.entries(CALLS)) {
    await t.rejects(
      async () => {
        await call();
      },
      {
        code: 'ERR_SOCI_INVALID_ARGUMENT',
        message: /^expected names that it knows for .*, received "unknwon"/,
      },
      name,
    );
  }
});
