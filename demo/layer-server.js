// A web server for one file that answers single byte ranges (RFC 9110 §14), as
// a registry's blob store does. It counts what leaves it.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';

/** Serves `file` on a free loopback port; resolves to { url, close }. */
export async function serveLayer(file) {
  const { size } = await stat(file);
  const server = createServer((request, response) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const start = range ? Number(range[1]) : 0;
    const last = range ? Math.min(Number(range[2]), size - 1) : size - 1;
    if (start > last) {
      response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
      return;
    }
    const headers = { 'accept-ranges': 'bytes', 'content-length': last - start + 1, etag: `"${size}"` };
    if (range) headers['content-range'] = `bytes ${start}-${last}/${size}`;
    response.writeHead(range ? 206 : 200, headers);
    createReadStream(file, { start, end: last }).pipe(response);
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/layer.tar.gz`,
    close: () => {
      server.closeAllConnections();
      return new Promise(resolve => server.close(resolve));
    },
  };
}
