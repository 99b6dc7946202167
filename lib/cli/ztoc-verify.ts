/** `seekable-oci ztoc verify`: a full pass over the layer that checks everything a ztoc says. */
import { SociError, verify } from '../index.js';
import { type Command, ExitStatus, type Invocation, QUIET_OPTION, ZTOC_DIGEST_OPTION } from './command.js';
import { openStream } from './layer-operand.js';
import { progressBar } from './progress-bar.js';
import { readZtoc } from './ztoc-input.js';

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', ztocPath = ''] = invocation.operands;
  const { output, signal } = invocation;
  const json = invocation.options['json'] === true;
  const { ztoc, digest } = await readZtoc(ztocPath, invocation);
  const layer = await openStream(operand, invocation);
  const bar = progressBar('verifying', layer.size, invocation);
  try {
    await verify(layer.source, ztoc, { signal, onProgress: bytes => bar.update(bytes) });
  } catch (error) {
    if (!json || !(error instanceof SociError) || error.code !== 'ERR_SOCI_ZTOC_MISMATCH') throw error;
    bar.end();
    await output.writeJson({ ok: false, digest, code: error.code, message: error.message, data: error.data });
    throw new ExitStatus(1);
  } finally {
    bar.end();
    await layer.close();
  }
  if (json) await output.writeJson({ ok: true, digest, spans: ztoc.spanCount, entries: ztoc.entryCount });
  else
    await output.write(
      `${digest}  describes the layer: ${ztoc.spanCount} spans, ${ztoc.entryCount} entries\n`,
    );
}

export const ztocVerify: Command = {
  summary: 'Proves that a ztoc describes a layer: all digests, checkpoints, windows and headers.',
  operands: ['LAYER', 'ZTOC'],
  options: {
    ...ZTOC_DIGEST_OPTION,
    json: { type: 'boolean', help: 'print the outcome as JSON, the first difference included' },
    ...QUIET_OPTION,
  },
  notes: [
    'LAYER is a path, an http(s) URL, or - for standard input; it is read once, whole.',
    'Ends with status 1 at the first difference.',
  ],
  run,
};
