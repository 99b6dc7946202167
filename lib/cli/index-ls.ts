/** `seekable-oci index ls`: every SOCI index of an image, good or not. */
import { type FoundIndex, listIndexes, type PlatformImage, resolveImages } from '../index.js';
import { byteText } from './byte-text.js';
import type { Command, Invocation } from './command.js';
import { ALL_PLATFORMS_OPTIONS } from './image-option-table.js';
import { ImageSession, shortDigest } from './image-session.js';
import { platformText } from './index-summary.js';
import { tableText } from './table-text.js';

interface Row {
  readonly digest: string;
  readonly version: string;
  readonly platform: string;
  readonly image: string;
  /** Whether reading the image would use it. */
  readonly used: boolean;
  readonly size?: number;
  readonly layers?: string;
  readonly ztocBytes?: number;
  readonly buildTool?: string | undefined;
  /** Why it cannot be used. */
  readonly fault?: string;
}

function rowOf(found: FoundIndex, image: PlatformImage, position: number): Row {
  const { descriptor, index, covered, ztocs } = found;
  return {
    digest: descriptor.digest,
    version: index.version,
    platform: platformText(image),
    image: image.descriptor.digest,
    // They come in the order in which a read would take them.
    used: position === 0,
    size: descriptor.size,
    layers: `${covered}/${ztocs.length}`,
    ztocBytes: ztocs.reduce((sum, ztoc) => sum + (ztoc?.size ?? 0), 0),
    buildTool: index.buildToolIdentifier,
  };
}

function table(rows: readonly Row[]): string {
  const cells = rows.map(row => [
    row.digest,
    row.version,
    row.platform,
    row.layers ?? '-',
    row.ztocBytes === undefined ? '-' : byteText(row.ztocBytes),
    row.fault === undefined ? (row.used ? 'used' : '') : `unusable: ${row.fault}`,
    row.buildTool ?? '',
  ]);
  return tableText([['DIGEST', 'VERSION', 'PLATFORM', 'LAYERS', 'ZTOCS', 'STATE', 'BUILD TOOL'], ...cells]);
}

async function run(invocation: Invocation): Promise<void> {
  const [operand = ''] = invocation.operands;
  await ImageSession.run(invocation, [operand], async session => {
    const { output, json, signal, platforms, index: only, reporter } = session;
    const { repository, reference } = session.open(operand);
    const { images } = await resolveImages(repository, reference, { platforms, signal });
    const rows: Row[] = [];
    for (const image of new Map(images.map(each => [each.descriptor.digest, each])).values()) {
      const { indexes, attempts } = await listIndexes(repository, image, { signal });
      // "There is none" must not be said when nobody could be asked.
      const unreachable = attempts.find(({ outcome }) => outcome === 'unreachable');
      if (unreachable !== undefined) throw unreachable.error;
      rows.push(...indexes.map((found, position) => rowOf(found, image, position)));
      for (const { digest, version, message } of attempts) {
        if (digest === undefined) continue;
        const place = { platform: platformText(image), image: image.descriptor.digest };
        rows.push({ digest, version, ...place, used: false, fault: message });
      }
      if (indexes.length === 0) {
        reporter.line(
          `image ${shortDigest(image.descriptor.digest)} (${platformText(image)}) has no SOCI index`,
        );
      }
    }
    const shown = rows.filter(({ digest }) => only === undefined || digest === only);
    if (json) await output.writeJson(shown);
    else if (shown.length > 0) await output.write(table(shown));
  });
}

export const indexLs: Command = {
  summary: 'Lists the SOCI indexes of an image: its own (v2) and those that refer to it (v1).',
  operands: ['IMAGE'],
  options: {
    ...ALL_PLATFORMS_OPTIONS,
    index: { type: 'string', value: 'DIGEST', help: 'only this one' },
  },
  notes: ["'used' is the one that reads take unless --index names another."],
  run,
};
