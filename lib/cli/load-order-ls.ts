/** `seekable-oci load-order ls`: every load order that an image has, good or not. */
import { listLoadOrders, type PlatformImage, resolveImages } from '../index.js';
import { byteText } from './byte-text.js';
import type { Command, Invocation } from './command.js';
import { ALL_PLATFORMS_OPTIONS } from './image-option-table.js';
import { ImageSession, shortDigest } from './image-session.js';
import { platformText } from './index-summary.js';
import { sizesOf } from './load-order-document.js';
import { tableText } from './table-text.js';

interface Row {
  readonly workload: string | undefined;
  readonly digest: string;
  readonly platform: string;
  readonly image: string;
  readonly runs?: number;
  readonly loads?: number;
  readonly files?: number;
  readonly bytes?: number;
  /** Why it cannot be used. */
  readonly fault?: string;
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = ''] = invocation.operands;
  await ImageSession.run(invocation, [operand], async session => {
    const { output, json, signal, platforms, reporter } = session;
    const { repository, reference } = session.open(operand);
    const { images } = await resolveImages(repository, reference, { platforms, signal });
    const rows: Row[] = [];
    for (const image of new Map(images.map(each => [each.descriptor.digest, each])).values()) {
      const { found, faults } = await listLoadOrders(repository, image, { signal });
      const place = placeOf(image);
      for (const { descriptor, order } of found) {
        const { workload, runs } = order;
        rows.push({ workload, digest: descriptor.digest, ...place, runs, ...sizesOf(order) });
      }
      for (const { descriptor, workload, error } of faults) {
        rows.push({ workload, digest: descriptor.digest, ...place, fault: error.message });
      }
      if (found.length + faults.length === 0) {
        reporter.line(`image ${shortDigest(place.image)} (${place.platform}) has no load order`);
      }
    }
    if (json) await output.writeJson(rows);
    else if (rows.length > 0) await output.write(table(rows));
  });
}

function placeOf(image: PlatformImage): Pick<Row, 'platform' | 'image'> {
  return { platform: platformText(image), image: image.descriptor.digest };
}

function table(rows: readonly Row[]): string {
  const cells = rows.map(({ workload = '-', digest, platform, runs, files, bytes, fault }) => [
    workload,
    runs === undefined ? '-' : runs === 0 ? 'derived' : String(runs),
    files === undefined ? '-' : String(files),
    bytes === undefined ? '-' : byteText(bytes),
    platform,
    digest,
    fault === undefined ? '' : `unusable: ${fault}`,
  ]);
  return tableText([['WORKLOAD', 'RUNS', 'FILES', 'BYTES', 'PLATFORM', 'DIGEST', 'STATE'], ...cells]);
}

export const loadOrderLs: Command = {
  summary: 'Lists the load orders of an image.',
  operands: ['IMAGE'],
  options: ALL_PLATFORMS_OPTIONS,
  notes: ['Of several of one workload the one of the most runs is used, which is listed first.'],
  run,
};
