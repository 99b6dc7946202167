/** Layers and ztocs written by other implementations; the corpus is larger and need not be there. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** tap runs tests at the package root. */
const FIXTURES = path.resolve('test/fixtures/ztoc');

export function fixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(path.join(FIXTURES, name)));
}

export const CORPUS: string | undefined = process.env['SEEKABLE_OCI_CORPUS'];

/** What the reference makes of a blob: a row of expected.tsv. */
export interface Golden {
  readonly blob: string;
  readonly spanSize: number;
  readonly digest: string | undefined;
}

/** Ztoc digests of the layers in test/fixtures/ztoc, from the same table. */
export const GOLDENS: readonly Golden[] = [
  ['empty-z6.tar.gz', 65_536, '7a779dc7cc6ee553646f21ea7c3270be50fc5e67d2d867b1ec3f6215a95e7e9e'],
  ['tiny-z6.tar.gz', 4_194_304, '388a0accf34ba537072f414be924db099a72b42185bda218c964875b31dcaf3c'],
  ['tiny.tar', 65_536, 'b850e5e09ca3f051aaf754a7151c98b53886aced4afb590a2871bcba1d52acfd'],
  ['pax-z6.tar.gz', 65_536, '4e2c4a383f664636b4fa5c3de766043a2656ee0a1eefdd03f39b3759b2465fd4'],
  ['pax-z6.tar.gz', 4_194_304, '1c5d14db7427c54bdcde807a7bf8b29060e6cec36093af22faf24f14b83851cc'],
  ['gnu-pigz-i.tar.gz', 65_536, '687e3532809ac050f9c1b3fb7fa6d3430071a8a8e77ca89ee3142d0e273ab609'],
].map(([blob, spanSize, hex]) => ({
  blob: String(blob),
  spanSize: Number(spanSize),
  digest: `sha256:${hex}`,
}));

/** Every row of the corpus's expected.tsv. */
export function corpusRows(corpus: string): readonly Golden[] {
  const [, ...lines] = readFileSync(path.join(corpus, 'expected.tsv'), 'utf8').trim().split('\n');
  return lines.map(line => {
    const [blob = '', spanSize, builds, digest] = line.split('\t');
    return { blob, spanSize: Number(spanSize), digest: builds === 'yes' ? digest : undefined };
  });
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
