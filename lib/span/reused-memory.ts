/**
 * Memory for a pass over much of a layer, used again and again for what passes
 * through. New memory for each span is expensive: the kernel clears its pages,
 * and V8 collects garbage for every 16 MiB or so of array buffers, however
 * small the heap is. Each pass has its own: who writes to what it was lent
 * before spoils this pass, and what others read of the spans that it decodes.
 */
import { allocatePinned } from '../binding.js';

/** Sizes are rounded up to multiples of this: those of spans differ a little. */
const STEP_BYTES = 512 * 1024;

export class ReusedMemory {
  readonly #allocate: (length: number) => Uint8Array | undefined;
  readonly #own = new WeakSet<ArrayBufferLike>();
  readonly #free: Uint8Array[] = [];

  private constructor(allocate: (length: number) => Uint8Array | undefined) {
    this.#allocate = allocate;
  }

  /** Of memory that can be shown to script and be decoded into again. */
  static pinned(): ReusedMemory {
    return new ReusedMemory(allocatePinned);
  }

  /** Of memory that jobs only copy from. */
  static ordinary(): ReusedMemory {
    return new ReusedMemory(length => new Uint8Array(length));
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
    const whole = memory ?? this.#allocate(Math.ceil(length / STEP_BYTES) * STEP_BYTES);
    if (whole !== undefined) this.#own.add(whole.buffer);
    return whole?.subarray(0, length);
  }

  /** Takes back what `take` gave, when nothing is written to it any more; all other memory is left to its owner. */
  giveBack(bytes: Uint8Array): void {
    // Ordinary memory may have been detached by the source that filled it.
    if (bytes.length > 0 && this.#own.has(bytes.buffer)) this.#free.push(new Uint8Array(bytes.buffer));
  }
}

/** The memory of one pass. */
export class PassMemory {
  readonly requests: ReusedMemory = ReusedMemory.ordinary();
  readonly #spans = ReusedMemory.pinned();

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
