/**
 * Everything that can be watched while the library works: one list of
 * `node:diagnostics_channel` channels and what is published on each. Whoever
 * publishes writes the event as a function, which is not even called as long as
 * nobody listens. Events are plain values without secrets: URLs are redacted,
 * content is named by its digest.
 */
import { type Channel, channel } from 'node:diagnostics_channel';

/** One request that was sent, published when the body of its reply has ended or failed. */
export interface HttpRequestEvent {
  readonly method: string;
  /** Without userinfo and query values. */
  readonly url: string;
  /** The Range header. */
  readonly range: string | undefined;
  /** Undefined when no reply came. */
  readonly status: number | undefined;
  /** Of the reply's body. */
  readonly bytes: number;
  /** From the call to the end of the body, the wait for a free connection included. */
  readonly ms: number;
}

/** A request that keeps somebody waiting: neither a reply nor a further byte of it has come for `ms`. */
export interface HttpWaitingEvent {
  readonly method: string;
  /** Without userinfo and query values. */
  readonly url: string;
  readonly ms: number;
}

/** One read that spans were fetched with; neighbouring spans share one. */
export interface SpanFetchEvent {
  /** What the layer's source is called. */
  readonly source: string;
  readonly lane: 'demand' | 'prefetch' | 'background';
  /** Offset in the layer as it is stored. */
  readonly offset: number;
  /** Bytes asked for. */
  readonly bytes: number;
  /** Of a file, which is read by the jobs that decode: until the last of them has ended. */
  readonly ms: number;
  /** Whether they arrived; an aborted read has not. */
  readonly outcome: 'fetched' | 'failed';
}

/** A span, or a block of a huge one, that was decoded. */
export interface SpanDecodeEvent {
  /** What the layer's source is called. */
  readonly source: string;
  readonly span: number;
  /** Decoded. */
  readonly bytes: number;
  /** From asking to having it, the wait for a thread included. */
  readonly ms: number;
}

/** A span, or a block of a huge one, that was in memory already. */
export interface SpanCacheHitEvent {
  /** What the layer's source is called. */
  readonly source: string;
  readonly span: number;
  /** Decoded. */
  readonly bytes: number;
}

/** One step of creating, converting, pushing or copying indexes. */
export interface IndexStepEvent {
  /** The `type` of the IndexEvent that `onEvent` gets. */
  readonly type: string;
  /** Digest of the layer, blob, manifest or image that the step is about. */
  readonly digest: string;
}

/** Where a piece of long work stands. */
export interface ProgressEvent {
  /**
   * 'download': a layer is taken whole because its server ignores Range requests; 'prefetch': parts of it are, before
   * anybody asks for them; 'pull': a blob is brought to where an image is pulled to.
   */
  readonly phase: 'build' | 'unpack' | 'download' | 'prefetch' | 'pull' | 'index' | 'push';
  /** Digest of the content that is worked on. */
  readonly digest: string;
  /** So far; a second pass starts from 0 again. */
  readonly bytes: number;
  readonly size: number;
}

/** A read of a blob that a store keeps. */
export interface StoreReadEvent {
  readonly digest: string;
  /** Bytes that were there. */
  readonly kept: number;
  /** Bytes that had to be fetched. */
  readonly fetched: number;
}

/** Bytes in a store that are not what was written; they are fetched again. */
export interface StoreDamageEvent {
  readonly digest: string;
  readonly bytes: number;
}

/** What became of a blob of a store. */
export interface StoreBlobEvent {
  readonly digest: string;
  /**
   * 'completed': all of it is there, and has its digest. 'refused': all of it was there, and had another one.
   * 'evicted': others needed its room.
   */
  readonly outcome: 'completed' | 'refused' | 'evicted';
  /** That it has, or took up. */
  readonly bytes: number;
}

/** A store's disk has failed. What was wanted of it is fetched, and not kept. */
export interface StoreFailureEvent {
  readonly operation: 'open' | 'read' | 'write' | 'prove' | 'evict';
  /** Of the blob, or another file of the store. */
  readonly subject: string;
  /** The system's, e.g. ENOSPC. */
  readonly reason: string;
}

/**
 * A host that serves a registry's content, the registry itself or a mirror, is left for a while, or used again. One that
 * is alone is asked all the same.
 */
export interface RegistryEndpointEvent {
  /** Whose content it serves. */
  readonly registry: string;
  /** With its port, where it has one of its own. */
  readonly host: string;
  readonly outcome: 'left' | 'returned';
  /**
   * 'unreachable': no connection, or no reply in time. 'failing': errors that may pass, or replies that broke off.
   * 'lying': replies that are not what was asked for, or bytes with another digest. 'working': it is returned to.
   */
  readonly reason: 'unreachable' | 'failing' | 'lying' | 'working';
}

/** A range that was asked for twice, since the first request was silent for too long. */
export interface RegistryHedgeEvent {
  /** Whose content it is. */
  readonly registry: string;
  /** To which the second request went; it may be that of the first. */
  readonly host: string;
  /** Asked for a second time; fewer arrived of the request that was ended. */
  readonly bytes: number;
  /** For which the first request was silent. */
  readonly ms: number;
  /** 'won': the second's bytes were used. 'lost': the first's. 'failed': nobody's. */
  readonly outcome: 'won' | 'lost' | 'failed';
}

/** The channels by their names. */
export interface ChannelEvents {
  readonly 'seekable-oci:http:request': HttpRequestEvent;
  readonly 'seekable-oci:http:waiting': HttpWaitingEvent;
  readonly 'seekable-oci:span:fetch': SpanFetchEvent;
  readonly 'seekable-oci:span:decode': SpanDecodeEvent;
  readonly 'seekable-oci:span:cache-hit': SpanCacheHitEvent;
  readonly 'seekable-oci:soci:index': IndexStepEvent;
  readonly 'seekable-oci:registry:endpoint': RegistryEndpointEvent;
  readonly 'seekable-oci:registry:hedge': RegistryHedgeEvent;
  readonly 'seekable-oci:store:read': StoreReadEvent;
  readonly 'seekable-oci:store:damage': StoreDamageEvent;
  readonly 'seekable-oci:store:blob': StoreBlobEvent;
  readonly 'seekable-oci:store:failure': StoreFailureEvent;
  readonly 'seekable-oci:progress': ProgressEvent;
}

export type ChannelName = keyof ChannelEvents;

/** Node keeps channels by name as long as somebody holds them. */
const CHANNELS: { readonly [Name in ChannelName]: Channel } = {
  'seekable-oci:http:request': channel('seekable-oci:http:request'),
  'seekable-oci:http:waiting': channel('seekable-oci:http:waiting'),
  'seekable-oci:span:fetch': channel('seekable-oci:span:fetch'),
  'seekable-oci:span:decode': channel('seekable-oci:span:decode'),
  'seekable-oci:span:cache-hit': channel('seekable-oci:span:cache-hit'),
  'seekable-oci:soci:index': channel('seekable-oci:soci:index'),
  'seekable-oci:registry:endpoint': channel('seekable-oci:registry:endpoint'),
  'seekable-oci:registry:hedge': channel('seekable-oci:registry:hedge'),
  'seekable-oci:store:read': channel('seekable-oci:store:read'),
  'seekable-oci:store:damage': channel('seekable-oci:store:damage'),
  'seekable-oci:store:blob': channel('seekable-oci:store:blob'),
  'seekable-oci:store:failure': channel('seekable-oci:store:failure'),
  'seekable-oci:progress': channel('seekable-oci:progress'),
};

export const CHANNEL_NAMES = Object.keys(CHANNELS) as readonly ChannelName[];

/** Whether somebody listens, for what has to be prepared before there is an event. */
export function isWatched(name: ChannelName): boolean {
  return CHANNELS[name].hasSubscribers;
}

/** @param event called only if somebody listens */
export function publish<Name extends ChannelName>(name: Name, event: () => ChannelEvents[Name]): void {
  const target = CHANNELS[name];
  if (target.hasSubscribers) target.publish(event());
}

/**
 * Calls `listener` synchronously with every event of this process; what it throws becomes an uncaught exception.
 *
 * @returns ends it
 */
export function subscribe<Name extends ChannelName>(
  name: Name,
  listener: (event: ChannelEvents[Name]) => void,
): () => void {
  const onMessage = (message: unknown): void => listener(message as ChannelEvents[Name]);
  CHANNELS[name].subscribe(onMessage);
  return () => {
    CHANNELS[name].unsubscribe(onMessage);
  };
}
