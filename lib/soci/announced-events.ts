/** Steps of work on indexes, published for everybody besides being told to the caller. */
import { publish } from '../observe/channels.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { IndexEvent, IndexEventHandler } from './index-event.js';

/** A handler that publishes on 'seekable-oci:soci:index' or 'seekable-oci:progress', and then calls `onEvent`. */
export function announced(onEvent: IndexEventHandler | undefined): IndexEventHandler {
  return event => {
    announce(event);
    onEvent?.(event);
  };
}

function announce(event: IndexEvent): void {
  switch (event.type) {
    case 'layer-progress': {
      const { layer, bytes } = event;
      publish('seekable-oci:progress', () => ({
        phase: 'index',
        digest: layer.digest,
        bytes,
        size: layer.size,
      }));
      break;
    }
    case 'blob-progress': {
      const { blob, bytes } = event;
      publish('seekable-oci:progress', () => ({
        phase: 'push',
        digest: blob.digest,
        bytes,
        size: blob.size,
      }));
      break;
    }
    default:
      publish('seekable-oci:soci:index', () => ({ type: event.type, digest: aboutOf(event).digest }));
  }
}

function aboutOf(event: IndexEvent): Descriptor {
  if ('layer' in event) return event.layer;
  if ('blob' in event) return event.blob;
  if ('manifest' in event) return event.manifest;
  return 'image' in event ? event.image : event.subject;
}
