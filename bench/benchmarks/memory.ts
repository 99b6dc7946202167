/** Peak memory while indexing, by size of the layer. */
import { SPAN_SIZE } from '../corpus.js';
import { trial } from '../process.js';
import { megabytesPerSecond, type Report, type Row } from '../report.js';
import { inRounds, value } from '../rounds.js';

const SIZES = [300e6, 3000e6];

export async function memory(): Promise<Report> {
  const variants = SIZES.map(bytes => ({
    name: `${bytes / 1e6} MB`,
    run: () => trial('indexGenerated', { bytes, spanSize: SPAN_SIZE }),
  }));
  const results = await inRounds(1, variants);
  const rows = variants.map(({ name }): Row => {
    const got = results.of(name);
    const megabytes = (key: string) => value(got, key) / 1e6;
    const rate = megabytesPerSecond(value(got, 'bytes'), value(got, 'milliseconds'));
    const own = megabytes('peak') - megabytes('ztocBytes');
    return {
      name,
      value: `${megabytes('peak').toFixed(0)} MB peak`,
      ratio: `${own.toFixed(0)} MB + ztoc of ${megabytes('ztocBytes').toFixed(1)} MB (aim ≤ 150 MB + ztoc); node before: ${megabytes('before').toFixed(0)} MB; ${rate}`,
    };
  });
  return {
    title: 'memory while indexing',
    conditions:
      'generated gzip members (node:zlib, level 6), never on disk; span size 4 MiB; one process each',
    rows,
    raw: results.raw,
  };
}
