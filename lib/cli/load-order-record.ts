/** `seekable-oci load-order record`: a run that another tool has seen, as a load order of one run. */
import { createReadStream } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import { importTrace, mergeTraces } from '../index.js';
import { type Command, type Invocation, optionText, UsageError } from './command.js';
import { counted } from './counted.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { DOCUMENT_OPTIONS, WORKLOAD_OPTION, workloadOption, writeDocument } from './load-order-document.js';

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', log = ''] = invocation.operands;
  const workload = workloadOption(invocation) ?? 'start';
  const root = optionText(invocation, 'root');
  if (root !== undefined && !root.startsWith('/')) {
    throw new UsageError(`--root: expected an absolute path, received '${root}'`);
  }
  await ImageSession.run(invocation, [operand], async session => {
    const { signal, reporter } = session;
    await session.read(operand, async image => {
      // Standard input may never end: an interruption ends the wait for it.
      const lines = addAbortSignal(signal, log === '-' ? invocation.input() : createReadStream(log));
      const { trace, leftOut } = await importTrace(image, lines, { root, signal });
      if (leftOut > 0) reporter.line(`${counted(leftOut, 'read')} of what is no file of the image left out`);
      await writeDocument(invocation, mergeTraces([trace], workload));
    });
  });
}

export const loadOrderRecord: Command = {
  summary: 'Makes a load order of one run of an image, out of a log of what the run read.',
  operands: ['IMAGE', 'LOG'],
  options: {
    ...DOCUMENT_OPTIONS,
    ...WORKLOAD_OPTION,
    root: { type: 'string', value: 'DIR', help: "what stands before the image's paths in the log" },
    ...IMAGE_OPTIONS,
  },
  notes: [
    'Nothing is run and nothing is mounted: LOG, or - for standard input, is what another tool has seen. It is',
    'the log of \'strace -f -y -ttt\', or lines of JSON, {"path":TEXT,"start":BYTE,"end":BYTE,"ms":TIME}, of',
    'which only path is required, or paths, one in each line. What is no file of the image is left out.',
    "'load-order merge' makes one load order of many runs.",
  ],
  run,
};
