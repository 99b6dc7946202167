/**
 * One trial: `node trial.js NAME PARAMETERS` measures one thing once, in a process
 * that has done nothing else, and prints the numbers as JSON.
 */
type Trial = (parameters: never) => Promise<Readonly<Record<string, number>>>;

/** Each loads only what it measures with: `against` brings a library of its own. */
const TRIALS: Readonly<Record<string, () => Promise<Trial>>> = {
  against: async () => (await import('./trials/against.js')).against,
  buildTrial: async () => (await import('./trials/build.js')).buildTrial,
  coldRead: async () => (await import('./trials/cold-read.js')).coldRead,
  crowdedHost: async () => (await import('./trials/lanes.js')).crowdedHost,
  decodeSpans: async () => (await import('./trials/span-decode.js')).decodeSpans,
  demandLatency: async () => (await import('./trials/lanes.js')).demandLatency,
  giantBlock: async () => (await import('./trials/giant-block.js')).giantBlock,
  indexGenerated: async () => (await import('./trials/build.js')).indexGenerated,
  loadOrder: async () => (await import('./trials/load-order.js')).loadOrder,
  nodeZlib: async () => (await import('./trials/node-zlib.js')).nodeZlib,
  planning: async () => (await import('./trials/planning.js')).planning,
  remoteImage: async () => (await import('./trials/remote-image.js')).remoteImage,
  secondStart: async () => (await import('./trials/second-start.js')).secondStart,
  streamTar: async () => (await import('./trials/tar-stream.js')).streamTar,
  tarOrder: async () => (await import('./trials/tar-order.js')).tarOrder,
  tableOfContents: async () => (await import('./trials/toc.js')).tableOfContents,
};

const [name = '', parameters = '{}'] = process.argv.slice(2);
const load = TRIALS[name];
if (load === undefined) throw new Error(`no trial '${name}'`);
const chosen = await load();
console.log(JSON.stringify(await chosen(JSON.parse(parameters) as never)));
