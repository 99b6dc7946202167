/**
 * Memory that no script can detach, resize or free. The addon may write to it
 * from a pool thread although script was shown it before, and may still hold
 * it: ordinary array buffers could be transferred to a worker and freed under
 * the job's feet. The buffer of a WebAssembly.Memory cannot: only the memory's
 * own grow() detaches it (WebAssembly JavaScript Interface, "Memories":
 * [[ArrayBufferDetachKey]]), and of these memories nobody has the object.
 */

/** What of it is used here: @types/node leaves it to the types of browsers. */
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};

const PAGE_BYTES = 65_536;

const pinned = new WeakSet<ArrayBufferLike>();

/**
 * At least `length` bytes, zeros at first. They are given back when nothing
 * refers to the array any more.
 *
 * @returns undefined when there is no such memory: each takes some GiB of
 *   address space, of which only what is used is backed by memory
 */
export function allocatePinned(length: number): Uint8Array | undefined {
  const pages = Math.ceil(length / PAGE_BYTES);
  let buffer: ArrayBuffer;
  try {
    ({ buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages }));
  } catch {
    return undefined;
  }
  pinned.add(buffer);
  return new Uint8Array(buffer);
}

/** Whether an array lies in memory of `allocatePinned`. */
export function isPinned(array: Uint8Array): boolean {
  return pinned.has(array.buffer);
}
