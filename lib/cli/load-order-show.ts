/** `seekable-oci load-order show`: what a load order says, as a table. */
import type { Load, LoadOrder } from '../index.js';
import { isWholeFile } from '../soci/load-order.js';
import { byteText } from './byte-text.js';
import { type Command, type Invocation, UsageError } from './command.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { chosenImage, namedLoadOrder, readDocument, summaryText } from './load-order-document.js';
import { tableText } from './table-text.js';

async function run(invocation: Invocation): Promise<void> {
  const [first = '', workload] = invocation.operands;
  if (workload === undefined) {
    await print(invocation, await readDocument(first, invocation.signal));
    return;
  }
  if (workload === '') throw new UsageError('load-order show: expected the name of a workload behind IMAGE');
  await ImageSession.run(invocation, [first], async session => {
    const { repository, reference } = session.openKept(first);
    const image = await chosenImage(session, repository, reference);
    await print(invocation, await namedLoadOrder(workload, repository, image, session.signal));
  });
}

async function print({ output, options }: Invocation, order: LoadOrder): Promise<void> {
  if (options['json'] === true) {
    await output.writeJson(order);
    return;
  }
  const rows = order.loads.map(load => rowOf(load, order.runs));
  await output.write(`${summaryText(order)}\nimage ${order.image}\n`);
  if (rows.length > 0)
    await output.write(tableText([['URGENCY', 'RUNS', 'MS', 'BYTES', 'RANGE', 'PATH'], ...rows]));
}

function rowOf(load: Load, ofRuns: number): string[] {
  const { path, start, end, urgency, runs, ms } = load;
  return [
    String(urgency),
    runs === undefined ? '-' : `${runs}/${ofRuns}`,
    ms === undefined ? '-' : String(ms),
    byteText(end - start),
    isWholeFile(load) ? 'all' : `${start}-${end}`,
    path,
  ];
}

export const loadOrderShow: Command = {
  summary: 'Prints a load order: a file, or the one of a workload that an image has beside it.',
  operands: ['DOCUMENT|IMAGE', '[WORKLOAD]'],
  options: { ...IMAGE_OPTIONS, json: { type: 'boolean', help: 'print the document as JSON' } },
  notes: ['A range ends before its second number. Urgency is that of RFC 9218: 0 comes first, 7 last.'],
  run,
};
