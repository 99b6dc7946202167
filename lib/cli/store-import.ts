/** `seekable-oci store import`: the images of an OCI archive or layout, into a store. */
import { importImages } from '../soci/store-transfer.js';
import { type Command, type Invocation, UsageError } from './command.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession } from './image-session.js';
import { reportIndexEvents } from './index-events.js';
import { printable } from './printable.js';

async function run(invocation: Invocation): Promise<void> {
  const [operand = ''] = invocation.operands;
  const source = /^(?:oci|oci-archive):/.test(operand) ? operand : `oci-archive:${operand}`;
  await ImageSession.run(invocation, [source], async session => {
    const { store, output, signal } = session;
    if (store === undefined) throw new UsageError('expected --store DIR');
    const onEvent = reportIndexEvents(session.reporter);
    const { repository } = session.open(source);
    const images = await importImages(store, repository, { signal, onEvent });
    if (session.json) await output.writeJson(images);
    else {
      await output.write(images.map(({ name, digest }) => `${digest}  ${printable(name)}\n`).join(''));
    }
    await store.collect({ signal });
  });
}

export const storeImport: Command = {
  summary: 'Takes all images with names out of an OCI archive or layout into a store.',
  operands: ['FILE'],
  options: IMAGE_OPTIONS,
  notes: [
    'FILE is a tar of an OCI layout, or oci:DIR. What has the full name of an image (registry/repo:tag) is read',
    "under that name without a request, with --offline too. Names keep images in the store: see 'store rm'.",
  ],
  run,
};
