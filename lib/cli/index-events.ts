/** What creating, pushing, converting and copying indexes report, as bars and lines. */
import type { IndexEvent, IndexEventHandler } from '../index.js';
import { byteText } from './byte-text.js';
import { counted } from './counted.js';
import { shortDigest } from './image-session.js';
import type { Reporter } from './reporter.js';

const ORIGIN_TEXT = {
  built: 'built',
  cache: 'from the cache',
  verified: 'verified, of the present index',
  index: 'of the index named',
} as const;

export function reportIndexEvents(reporter: Reporter): IndexEventHandler {
  return event => report(reporter, event);
}

/** A bar has to fit into 80 columns. */
function barName(digest: string): string {
  return shortDigest(digest).slice('sha256:'.length);
}

function report(reporter: Reporter, event: IndexEvent): void {
  switch (event.type) {
    case 'layer-started':
    case 'layer-progress': {
      const { digest, size } = event.layer;
      const done = event.type === 'layer-started' ? 0 : event.bytes;
      reporter.progress(digest, `indexing ${barName(digest)}`, done, size);
      return;
    }
    case 'layer-done': {
      const { digest, size } = event.layer;
      reporter.endBar(digest);
      const ztoc = `ztoc of ${byteText(event.ztocSize)} ${ORIGIN_TEXT[event.origin]}`;
      reporter.line(`layer ${shortDigest(digest)} ${byteText(size)}: ${ztoc}`);
      return;
    }
    case 'layer-skipped': {
      const { digest, size } = event.layer;
      reporter.endBar(digest);
      const reason = `skipped, ${event.reason}: ${event.message}`;
      reporter.line(`layer ${shortDigest(digest)} ${byteText(size)}: ${reason}`);
      return;
    }
    case 'ztoc-refused': {
      const ztoc = shortDigest(event.ztocDigest);
      reporter.line(
        `layer ${shortDigest(event.layer.digest)}: ztoc ${ztoc} is not used: ${event.error.message}`,
      );
      return;
    }
    case 'cache-failed':
      reporter.line(`layer ${shortDigest(event.layer.digest)}: ztoc not cached: ${event.error.message}`);
      return;
    case 'prefetch-missing':
      reporter.line(`no layer with a ztoc has ${event.path}, which was to be prefetched`);
      return;
    case 'blob-progress':
      reporter.progress(
        event.blob.digest,
        `pushing ${barName(event.blob.digest)}`,
        event.bytes,
        event.blob.size,
      );
      return;
    case 'blob-pushed': {
      const { digest, size } = event.blob;
      reporter.endBar(digest);
      // What is there already is no step.
      if (event.result !== 'existed') {
        reporter.line(`blob ${shortDigest(digest)} ${byteText(size)}: ${event.result}`);
      }
      return;
    }
    case 'manifest-pushed':
      reporter.line(
        `manifest ${shortDigest(event.manifest.digest)}: pushed${event.tag === undefined ? '' : ` as ${event.tag}`}`,
      );
      return;
    case 'index-exists': {
      const others = counted(event.existing.length, 'other SOCI index');
      reporter.line(`image ${shortDigest(event.subject.digest)} has ${others}: ${event.action}`);
      return;
    }
    case 'existing-unknown':
      reporter.line(
        `image ${shortDigest(event.subject.digest)}: whether it has other SOCI indexes is unknown: ${event.error.message}`,
      );
      return;
  }
}
