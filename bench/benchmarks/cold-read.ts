/** The first read of one file behind HTTP: requests, bytes and time, by file size. */
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TocEntry, Ztoc } from '../../lib/index.js';
import { type Layer, realLayer } from '../corpus.js';
import { trial } from '../process.js';
import { type Report, type Row, times } from '../report.js';
import { inRounds, value } from '../rounds.js';

const ROUNDS = 5;
const SIZES = [1e3, 10e3, 100e3, 1e6, 10e6, 30e6];

/** Single ranges of one file (RFC 9110 §14). */
function serve(path: string): Promise<Server> {
  const { size } = statSync(path);
  const server = createServer((request, response) => {
    const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = Number(match?.[1] ?? 0);
    const end = match?.[2] ? Math.min(Number(match[2]), size - 1) : size - 1;
    response.writeHead(match ? 206 : 200, {
      'accept-ranges': 'bytes',
      'content-length': end - start + 1,
      etag: '"bench"',
      ...(match ? { 'content-range': `bytes ${start}-${end}/${size}` } : {}),
    });
    createReadStream(path, { start, end }).pipe(response);
  });
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** The regular files whose sizes come closest to SIZES. */
function filesBySize(layer: Layer): TocEntry[] {
  const files = [...Ztoc.decode(readFileSync(layer.ztocPath)).entries()].filter(
    entry => entry.type === 'reg',
  );
  return SIZES.map(size =>
    files.reduce((best, entry) => (Math.abs(entry.size - size) < Math.abs(best.size - size) ? entry : best)),
  );
}

export async function coldRead(): Promise<Report> {
  const layer = await realLayer();
  const { size } = statSync(layer.path);
  const server = await serve(layer.path);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/layer`;
  const files = filesBySize(layer);
  try {
    const variants = files.map(({ name }) => ({
      name,
      run: () => trial('coldRead', { url, ztoc: layer.ztocPath, path: name }),
    }));
    const whole = { name: 'node:zlib, whole stream', run: () => trial('nodeZlib', { layer: layer.path }) };
    const results = await inRounds(ROUNDS, [...variants, whole]);
    const all = value(results.of(whole.name), 'milliseconds');
    const rows = files.map((file): Row => {
      const got = results.of(file.name);
      const fetched = value(got, 'fetched');
      const share = ((fetched / size) * 100).toFixed(2);
      const faster = times(all / value(got, 'milliseconds'));
      return {
        name: `${file.size} B`,
        value: `${value(got, 'milliseconds').toFixed(0)} ms`,
        ratio: `${value(got, 'requests')} requests, ${(fetched / 1e6).toFixed(2)} MB = ${share} % of the layer; ${faster} as fast as gunzipping all of it`,
      };
    });
    return {
      title: 'cold read of one file',
      conditions: `${layer.description}; span size 4 MiB; HTTP/1.1 over loopback, nothing cached, ztoc at hand; medians of ${ROUNDS} processes`,
      rows,
      raw: results.raw,
    };
  } finally {
    server.close();
    server.closeAllConnections();
  }
}
