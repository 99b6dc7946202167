/**
 * Memory for passes over much of a layer, used again and again for what passes
 * through. New memory for each span is expensive: the kernel clears its pages,
 * and V8 collects garbage for every 16 MiB or so of array buffers, however
 * small the heap is. What is lent is taken back: the arrays that its borrower
 * kept are empty then, so that he neither sees nor spoils what it is used for
 * next, by whomever.
 */
import { allocatePinned } from '../binding.js';
import { revokePinned } from '../pinned-memory.js';

/** Sizes are rounded up to multiples of this: those of spans differ a little. */
const STEP_BYTES = 512 * 1024;

/** What is kept of memory that nobody uses: that of a pass with three threads over spans of 4 MiB. */
const MAX_IDLE_BYTES = 32 * 1024 * 1024;

interface Kind {
  allocate(length: number): Uint8Array | undefined;
  /** All of the memory that `bytes` lie in. */
  whole(bytes: Uint8Array): Uint8Array;
}

const PINNED: Kind = { allocate: allocatePinned, whole: revokePinned };

const ORDINARY: Kind = {
  allocate: length => new Uint8Array(length),
  // It may have been detached by the source that filled it.
  whole: bytes => new Uint8Array(bytes.buffer),
};

export class ReusedMemory {
  readonly #kind: Kind;
  readonly #maxIdleBytes: () => number;
  readonly #own = new WeakSet<ArrayBufferLike>();
  /** The longest idle first. */
  readonly #free: Uint8Array[] = [];

  private constructor(kind: Kind, maxIdleBytes: () => number) {
    this.#kind = kind;
    this.#maxIdleBytes = maxIdleBytes;
  }

  /**
   * Of memory that can be shown to script, taken from it again and decoded into.
   *
   * @param bound bytes that are kept at most while nobody uses them, if they are few
   */
  static pinned(bound: () => number = () => MAX_IDLE_BYTES): ReusedMemory {
    return new ReusedMemory(PINNED, () => Math.min(bound(), MAX_IDLE_BYTES));
  }

  /** Of memory that jobs only copy from. */
  static ordinary(): ReusedMemory {
    return new ReusedMemory(ORDINARY, () => MAX_IDLE_BYTES);
  }

  /** `length` bytes with any contents; undefined if there are none to be had. */
  take(length: number): Uint8Array | undefined {
    // The smallest that fits, but none so large that another span would miss it.
    let best = -1;
    for (const [i, memory] of this.#free.entries()) {
      if (memory.length < length || memory.length > 2 * length + STEP_BYTES) continue;
      if (best < 0 || memory.length < (this.#free[best] as Uint8Array).length) best = i;
    }
    const [memory] = best < 0 ? [] : this.#free.splice(best, 1);
    const whole = memory ?? this.#kind.allocate(Math.ceil(length / STEP_BYTES) * STEP_BYTES);
    if (whole !== undefined) this.#own.add(whole.buffer);
    return whole?.subarray(0, length);
  }

  /** Takes back what `take` gave, when no job uses it any more; all other memory is left to its owner. */
  giveBack(bytes: Uint8Array): void {
    if (bytes.length === 0 || !this.#own.has(bytes.buffer)) return;
    this.#free.push(this.#kind.whole(bytes));
    let idle = this.#free.reduce((sum, { length }) => sum + length, 0);
    while (idle > this.#maxIdleBytes()) idle -= (this.#free.shift() as Uint8Array).length;
  }

  /** Leaves what nobody uses to the garbage collector. */
  clear(): void {
    this.#free.length = 0;
  }
}

/** The memory of one pass. */
export class PassMemory {
  /** Its own: a source may go on writing to what it has filled. */
  readonly requests: ReusedMemory = ReusedMemory.ordinary();
  readonly #spans: ReusedMemory;

  /** @param spans pinned */
  constructor(spans: ReusedMemory) {
    this.#spans = spans;
  }

  /** For spans of these lengths, which are decoded together. */
  block(lengths: readonly number[]): SpanBlock {
    return new SpanBlock(this.#spans, lengths);
  }
}

/**
 * Neighbouring spans in one piece of memory, which is taken when the first of them is decoded and given back when
 * all of them are.
 */
export class SpanBlock {
  readonly #memory: ReusedMemory;
  /** Where each span begins, and where the last one ends. */
  readonly #bounds: readonly number[];
  #taken: { readonly bytes: Uint8Array | undefined } | undefined;
  #lent: number;

  constructor(memory: ReusedMemory, lengths: readonly number[]) {
    const bounds = [0];
    for (const length of lengths) bounds.push((bounds.at(-1) as number) + length);
    this.#memory = memory;
    this.#bounds = bounds;
    this.#lent = lengths.length;
  }

  /** Where a span goes; undefined: wherever there is room for it. */
  part(index: number): Uint8Array | undefined {
    this.#taken ??= { bytes: this.#memory.take(this.#bounds.at(-1) as number) };
    return this.#taken.bytes?.subarray(this.#bounds[index], this.#bounds[index + 1]);
  }

  /** A span is done with. One that never is, since it failed or somebody else has it too, keeps the whole block. */
  release(): void {
    this.#lent--;
    const bytes = this.#taken?.bytes;
    if (this.#lent === 0 && bytes !== undefined) this.#memory.giveBack(bytes);
  }
}
