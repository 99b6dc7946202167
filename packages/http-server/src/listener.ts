/**
 * Requests for the files of an image: path → file or directory → conditions →
 * the bytes asked for, as fast as the client takes them and no further.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import path from 'node:path';
import { contentType } from 'mime-types';
import Negotiator from 'negotiator';
import type { Image, ImageStats } from 'seekable-oci';
import { isUnchanged, requestedRange, type Validators } from './conditions.js';
import { listedFiles, listingPage } from './listing.js';
import { Refusal, refusalOf } from './refusal.js';
import { encodeSegment, type RequestPath, requestPath } from './request-path.js';

const COMMON_HEADERS = {
  // What an image holds is no page of this site: it may run nothing here.
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
  'x-content-type-options': 'nosniff',
  // The tag may lead to another image tomorrow; ETags make asking cheap.
  'cache-control': 'no-cache',
} as const;

/**
 * Serves the files of an image, which stays open. Reads end when their client leaves.
 *
 * @returns a listener for `http.createServer` and the like; it answers every request
 */
export function imageListener(image: Image): RequestListener {
  return (request, response) => {
    const left = new AbortController();
    response.once('close', () => left.abort());
    answer(image, request, response, left.signal).catch((error: unknown) => {
      if (left.signal.aborted) return;
      // Too late for a status: a broken connection is what tells the client.
      if (response.headersSent) response.destroy();
      else refuse(response, refusalOf(error), request.method);
    });
  };
}

async function answer(
  image: Image,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  for (const [name, value] of Object.entries(COMMON_HEADERS)) response.setHeader(name, value);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    throw new Refusal(405, 'there is only GET and HEAD', { allow: 'GET, HEAD' });
  }
  const target = requestPath(request.url ?? '');
  const stats = await image.stat(target.path, { signal });
  if (stats.isDirectory()) await answerDirectory(image, target, request, response, signal);
  else if (target.directory) throw new Refusal(404, 'it is no directory');
  else if (!stats.isFile()) throw new Refusal(403, 'it is no regular file');
  else await answerFile(image, { path: target.path, stats }, request, response, signal);
}

interface FoundFile {
  readonly path: Buffer;
  readonly stats: ImageStats;
}

async function answerFile(
  image: Image,
  { path: file, stats }: FoundFile,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const validators = await validatorsOf(image, file, stats, signal);
  response.setHeader('accept-ranges', 'bytes');
  response.setHeader('etag', validators.etag);
  if (validators.lastModified) response.setHeader('last-modified', validators.lastModified.toUTCString());
  if (isUnchanged(request.headers, validators)) {
    response.writeHead(304).end();
    return;
  }
  const extension = path.posix.extname(file.toString('latin1'));
  response.setHeader('content-type', contentType(extension) || 'application/octet-stream');
  // Ranges are of GET alone (RFC 9110 section 14.2).
  const asked =
    request.method === 'GET' ? requestedRange(request.headers, stats.size, validators) : undefined;
  const { start, end } = asked ?? { start: 0, end: stats.size };
  response.setHeader('content-length', end - start);
  if (asked) {
    response.statusCode = 206;
    response.setHeader('content-range', `bytes ${start}-${end - 1}/${stats.size}`);
  }
  if (request.method === 'GET' && end > start) {
    // Nothing is sent before the first bytes are there: until then a failure has a status.
    for await (const chunk of image.createReadStream(file, { start, endExclusive: end, signal })) {
      if (!response.write(chunk)) await once(response, 'drain', { signal });
    }
  }
  response.end();
}

/** The layer's digest and the file's entry in it name the bytes, whatever image they are in. */
async function validatorsOf(
  image: Image,
  file: Buffer,
  stats: ImageStats,
  signal: AbortSignal,
): Promise<Validators> {
  const { layerDigest, entry } = await image.locate(file, { signal });
  const hash = createHash('sha256').update(`${layerDigest} ${entry}`);
  const { mtime } = stats;
  const valid = mtime.getTime() >= 0 && mtime.getTime() <= Date.now();
  return { etag: `"${hash.digest('base64url')}"`, lastModified: valid ? mtime : undefined };
}

async function answerDirectory(
  image: Image,
  target: RequestPath,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  if (!target.directory && target.path.length > 1) {
    // Relative: no path of the request can make it lead to another host.
    const name = target.path.subarray(target.path.lastIndexOf('/') + 1);
    throw new Refusal(301, 'it is a directory', { location: `./${encodeSegment(name)}/` });
  }
  const dirents = await image.readdir(target.path, { withFileTypes: true, encoding: 'buffer', signal });
  const files = listedFiles(dirents);
  const types = ['text/html', 'application/json'];
  const json = new Negotiator(request).mediaType(types) === 'application/json';
  const text = json ? JSON.stringify(files) : listingPage(target.path.toString('utf8'), files);
  const body = Buffer.from(text);
  response.setHeader('content-type', json ? 'application/json' : 'text/html; charset=utf-8');
  response.setHeader('content-length', body.length);
  response.setHeader('vary', 'accept');
  response.end(request.method === 'HEAD' ? undefined : body);
}

function refuse(response: ServerResponse, refusal: Refusal, method: string | undefined): void {
  for (const name of response.getHeaderNames()) {
    if (!(name in COMMON_HEADERS)) response.removeHeader(name);
  }
  const body = Buffer.from(`${refusal.message}\n`);
  response.writeHead(refusal.status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': body.length,
    ...refusal.headers,
  });
  response.end(method === 'HEAD' ? undefined : body);
}
