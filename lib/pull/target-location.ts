/** Targets as people write them: `rootfs:DIR`, `overlay:DIR`, and where blobs are copied to. */
import { SociError } from '../errors.js';
import { isDigest } from '../registry/digest.js';
import { parseImageLocation } from '../registry/image-location.js';
import { DockerArchiveTarget } from './docker-archive-target.js';
import { LayoutTarget } from './layout-target.js';
import { OciArchiveTarget } from './oci-archive-target.js';
import type { PullTarget } from './pull-target.js';
import { type TreeOptions, TreeTarget } from './tree-target.js';

const FORMS =
  'rootfs:DIR, overlay:DIR, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME[:TAG]]';

/** @param tree how files are written, where they are. @throws SociError ERR_SOCI_REFERENCE */
export function parsePullTarget(text: string, tree: TreeOptions = {}): PullTarget {
  const [, kind, directory = ''] = /^(rootfs|overlay):(.*)$/s.exec(text) ?? [];
  if (kind !== undefined) {
    if (directory === '') throw refused(text, 'no directory');
    return new TreeTarget(kind === 'rootfs' ? 'merged' : 'overlay', directory, tree);
  }
  // What names no scheme is a reference in a registry, or a path.
  const location = /^(?:oci|oci-archive|docker-archive):/.test(text) ? parseImageLocation(text) : undefined;
  if (location === undefined || location.kind === 'registry') throw refused(text, 'something else');
  const { path, reference } = location;
  if (location.kind === 'docker-archive') {
    if (location.position !== undefined) throw refused(text, 'the place of an image in an archive');
    return new DockerArchiveTarget(path, reference);
  }
  if (reference !== undefined && isDigest(reference))
    throw refused(text, 'a digest, which is no name to give');
  return location.kind === 'layout'
    ? new LayoutTarget(path, reference)
    : new OciArchiveTarget(path, reference);
}

function refused(text: string, found: string): SociError {
  const shown = JSON.stringify(text.slice(0, 200));
  return new SociError('ERR_SOCI_REFERENCE', `${shown}: expected ${FORMS} to pull to, found ${found}`, {
    data: { reference: text.slice(0, 200) },
  });
}
