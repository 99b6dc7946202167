/** From a registry's answer to a manifest that is what was asked for, by the digest of its bytes. */
import { SociError } from '../errors.js';
import type { HttpReply } from '../source/http/message.js';
import type { Descriptor } from './descriptor.js';
import { isDigest, sha256Digest, verifyContent } from './digest.js';
import { MAX_MANIFEST_BYTES, parseManifest } from './manifest.js';
import { essence } from './media-types.js';
import type { ManifestContent } from './repository.js';

/**
 * @param name Of the repository, for messages.
 * @param target The tag or digest that was asked for.
 * @param wanted What a descriptor said of it, if there was one.
 * @throws SociError ERR_SOCI_DIGEST_MISMATCH, ERR_SOCI_MANIFEST, ERR_SOCI_LIMIT
 */
export async function readManifestAnswer(
  answer: HttpReply,
  name: string,
  target: string,
  wanted: Descriptor | undefined,
): Promise<ManifestContent> {
  const bytes = await answer.bytes(MAX_MANIFEST_BYTES);
  const where = `${name}${isDigest(target) ? '@' : ':'}${target}`;
  const digest = isDigest(target) ? target : sha256Digest(bytes);
  verifyContent(bytes, digest, wanted?.size, where);
  const announced = answer.header('docker-content-digest')?.slice(0, 100);
  // Of a tag only the header tells which manifest the registry meant to send.
  if (!isDigest(target) && announced?.startsWith('sha256:') === true && announced !== digest) {
    throw new SociError(
      'ERR_SOCI_DIGEST_MISMATCH',
      `${where}: Docker-Content-Digest says ${announced}, the bytes are ${digest}`,
      { data: { digest, announced } },
    );
  }
  const manifest = parseManifest(bytes, wanted?.mediaType ?? essence(answer.header('content-type')), where);
  return {
    descriptor: { ...wanted, mediaType: manifest.mediaType, digest, size: bytes.length },
    bytes,
    manifest,
  };
}
