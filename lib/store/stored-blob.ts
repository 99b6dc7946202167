/**
 * One blob as the store has it, for one who reads it: whole, a part of it, or
 * nothing yet. What others do to it meanwhile (evict it, complete it) is noticed
 * before anything is written. Nothing here fails: what the disk cannot do is
 * published, and then it is as if the store had nothing.
 */
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Turns } from '../async/turns.js';
import { SociError } from '../errors.js';
import { publish } from '../observe/channels.js';
import type { Witness } from '../source/range-source.js';
import type { BlobPlace } from './blob-place.js';
import { type BlobActivity, BlobUse } from './blob-use.js';
import { type BlockRun, blockCount, blockOf, runBytes, runsWhere } from './block-journal.js';
import { PartialBlob, type PresentBlocks, type Proof } from './partial-blob.js';
import { forgetRefusal, rememberRefusal } from './proofs.js';
import { SeenRecords } from './seen-records.js';
import type { StoreRoom } from './store-room.js';
import { WholeFile } from './whole-file.js';

/** How long those who write, which takes them milliseconds, may hold up a proof. */
const WRITERS_MS = 10_000;

/** Between two looks at a place where nothing was: many reads want to know at the same time. */
const LOOK_INTERVAL_MS = 5;

export class StoredBlob {
  readonly place: BlobPlace;
  readonly #room: StoreRoom;
  readonly #use: BlobUse | undefined;
  /** What changes the blob, one thing after the other. */
  readonly #changes = new Turns();
  #whole: WholeFile | undefined;
  #partial: PartialBlob | undefined;
  /** When it was looked for last. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** What is there has the digest, and another size. */
  #misdescribed = false;
  /** Those who look into what was fetched, and may still find it wrong. */
  #held = 0;
  /** What a witness has seen of all of it. */
  #seen: { readonly digest: string; readonly records: Uint8Array } | undefined;

  private constructor(room: StoreRoom, place: BlobPlace, use: BlobUse | undefined) {
    this.#room = room;
    this.place = place;
    this.#use = use;
  }

  static async open(room: StoreRoom, place: BlobPlace): Promise<StoredBlob> {
    const use = await BlobUse.begin(room.disk, place.use, 'use').catch(() => undefined);
    const blob = new StoredBlob(room, place, use);
    room.enter(place.digest);
    await blob.#reopen('what is there');
    await use?.touch();
    // Who had the last byte may have died before he could prove it.
    if (blob.#partial !== undefined) void blob.#change('prove', () => blob.#finish());
    return blob;
  }

  get isWhole(): boolean {
    return this.#whole !== undefined;
  }

  /** Why nothing of it is handed out. */
  get refusal(): SociError | undefined {
    return this.#room.refusal(this.place.digest);
  }

  /** Whether what is fetched will be kept. */
  get keeps(): boolean {
    return this.#whole === undefined && !this.#misdescribed && this.#room.access === 'update';
  }

  /**
   * Fills `into` with those of the blocks that are there, and says which are not.
   *
   * @param which damage is told once, not again by who looks whether somebody has mended it
   */
  async read(run: BlockRun, into: Uint8Array, which: 'first' | 'again' = 'first'): Promise<PresentBlocks> {
    // Who has just claimed blocks must know what was kept until then, or he fetches it a second time.
    const since = performance.now() - (which === 'again' ? 0 : LOOK_INTERVAL_MS);
    if (this.#mayHaveBegun(since)) await this.#change('write', () => this.#lookAgain(since));
    const from = this.#whole ?? this.#partial;
    void this.#use?.touch();
    const nothing = { missing: [run], damaged: 0 };
    if (from === undefined) return nothing;
    try {
      const found = await from.read(run, into);
      if (found.damaged > 0 && which === 'first') this.#damaged(found.damaged);
      if (found.damaged > 0 && from === this.#whole) await this.#change('prove', () => this.#distrust());
      return found;
    } catch (error) {
      // Closed under us, when the blob was evicted or became whole: that is nobody's failure.
      if (from === (this.#whole ?? this.#partial)) this.#room.failed('read', this.place.digest, error);
      return nothing;
    }
  }

  /** Whether all of these blocks may be there, and the file that has them can be read by its descriptor. */
  async canLend(run: BlockRun): Promise<boolean> {
    if (this.descriptor === undefined) return false;
    void this.#use?.touch();
    return this.#whole !== undefined || (await this.#partial?.isWritten(run).catch(() => false)) === true;
  }

  /** Of the file that has what is there, where it belongs; undefined where there are none. */
  get descriptor(): number | undefined {
    return (this.#whole ?? this.#partial)?.descriptor;
  }

  /** Bytes that are there, by what is written about them. */
  async presentBytes(): Promise<number> {
    const runs = await this.present({ first: 0, end: blockCount(this.place.size) });
    return runs.reduce((sum, present) => sum + runBytes(present, this.place.size), 0);
  }

  /** Which of the blocks are there, by what is written about them. */
  async present(run: BlockRun): Promise<readonly BlockRun[]> {
    if (this.#whole !== undefined) return run.end > run.first ? [run] : [];
    return (await this.#partial?.recorded(run).catch(() => [])) ?? [];
  }

  /** Those of the blocks that nobody else is fetching; release them. */
  claim(run: BlockRun): { claimed: readonly BlockRun[]; others: readonly BlockRun[] } {
    return this.#use?.claim(run) ?? { claimed: [run], others: [] };
  }

  release(claimed: readonly BlockRun[]): void {
    this.#use?.release(claimed);
  }

  /** Keeps blocks that were fetched. */
  keep(first: number, bytes: Uint8Array): Promise<void> {
    return this.#change('write', async () => {
      if (!this.keeps) return;
      await this.#refresh();
      if (this.#partial === undefined || this.#use?.start('writing') === false) return;
      try {
        await this.#partial.keep(first, bytes, this.#room.durability);
      } finally {
        this.#use?.end('writing');
      }
      await this.#room.grew(bytes.length);
      await this.#finish();
    });
  }

  /** Takes these blocks for the right ones: what was kept of them proved to be wrong, or so somebody thought. */
  replace(first: number, bytes: Uint8Array): Promise<void> {
    const run = { first, end: first + blockCount(bytes.length) };
    const kept = new Uint8Array(bytes.length);
    return this.#change('write', async () => {
      const { missing } = (await (this.#whole ?? this.#partial)?.read(run, kept).catch(nothingOf(run))) ?? {
        missing: [run],
      };
      const differs = (block: number): boolean =>
        !missing.some(absent => absent.first <= block && block < absent.end) &&
        !Buffer.from(blockOf(kept, block - first)).equals(blockOf(bytes, block - first));
      const wrong = runsWhere(run, differs).reduce((sum, each) => sum + runBytes(each, this.place.size), 0);
      if (wrong === 0 && missing.length === 0) return;
      if (wrong > 0) this.#damaged(wrong);
      if (this.#whole !== undefined) await this.#distrust();
      void this.keep(first, bytes);
    });
  }

  /** Keeps it from being proved until the function that is returned is called. */
  hold(): () => void {
    this.#held++;
    return () => {
      this.#held--;
      if (this.#held === 0 && this.#partial !== undefined) void this.#change('prove', () => this.#finish());
    };
  }

  /**
   * As `hold`, for one who sees all of it go by and hashes it: where that is what is on the disk in the end, its digest
   * is known without reading it.
   */
  witness(): Witness {
    const release = this.hold();
    const records = new SeenRecords();
    return {
      saw: bytes => records.add(bytes),
      testify: digest => {
        if (digest !== undefined) this.#seen = { digest, records: records.end() };
        release();
      },
    };
  }

  /** Settles when all that was asked of it so far is done. */
  async settled(): Promise<void> {
    await this.#changes.run(async () => {});
  }

  /** These blocks are wrong, as somebody knows who has looked into them. */
  forget(run: BlockRun): Promise<void> {
    return this.#change('write', async () => {
      if (this.#whole !== undefined) await this.#distrust();
      if (this.#room.access === 'update') await this.#partial?.forget(run);
    });
  }

  /** Whether it is whole and its bytes have its digest; one that has another is dropped. */
  async isProved(signal: AbortSignal | undefined): Promise<boolean> {
    const whole = this.#whole;
    if (whole === undefined) return false;
    if (whole.proved) return true;
    await this.#change('prove', async () => {
      if (this.#whole !== whole || signal?.aborted) return;
      if (!(await whole.prove(signal).catch(unlessAborted(signal)))) await this.#drop(whole);
    });
    signal?.throwIfAborted();
    return this.#whole === whole && whole.proved;
  }

  /** Reads all that is there. @returns bytes that were wrong, and are no longer said to be there */
  async verify(): Promise<number> {
    let wrong = 0;
    await this.#change('prove', async () => {
      const [whole, partial] = [this.#whole, this.#partial];
      if (whole !== undefined && !(await whole.prove())) {
        wrong = this.place.size;
        await this.#drop(whole);
      }
      const proof = await partial?.prove();
      if (proof?.outcome !== 'damaged') return;
      wrong = proof.bytes;
      this.#damaged(wrong);
    });
    return wrong;
  }

  /** Settles when all that was to be kept is kept. */
  async close(): Promise<void> {
    await this.settled();
    await Promise.all([this.#whole?.close(), this.#partial?.close()]);
    this.#whole = undefined;
    this.#partial = undefined;
    await this.#use?.close();
    this.#room.leave(this.place.digest);
  }

  async #change(operation: 'write' | 'prove', work: () => Promise<void>): Promise<void> {
    await this.#changes
      .run(work)
      .catch((error: unknown) => this.#room.failed(operation, this.place.digest, error));
  }

  /** Whether there was nothing, and nobody has looked `since`, so that others may have begun it. */
  #mayHaveBegun(since: number): boolean {
    const isUnopened = this.#whole === undefined && this.#partial === undefined && !this.#misdescribed;
    return isUnopened && this.#lookedAt < since;
  }

  async #lookAgain(since: number): Promise<void> {
    if (this.#mayHaveBegun(since)) await this.#reopen('what is there');
  }

  /** What others have made of it since, if it is not what we have open. */
  async #refresh(): Promise<void> {
    const partial = this.#partial;
    if (partial !== undefined && (await partial.isCurrent())) return;
    await this.#reopen('make it');
    await partial?.close();
  }

  async #reopen(how: 'what is there' | 'make it'): Promise<void> {
    const { disk, access, durability } = this.#room;
    this.#lookedAt = performance.now();
    this.#partial = undefined;
    try {
      this.#whole = await WholeFile.open(disk, this.place);
      if (this.#whole !== undefined && this.#whole.size !== this.place.size) await this.#settleSize();
      if (this.#whole !== undefined || this.#misdescribed) return;
      if (how === 'what is there' && (await disk.stat(this.place.data)) === undefined) return;
      this.#partial = (await PartialBlob.open(disk, this.place, access)) ?? (await this.#replaced());
      // Its name has to last as long as its records.
      if (access === 'update' && durability === 'sync') await disk.syncFolder(dirname(this.place.data));
    } catch (error) {
      this.#room.failed('open', this.place.digest, error);
      this.#partial = await PartialBlob.open(disk, this.place, 'read').catch(() => undefined);
    }
  }

  /** What cannot be used, or is of a blob of another size, makes room, unless somebody else is at it. */
  async #replaced(): Promise<PartialBlob | undefined> {
    const { disk, access } = this.#room;
    let replaced: PartialBlob | undefined;
    if (access === 'update') {
      await this.#alone('use', async () => {
        await disk.remove(this.place.journal);
        await disk.remove(this.place.data);
        replaced = await PartialBlob.open(disk, this.place, access);
      });
    }
    return replaced;
  }

  /** A whole blob of another size is damaged, or whoever wants it was told a lie about it, and reads past the store. */
  async #settleSize(): Promise<void> {
    await this.#distrust();
    this.#misdescribed = this.#whole !== undefined;
    await this.#whole?.close();
    this.#whole = undefined;
  }

  /** A whole blob that somebody found wrong goes, if it is. */
  async #distrust(): Promise<void> {
    const whole = this.#whole;
    if (whole !== undefined && !(await whole.prove())) await this.#drop(whole);
  }

  async #drop(whole: WholeFile): Promise<void> {
    if (this.#room.access === 'update') await this.#room.disk.remove(this.place.whole);
    this.#damaged(this.place.size);
    this.#whole = undefined;
    await whole.close();
  }

  /** Proves a blob of which all is there. */
  async #finish(): Promise<void> {
    const partial = this.#partial;
    if (
      partial === undefined ||
      this.#held > 0 ||
      this.#room.access === 'read' ||
      !(await partial.isComplete())
    )
      return;
    await this.#alone('proof', async () => {
      // Whoever writes now writes what is there already, but the proof must be of what will be read.
      const until = performance.now() + WRITERS_MS;
      while (!(await this.#alone('writing', () => this.#prove(partial)))) {
        if (performance.now() > until) return;
        await delay(5);
      }
    });
  }

  async #alone(activity: BlobActivity, work: () => Promise<void>): Promise<boolean> {
    if (this.#use !== undefined) return await this.#use.alone(activity, work);
    await work();
    return true;
  }

  async #prove(partial: PartialBlob): Promise<void> {
    const { digest, size, data, journal } = this.place;
    if (!(await partial.isCurrent())) return;
    const proof = (await this.#testimony(partial)) ?? (await partial.prove());
    if (proof.outcome === 'damaged') this.#damaged(proof.bytes);
    if (proof.outcome === 'proved') {
      if (!(await partial.complete(this.#room.durability))) return;
      this.#whole = await WholeFile.open(this.#room.disk, this.place, 'proved');
      this.#partial = undefined;
      await partial.close();
      await forgetRefusal(this.#room, digest);
      publish('seekable-oci:store:blob', () => ({ digest, outcome: 'completed', bytes: size }));
    }
    if (proof.outcome === 'refuted') {
      await this.#room.disk.remove(journal);
      await this.#room.disk.remove(data);
      this.#partial = undefined;
      await partial.close();
      this.#room.refuse(digest, refuted(this.place, proof.found));
      await rememberRefusal(this.#room, digest, proof.found);
      publish('seekable-oci:store:blob', () => ({ digest, outcome: 'refused', bytes: size }));
    }
  }

  /** What was seen of it is what is there: nobody else has written other bytes meanwhile. */
  async #testimony(partial: PartialBlob): Promise<Proof | undefined> {
    const seen = this.#seen;
    this.#seen = undefined;
    if (seen === undefined || !(await partial.isRecordedAs(seen.records))) return undefined;
    return { outcome: seen.digest === this.place.digest ? 'proved' : 'refuted', found: seen.digest };
  }

  #damaged(bytes: number): void {
    const { digest } = this.place;
    publish('seekable-oci:store:damage', () => ({ digest, bytes }));
  }
}

/** A proof that nobody waits for any more has not failed. */
function unlessAborted(signal: AbortSignal | undefined): (error: unknown) => boolean {
  return error => {
    if (signal?.aborted) return true;
    throw error;
  };
}

function nothingOf(run: BlockRun): () => PresentBlocks {
  return () => ({ missing: [run], damaged: 0 });
}

function refuted({ digest, size }: BlobPlace, found: string): SociError {
  return new SociError(
    'ERR_SOCI_DIGEST_MISMATCH',
    `all ${size} bytes of ${digest} were fetched and have the digest ${found}: what the registry sent is not this blob; nothing of it is kept, and files that were read of it were checked span by span`,
    { data: { digest, size, found } },
  );
}
