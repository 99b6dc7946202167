/** `seekable-oci load-order export`: a load order as a file, or as prefetch artifacts of the reference. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { prefetchArtifacts } from '../index.js';
import { byteText } from './byte-text.js';
import { type Command, type Invocation, optionText, UsageError } from './command.js';
import { counted } from './counted.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { chosenImage, namedLoadOrder, writeDocument } from './load-order-document.js';
import { OutputFile } from './output-file.js';

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', name = ''] = invocation.operands;
  const target = optionText(invocation, 'output');
  const spans = invocation.options['soci-prefetch'] === true;
  if (spans && (target === undefined || target === '-')) {
    throw new UsageError(
      'load-order export --soci-prefetch: expected -o DIR, as each layer has a file of its own',
    );
  }
  await ImageSession.run(invocation, [operand], async session => {
    const { signal } = session;
    const { repository, reference } = session.openKept(operand);
    const image = await chosenImage(session, repository, reference);
    const order = await namedLoadOrder(name, repository, image, signal);
    if (!spans) {
      await writeDocument(invocation, order);
      return;
    }
    await session.read(operand, async opened => {
      const plan = await opened.planLoads(order, { signal });
      if (plan.omitted.length > 0) {
        session.reporter.line(`${counted(plan.omitted.length, 'load')} that do not fit the image left out`);
      }
      await writeArtifacts(session, prefetchArtifacts(plan), target ?? '');
    });
  });
}

async function writeArtifacts(
  { output, json }: ImageSession,
  artifacts: ReturnType<typeof prefetchArtifacts>,
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const written = [];
  for (const { bytes, digest, layerDigest, size } of artifacts) {
    const path = join(folder, `${layerDigest.replace(':', '-')}.prefetch.json`);
    const file = await OutputFile.open(path, output);
    try {
      await file.write(bytes);
      await file.commit();
    } finally {
      await file.dispose();
    }
    written.push({ path, digest, size, layerDigest });
  }
  if (json) await output.writeJson(written);
  else {
    for (const { digest, layerDigest, size } of written) {
      await output.write(`${digest}  ${byteText(size)} for layer ${layerDigest}\n`);
    }
  }
}

export const loadOrderExport: Command = {
  summary: 'Writes a load order of an image to a file, or as prefetch artifacts of the SOCI reference.',
  operands: ['IMAGE', 'WORKLOAD|DOCUMENT'],
  options: {
    output: {
      type: 'string',
      short: 'o',
      value: 'OUT',
      help: 'where it goes (default -); a folder for artifacts',
    },
    'soci-prefetch': { type: 'boolean', help: 'prefetch artifacts: whole spans, a file for each layer' },
    ...IMAGE_OPTIONS,
  },
  notes: [
    'Artifacts name spans of the ztocs that the image is read with: those of its SOCI index, or of ones built here',
    'with the default span size. They have no order. Layers of which nothing is loaded get none.',
  ],
  run,
};
