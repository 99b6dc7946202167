/**
 * A bound on bytes a second for all processes that share a store, without a
 * daemon: a file says until when the bytes taken so far have their time, and
 * whoever wants more moves that on and waits for his turn. A process that dies
 * leaves a moment of the link unused, nothing more; where the file cannot be
 * locked or written, each process keeps the rate by itself.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Turns } from '../async/turns.js';
import type { Urgency } from '../source/lanes.js';
import { BlobUse } from './blob-use.js';
import type { Disk, DiskFile } from './disk.js';

/** A time that is further away is of a clock that began anew since: the machine was started again. */
const FURTHEST_NS = 3_600_000_000_000n;
/** Between two attempts at a lock that another holds for as long as it takes to write eight bytes. */
const LOCK_DELAY_MS = 1;
const MAX_LOCK_ATTEMPTS = 1000;
const TIME_BYTES = 8;

export class SharedRate {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #bytesPerSecond: number;
  /** The lock keeps other processes out, not this one. */
  readonly #turns = new Turns();
  #shared: Promise<{ readonly use: BlobUse; readonly file: DiskFile } | undefined> | undefined;
  /** As the file says, as of the last time: what there is where there is no file. */
  #free = 0n;

  /** @param root of the store */
  constructor(disk: Disk, root: string, bytesPerSecond: number) {
    this.#disk = disk;
    this.#path = join(root, 'use', 'rate');
    this.#bytesPerSecond = bytesPerSecond;
  }

  /**
   * Settles when `bytes` may be fetched, or at once when somebody comes to wait for them.
   *
   * @throws the signal's reason; nothing was taken then
   */
  async take(bytes: number, urgency: Urgency, signal: AbortSignal): Promise<void> {
    if (urgency.lane === 'demand') return;
    const turn = await this.#move(bytes);
    const wait = Number(turn - now()) / 1e6;
    if (wait <= 0) return;
    const waiting = new AbortController();
    const unwatch = urgency.watch(() => {
      if (urgency.lane === 'demand') waiting.abort();
    });
    try {
      await delay(wait, undefined, { signal: AbortSignal.any([signal, waiting.signal]) }).catch(() => {});
    } finally {
      unwatch();
    }
    if (!signal.aborted) return;
    await this.giveBack(bytes);
    signal.throwIfAborted();
  }

  /** @param bytes that were taken and not fetched */
  async giveBack(bytes: number): Promise<void> {
    if (bytes > 0) await this.#move(-bytes);
  }

  async close(): Promise<void> {
    const shared = await this.#shared;
    await shared?.use.close();
    await shared?.file.close().catch(() => undefined);
  }

  /** Takes so many bytes. @returns when their turn is */
  async #move(bytes: number): Promise<bigint> {
    return await this.#turns.run(async () => {
      this.#shared ??= this.#open();
      const shared = await this.#shared;
      let turn = 0n;
      const move = async (): Promise<void> => {
        const free = shared === undefined ? this.#free : await freeAt(shared.file, this.#free);
        const at = now();
        turn = free < at || free > at + FURTHEST_NS ? at : free;
        this.#free = turn + BigInt(Math.ceil((bytes / this.#bytesPerSecond) * 1e9));
        await shared?.file.write(timeBytes(this.#free), 0).catch(() => undefined);
      };
      if (shared === undefined) await move();
      else {
        for (let attempt = 0; !(await shared.use.alone('writing', move)); attempt++) {
          // Somebody was stopped in the middle of it: no reason to stop, too.
          if (attempt === MAX_LOCK_ATTEMPTS) {
            await move();
            break;
          }
          await delay(LOCK_DELAY_MS);
        }
      }
      return turn;
    });
  }

  async #open(): Promise<{ readonly use: BlobUse; readonly file: DiskFile } | undefined> {
    const use = await BlobUse.begin(this.#disk, this.#path, 'use');
    const file = use && (await this.#disk.open(this.#path, 'update').catch(() => undefined));
    if (use !== undefined && file !== undefined) return { use, file };
    await use?.close();
    return undefined;
  }
}

/** Of a clock that all processes of a machine share, and that nobody sets. */
function now(): bigint {
  return process.hrtime.bigint();
}

async function freeAt(file: DiskFile, otherwise: bigint): Promise<bigint> {
  const bytes = Buffer.alloc(TIME_BYTES);
  const read = await file.read(bytes, 0).catch(() => 0);
  return read === TIME_BYTES ? bytes.readBigInt64LE() : otherwise;
}

function timeBytes(time: bigint): Buffer {
  const bytes = Buffer.alloc(TIME_BYTES);
  bytes.writeBigInt64LE(time);
  return bytes;
}
