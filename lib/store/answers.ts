/**
 * What was asked and answered: which manifest a tag names, what refers to it,
 * which ztoc was built of a layer. Unlike blobs, answers have no digest to be
 * held against them, so each comes with its age; whoever asks says how old it may
 * be. A file begins with the digest of what follows: a damaged one is none.
 */
import { join } from 'node:path';
import { sha256Digest } from '../registry/digest.js';
import { answersIn } from './blob-place.js';
import type { StoreRoom } from './store-room.js';
import { newNonce, readFile, writeReplacing } from './whole-content.js';

/** Words that mean the same question whenever they are the same. */
export type Question = readonly string[];

export interface Answer {
  /** As JSON has it; anybody may have written it. */
  readonly value: unknown;
  /** Milliseconds. Infinite when it seems to come from the future, as after a change of the clock. */
  readonly age: number;
}

/** 'sha256:', 64 digits and a line feed. */
const HEAD_BYTES = 72;
const MAX_BYTES = 4 * 1024 * 1024;
/** The oldest go when there are more. */
const MAX_ANSWERS = 10_000;
const NAME = /^[0-9a-f]{64}$/;

/** Undefined when there is none. */
export async function recall(room: StoreRoom, question: Question): Promise<Answer | undefined> {
  try {
    const bytes = await readFile(room.disk, pathOf(room, question), MAX_BYTES);
    if (bytes === undefined) return undefined;
    const head = Buffer.from(bytes.subarray(0, HEAD_BYTES)).toString('latin1');
    const text = bytes.subarray(HEAD_BYTES);
    if (head !== `${sha256Digest(text)}\n`) return undefined;
    const { at, asked, value } = JSON.parse(new TextDecoder().decode(text)) as Record<string, unknown>;
    // The name is a digest, so this only guards against whoever copies files about.
    if (typeof at !== 'number' || JSON.stringify(asked) !== JSON.stringify(question)) return undefined;
    const age = Date.now() - at;
    return { value, age: age >= 0 ? age : Number.POSITIVE_INFINITY };
  } catch (error) {
    room.failed('read', question.join(' '), error);
    return undefined;
  }
}

/** Keeps an answer in the place of an older one. */
export async function remember(room: StoreRoom, question: Question, value: unknown): Promise<void> {
  if (room.access === 'read') return;
  const text = Buffer.from(JSON.stringify({ asked: question, at: Date.now(), value }));
  if (HEAD_BYTES + text.length > MAX_BYTES) return;
  const path = pathOf(room, question);
  const bytes = Buffer.concat([Buffer.from(`${sha256Digest(text)}\n`), text]);
  try {
    await writeReplacing(room, join(answersIn(room.root), `.${newNonce()}.tmp`), path, bytes);
    void room.grew(bytes.length);
  } catch (error) {
    room.failed('write', question.join(' '), error);
  }
}

/** Takes an answer away, if there is one. */
export async function forget(room: StoreRoom, question: Question): Promise<void> {
  if (room.access === 'read') return;
  try {
    await room.disk.remove(pathOf(room, question));
  } catch (error) {
    room.failed('write', question.join(' '), error);
  }
}

/** Takes the oldest away when there are too many. @throws the system's error */
export async function forgetOldAnswers({ disk, root }: StoreRoom): Promise<void> {
  const folder = answersIn(root);
  const names = await disk.names(folder);
  if (names.length <= MAX_ANSWERS) return;
  const found = await Promise.all(
    names.map(async name => {
      const path = join(folder, name);
      return { path, ours: NAME.test(name), stat: await disk.stat(path) };
    }),
  );
  const answers = found
    .filter(({ stat }) => stat !== undefined)
    .sort((a, b) => Number(a.ours) - Number(b.ours) || a.stat!.modifiedAt - b.stat!.modifiedAt);
  for (const { path } of answers.slice(0, answers.length - MAX_ANSWERS)) await disk.remove(path);
}

function pathOf({ root }: StoreRoom, question: Question): string {
  const name = sha256Digest(Buffer.from(JSON.stringify(question))).slice('sha256:'.length);
  return join(answersIn(root), name);
}
