/**
 * What a program that exports metrics implements: one method per channel, of
 * which it may leave out any. `collectMetrics` has one that only counts.
 */
import { type ChannelEvents, type ChannelName, subscribe } from './channels.js';

/** Receives the events of the channels (channels.ts). Called synchronously: methods should only count. */
export interface Metrics {
  httpRequest?(event: ChannelEvents['seekable-oci:http:request']): void;
  httpWaiting?(event: ChannelEvents['seekable-oci:http:waiting']): void;
  spanFetch?(event: ChannelEvents['seekable-oci:span:fetch']): void;
  spanDecode?(event: ChannelEvents['seekable-oci:span:decode']): void;
  spanCacheHit?(event: ChannelEvents['seekable-oci:span:cache-hit']): void;
  indexStep?(event: ChannelEvents['seekable-oci:soci:index']): void;
  registryEndpoint?(event: ChannelEvents['seekable-oci:registry:endpoint']): void;
  registryHedge?(event: ChannelEvents['seekable-oci:registry:hedge']): void;
  storeRead?(event: ChannelEvents['seekable-oci:store:read']): void;
  storeDamage?(event: ChannelEvents['seekable-oci:store:damage']): void;
  storeBlob?(event: ChannelEvents['seekable-oci:store:blob']): void;
  storeFailure?(event: ChannelEvents['seekable-oci:store:failure']): void;
  progress?(event: ChannelEvents['seekable-oci:progress']): void;
}

/**
 * Sends every event of this process to `metrics`, from now on.
 *
 * @returns ends it
 */
export function attachMetrics(metrics: Metrics): () => void {
  const endings: (() => void)[] = [];
  const attach = <Name extends ChannelName>(
    name: Name,
    method: ((event: ChannelEvents[Name]) => void) | undefined,
  ): void => {
    // Without a method there is no subscriber either: the channel goes on costing nothing.
    if (method) endings.push(subscribe(name, event => method.call(metrics, event)));
  };
  attach('seekable-oci:http:request', metrics.httpRequest);
  attach('seekable-oci:http:waiting', metrics.httpWaiting);
  attach('seekable-oci:span:fetch', metrics.spanFetch);
  attach('seekable-oci:span:decode', metrics.spanDecode);
  attach('seekable-oci:span:cache-hit', metrics.spanCacheHit);
  attach('seekable-oci:soci:index', metrics.indexStep);
  attach('seekable-oci:registry:endpoint', metrics.registryEndpoint);
  attach('seekable-oci:registry:hedge', metrics.registryHedge);
  attach('seekable-oci:store:read', metrics.storeRead);
  attach('seekable-oci:store:damage', metrics.storeDamage);
  attach('seekable-oci:store:blob', metrics.storeBlob);
  attach('seekable-oci:store:failure', metrics.storeFailure);
  attach('seekable-oci:progress', metrics.progress);
  return () => {
    for (const end of endings.splice(0)) end();
  };
}
