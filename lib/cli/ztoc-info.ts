/** `seekable-oci ztoc info`: a ztoc as JSON, with the field names of the reference tool. */
import type { Ztoc } from '../index.js';
import { largestSpan } from '../ztoc/largest-span.js';
import { type Command, type Invocation, ZTOC_DIGEST_OPTION } from './command.js';
import { largestSpanAsJson } from './largest-span-text.js';
import { readZtoc } from './ztoc-input.js';

/** `end_span` is the last one, as the reference has it; an empty file has that at its place. */
function files(ztoc: Ztoc) {
  return Array.from(ztoc.entries(), entry => {
    const { firstSpan, endSpan } = ztoc.locateRange(entry);
    return {
      filename: entry.name,
      offset: entry.offset,
      size: entry.size,
      type: entry.type,
      start_span: firstSpan,
      end_span: Math.max(firstSpan, endSpan - 1),
    };
  });
}

async function run(invocation: Invocation): Promise<void> {
  const [path = ''] = invocation.operands;
  const { ztoc, size } = await readZtoc(path, invocation);
  const list = files(ztoc);
  await invocation.output.writeJson({
    version: ztoc.version,
    build_tool: ztoc.buildToolIdentifier,
    size,
    span_size: ztoc.spanSize,
    num_spans: ztoc.spanCount,
    largest_span: largestSpanAsJson(largestSpan(ztoc)),
    num_files: list.length,
    num_multi_span_files: list.filter(file => file.end_span > file.start_span).length,
    files: list,
  });
}

export const ztocInfo: Command = {
  summary: 'Prints what a ztoc holds, as JSON.',
  operands: ['ZTOC'],
  options: {
    ...ZTOC_DIGEST_OPTION,
    json: { type: 'boolean', help: 'accepted for symmetry: the output is JSON anyway' },
  },
  notes: [
    'offset and size are bytes of the uncompressed tar; size at the top is that of the ztoc.',
    'largest_span is what reading one byte may cost; reason says when a DEFLATE block makes it larger than asked.',
    'A file lies in the spans from start_span to end_span, that one included.',
  ],
  run,
};
