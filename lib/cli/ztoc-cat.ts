/** `seekable-oci ztoc cat`: the bytes of one file, fetching only its spans. */
import { openLayer, ReadContext } from '../index.js';
import { type Command, type Invocation, ZTOC_DIGEST_OPTION } from './command.js';
import { openRanges } from './layer-operand.js';
import { readZtoc } from './ztoc-input.js';

const CHUNK = 1024 * 1024;

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', ztocPath = '', path = ''] = invocation.operands;
  const { output, signal } = invocation;
  const { ztoc } = await readZtoc(ztocPath, invocation);
  const input = await openRanges(operand, signal);
  try {
    await using layer = await openLayer(input.source, ztoc, { context: new ReadContext(), signal });
    await using file = await layer.open(path, { signal });
    for (let position = 0; position < file.size; ) {
      // A fresh buffer each time: standard output may still hold the last one.
      const buffer = new Uint8Array(Math.min(CHUNK, file.size - position));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position, { signal });
      await output.write(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  } finally {
    await input.close();
  }
}

export const ztocCat: Command = {
  summary: 'Writes one file of a layer to standard output, fetching only the spans it lies in.',
  operands: ['LAYER', 'ZTOC', 'PATH'],
  options: ZTOC_DIGEST_OPTION,
  notes: [
    'LAYER is a path or an http(s) URL. Links inside the layer are followed.',
    'Every span is checked against its digest in the ztoc before a byte is printed.',
  ],
  run,
};
