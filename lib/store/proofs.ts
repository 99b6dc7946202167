/**
 * What is remembered of proofs, beyond the blobs themselves: that one was dropped
 * since all of it had another digest, which outlives the process that found it
 * out, and which tar a layer's blob decodes to.
 */
import { isDigest } from '../registry/digest.js';
import { type Answer, forget, type Question, recall, remember } from './answers.js';
import type { StoreRoom } from './store-room.js';

function refusalQuestion(digest: string): Question {
  return ['refused', digest];
}

/** Which tar a blob decodes to. */
export function tarQuestion(digest: string): Question {
  return ['tar', digest];
}

/** The digest that an answer holds; undefined for an answer that is none. */
export function answeredDigest(answer: Answer | undefined): string | undefined {
  const value = answer?.value;
  return typeof value === 'string' && isDigest(value) ? value : undefined;
}

/** @param found the digest that all of it had */
export async function rememberRefusal(room: StoreRoom, digest: string, found: string): Promise<void> {
  await remember(room, refusalQuestion(digest), found);
}

/** The blob has turned out to be right. */
export async function forgetRefusal(room: StoreRoom, digest: string): Promise<void> {
  await forget(room, refusalQuestion(digest));
}

/** The digest that all of a blob had when it was dropped, if it ever was. */
export async function recallRefusal(room: StoreRoom, digest: string): Promise<string | undefined> {
  return answeredDigest(await recall(room, refusalQuestion(digest)));
}
