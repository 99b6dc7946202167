/**
 * One trial: `node trial.js NAME PARAMETERS` measures one thing once, in a process
 * that has done nothing else, and prints the numbers as JSON.
 */
import { buildTrial, indexGenerated } from './trials/build.js';
import { coldRead } from './trials/cold-read.js';
import { nodeZlib } from './trials/node-zlib.js';
import { remoteImage } from './trials/remote-image.js';
import { decodeSpans } from './trials/span-decode.js';
import { streamTar } from './trials/tar-stream.js';
import { tableOfContents } from './trials/toc.js';

type Trial = (parameters: never) => Promise<Readonly<Record<string, number>>>;

const TRIALS: Readonly<Record<string, Trial>> = {
  buildTrial,
  coldRead,
  decodeSpans,
  indexGenerated,
  nodeZlib,
  remoteImage,
  streamTar,
  tableOfContents,
};

const [name = '', parameters = '{}'] = process.argv.slice(2);
const chosen = TRIALS[name];
if (chosen === undefined) throw new Error(`no trial '${name}'`);
console.log(JSON.stringify(await chosen(JSON.parse(parameters) as never)));
