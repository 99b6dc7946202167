/**
 * Memory that no script can detach, resize or free. The addon may write to it
 * from a pool thread although script was shown it before, and may still hold
 * it: ordinary array buffers could be transferred to a worker and freed under
 * the job's feet. The buffer of a WebAssembly.Memory cannot: only the memory's
 * own grow() detaches it (WebAssembly JavaScript Interface, "Memories":
 * [[ArrayBufferDetachKey]]), and of these memories nobody else has the object. So
 * what script was shown can be taken from it again, and the memory used for others.
 */

/** What of it is used here: @types/node leaves it to the types of browsers. */
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number }) => WasmMemory;
};

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

const PAGE_BYTES = 65_536;

const pinned = new WeakMap<ArrayBufferLike, WasmMemory>();

/**
 * At least `length` bytes, zeros at first. They are given back when nothing
 * refers to the array any more.
 *
 * @returns undefined when there is no such memory: each takes some GiB of
 *   address space, of which only what is used is backed by memory
 */
export function allocatePinned(length: number): Uint8Array | undefined {
  const pages = Math.ceil(length / PAGE_BYTES);
  try {
    return shown(new WebAssembly.Memory({ initial: pages, maximum: pages }));
  } catch {
    return undefined;
  }
}

/**
 * The whole memory that `array` lies in, which is pinned and no job uses, with its contents: from now on all arrays
 * of it that script had before are empty. Growing by nothing does that, too ("refresh the Memory buffer").
 */
export function revokePinned(array: Uint8Array): Uint8Array {
  const memory = pinned.get(array.buffer) as WasmMemory;
  memory.grow(0);
  return shown(memory);
}

function shown(memory: WasmMemory): Uint8Array {
  pinned.set(memory.buffer, memory);
  return new Uint8Array(memory.buffer);
}

/** Whether an array lies in memory of `allocatePinned`. */
export function isPinned(array: Uint8Array): boolean {
  return pinned.has(array.buffer);
}
