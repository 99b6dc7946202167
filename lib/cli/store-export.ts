/** `seekable-oci store export`: an image of a store as an OCI archive. */
import { formatReference, openImageLocation, parseImageLocation, parsePlatform } from '../index.js';
import { exportImage } from '../soci/store-transfer.js';
import { type Command, type Invocation, UsageError } from './command.js';
import { IMAGE_OPTIONS } from './image-option-table.js';
import { ImageSession, shortDigest } from './image-session.js';
import { reportIndexEvents } from './index-events.js';

async function run(invocation: Invocation): Promise<void> {
  const [operand = '', path = ''] = invocation.operands;
  await ImageSession.run(invocation, [operand], async session => {
    const { store, output, signal, onePlatform } = session;
    const location = parseImageLocation(operand);
    if (store === undefined) throw new UsageError('expected --store DIR');
    if (location.kind !== 'registry')
      throw new UsageError('store export: expected the name of a registry’s image');
    const { tag = 'latest', digest, ...place } = location.reference;
    const name = formatReference(digest === undefined ? { ...place, tag } : { ...place, digest });
    const target = openImageLocation({ kind: 'archive', path }, session.transport).repository;
    try {
      const { descriptor, leftOut } = await exportImage(store, session.openKept(operand), target, {
        name,
        platform: onePlatform === undefined ? undefined : parsePlatform(onePlatform),
        signal,
        onEvent: reportIndexEvents(session.reporter),
      });
      for (const { digest, error } of leftOut) {
        session.reporter.line(`the SOCI index ${shortDigest(digest)} is left out: ${error.message}`);
      }
      if (session.json) await output.writeJson({ name, digest: descriptor.digest, size: descriptor.size });
      else await output.write(`${descriptor.digest}  ${name}\n`);
    } finally {
      await target.close();
    }
  });
}

export const storeExport: Command = {
  summary: 'Writes an image that a store has, with its SOCI indexes, to a tar of an OCI layout.',
  operands: ['IMAGE', 'FILE'],
  options: IMAGE_OPTIONS,
  notes: [
    'What the store lacks is fetched first, and kept; --offline it is named instead. An archive that is there',
    'gets the image added. FILE is read by',
    "'store import', as oci-archive:FILE by all commands, and by skopeo.",
  ],
  run,
};
