/** `seekable-oci ztoc build`: one pass over a layer, one ztoc file. */
import { buildZtoc, SociError } from '../index.js';
import { byteText } from './byte-text.js';
import {
  type Command,
  type Invocation,
  optionBytes,
  optionText,
  QUIET_OPTION,
  UsageError,
} from './command.js';
import { openStream } from './layer-operand.js';
import { OutputFile } from './output-file.js';
import { progressBar } from './progress-bar.js';

async function build(operand: string, options: Record<string, unknown>, invocation: Invocation) {
  const { signal } = invocation;
  const layer = await openStream(operand, invocation);
  const bar = progressBar('indexing', layer.size, invocation);
  try {
    return await buildZtoc(layer.source, {
      ...options,
      signal,
      onProgress: bytes => bar.update(bytes),
    });
  } finally {
    bar.end();
    await layer.close();
  }
}

async function run(invocation: Invocation): Promise<void> {
  const { output } = invocation;
  const [operand = ''] = invocation.operands;
  const target = optionText(invocation, 'output');
  if (target === undefined)
    throw new UsageError('ztoc build: expected -o FILE (or -o - for standard output)');
  const size = optionBytes(invocation, 'span-size', 1);
  const identifier = optionText(invocation, 'build-tool-identifier');
  const options = {
    ...(size === undefined ? {} : { spanSize: size }),
    ...(identifier === undefined ? {} : { buildToolIdentifier: identifier }),
  };
  const file = await OutputFile.open(target, output);
  try {
    const { ztoc, layerDigest, layerSize } = await build(operand, options, invocation);
    // What a pipe gives whose writer failed: to the library an empty layer, here never what was meant.
    if (layerSize === 0) {
      throw new SociError('ERR_SOCI_LAYER_TRUNCATED', 'expected a gzip or uncompressed tar, found 0 bytes');
    }
    const bytes = ztoc.encode();
    invocation.signal.throwIfAborted();
    await file.write(bytes);
    await file.commit();
    if (target === '-') return;
    const summary = {
      digest: ztoc.digest,
      size: bytes.length,
      layerDigest,
      layerSize,
      spanSize: ztoc.spanSize,
      spans: ztoc.spanCount,
      entries: ztoc.entryCount,
    };
    if (invocation.options['json'] === true) await output.writeJson(summary);
    else {
      const counts = `${ztoc.spanCount} spans, ${ztoc.entryCount} entries`;
      await output.write(`${ztoc.digest}  ${counts}, ${byteText(bytes.length)} for ${byteText(layerSize)}\n`);
    }
  } finally {
    await file.dispose();
  }
}

export const ztocBuild: Command = {
  summary: 'Builds the table of contents (ztoc) of a layer in one pass and writes it to a file.',
  operands: ['LAYER'],
  options: {
    output: { type: 'string', short: 'o', value: 'FILE', help: 'where the ztoc goes; - is standard output' },
    'span-size': { type: 'string', value: 'SIZE', help: 'uncompressed bytes per span (default 4MiB)' },
    'build-tool-identifier': {
      type: 'string',
      value: 'S',
      help: 'written into the ztoc (default: this tool)',
    },
    json: { type: 'boolean', help: 'print the result as JSON' },
    ...QUIET_OPTION,
  },
  notes: [
    'LAYER is a path, an http(s) URL, or - for standard input: a gzip or uncompressed tar.',
    'Prints the digest of the ztoc. FILE appears when it is complete, or not at all.',
  ],
  run,
};
