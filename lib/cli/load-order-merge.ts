/** `seekable-oci load-order merge`: one load order of many runs. */
import { mergeTraces, traceOf } from '../index.js';
import { type Command, type Invocation, UsageError } from './command.js';
import { DOCUMENT_OPTIONS, readDocument, workloadOption, writeDocument } from './load-order-document.js';

async function run(invocation: Invocation): Promise<void> {
  const { operands, signal } = invocation;
  const named = workloadOption(invocation);
  const traces = [];
  let workload = named;
  for (const path of operands) {
    const order = await readDocument(path, signal);
    if (order.runs !== 1) {
      throw new UsageError(`${path}: expected a load order of one run, found one of ${order.runs}`);
    }
    workload ??= order.workload;
    traces.push(traceOf(order));
  }
  await writeDocument(invocation, mergeTraces(traces, workload ?? 'start'));
}

export const loadOrderMerge: Command = {
  summary: 'Makes one load order of many runs: what all read comes first, what hardly any read last.',
  operands: ['DOCUMENT…'],
  options: {
    ...DOCUMENT_OPTIONS,
    workload: { type: 'string', value: 'NAME', help: "the workload's name (default that of the first)" },
    json: { type: 'boolean', help: 'print the summary as JSON' },
  },
  notes: [
    "Each DOCUMENT is one that 'load-order record' wrote, all of the same image, 1000 at most. The result does",
    'not depend on their order.',
  ],
  run,
};
