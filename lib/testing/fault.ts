/**
 * Faults: what a registry, or the network before it, does wrong. Each one says
 * which requests it is for and how the answer differs from the right one.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { RegistryRequest, Reply } from './reply.js';

export interface RequestMatcher {
  readonly method?: string | undefined;
  /** A substring of the path, or an expression for it. */
  readonly path?: string | RegExp | undefined;
}

export interface Fault {
  /** Which requests; all when absent. */
  readonly match?: RequestMatcher | ((request: RegistryRequest) => boolean) | undefined;
  /** How many matching requests pass untouched first. Default 0. */
  readonly skip?: number | undefined;
  /** How many are then affected. Default: all. */
  readonly times?: number | undefined;
  /** Milliseconds to wait before anything is answered. */
  readonly delay?: number | undefined;
  /** Waits for this before anything is answered. */
  readonly until?: ((request: RegistryRequest) => Promise<void>) | undefined;
  /** Answer this instead of asking the registry. */
  readonly reply?: Reply | ((request: RegistryRequest) => Reply | Promise<Reply>) | undefined;
  /** Serve the request as if it had no Range header. */
  readonly ignoreRange?: boolean | undefined;
  /** Header fields to set; null removes one. Lower-case names. */
  readonly headers?: Readonly<Record<string, string | null>> | undefined;
  /** Inverts the byte at this offset of the body. */
  readonly corrupt?: number | undefined;
  /** Destroys the connection after this many bytes of the body; -1: before the status line. */
  readonly cutAfter?: number | undefined;
  /** Sends this many bytes of the body, then nothing more and never ends. */
  readonly stallAfter?: number | undefined;
}

export function matches(fault: Fault, request: RegistryRequest): boolean {
  const { match } = fault;
  if (match === undefined || typeof match === 'function') {
    return match === undefined || match(request);
  }
  const path =
    match.path === undefined ||
    (typeof match.path === 'string' ? request.path.includes(match.path) : match.path.test(request.path));
  return path && (match.method === undefined || match.method === request.method);
}

async function* corrupted(body: NonNullable<Reply['body']>, offset: number): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const chunk of body instanceof Uint8Array ? [body] : body) {
    const copy = Uint8Array.from(chunk);
    if (offset >= at && offset < at + copy.length) {
      copy[offset - at] = copy[offset - at]! ^ 0xff;
    }
    at += copy.length;
    yield copy;
  }
}

/** What the client gets when `fault` stands between it and the right answer. */
export async function applyFault(
  fault: Fault,
  request: RegistryRequest,
  serve: (request: RegistryRequest) => Promise<Reply>,
  closing: AbortSignal,
): Promise<Reply> {
  if (fault.delay !== undefined) {
    await sleep(fault.delay, undefined, { signal: closing });
  }
  await fault.until?.(request);
  if (fault.reply !== undefined) {
    return typeof fault.reply === 'function' ? await fault.reply(request) : fault.reply;
  }
  const { range, ...rangeless } = request.headers;
  const reply = await serve(
    fault.ignoreRange === true && range !== undefined ? { ...request, headers: rangeless } : request,
  );
  const headers: Record<string, string> = { ...reply.headers };
  for (const [name, value] of Object.entries(fault.headers ?? {})) {
    if (value === null) {
      delete headers[name];
    } else {
      headers[name] = value;
    }
  }
  const body =
    reply.body !== undefined && fault.corrupt !== undefined
      ? corrupted(reply.body, fault.corrupt)
      : reply.body;
  return { status: reply.status, headers, ...(body === undefined ? {} : { body }) };
}
