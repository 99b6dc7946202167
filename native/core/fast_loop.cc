// Why this is fast. DEFLATE decoding is one long dependency chain: the position
// of a symbol is known only after the one before it was looked up. So the loop
// keeps that chain short (load entry, shift, mask, next load) and moves all
// else off it:
//
// - One 64-bit buffer, refilled without a branch by an unaligned load of 8
//   bytes, of which as many whole bytes count as fit. A refill gives at least
//   56 bits: three literals of 11 bits, or a length with its extra bits.
// - A table entry says everything about its symbol, extra bits included in the
//   number of bits to take. `hold >>= entry` takes them in one instruction, as
//   x86 and ARM shift by the low bits of the register.
// - The entry of the next symbol is loaded before the bytes of this one are
//   copied, so the copy happens in the shadow of that load; and before the
//   buffer is refilled, so the refill is no part of the chain.
// - Literals are tried up to three times in a row before anything is checked.
// - Matches are copied 16 bytes at a time, past their end if need be; typical
//   lengths take two unconditional copies, hence no mispredicted branch. Short
//   periods become one word by a multiplication, which is stored repeatedly:
//   nothing is read back that was just written.
// - One comparison per symbol for each of input and output, thanks to margins;
//   the window outside of the output costs one more per match, the one that
//   checks the distance anyway.
//
// On x86 the same function is compiled a second time for BMI1 and BMI2, whose
// shifts (SHRX, SHLX) need no flags and no CL register, and whose BZHI masks.
//
// What remains is mostly mispredicted branches: whether a literal or a match
// comes next is what the compressor could not predict either.
//
// Measured and left out: entries that hold two literals, a primary table of 12
// bits (both cost more to build than they save in blocks of usual size), a
// first literal taken without a branch (its load is then on the chain of every
// match), four literals in a row, copies of 16 or 48 bytes first, copies of 8
// bytes at a time.
#include "fast_loop.h"

#include "symbol_loop.h"

namespace soci {

__attribute__((noinline)) uint8_t* CopyFarMatch(uint8_t* out, size_t length,
                                                size_t distance,
                                                const FarHistory& far) {
  const uint8_t* from = far.Find(out, distance);
  if (from == nullptr) return nullptr;
  const size_t there = static_cast<size_t>(far.window_end - from);
  if (__builtin_expect(length <= 32 && there >= 32, 1)) {
    Copy16(out, from);
    Copy16(out + 16, from + 16);
    return out + length;
  }
  const size_t first = length < there ? length : there;
  std::memcpy(out, from, first);
  out += first;
  // Behind the window the output itself goes on, which may overlap.
  for (size_t i = first; i < length; i++, out++) *out = *(out - distance);
  return out;
}

namespace {

struct ByteOutput {
  using Element = uint8_t;

  SOCI_ALWAYS_INLINE uint8_t* Copy(uint8_t* out, size_t length,
                                   size_t distance) const {
    // As integers, since there may be nothing at that place. It cannot wrap: no
    // object lies in the first 32 KiB of an address space.
    const uintptr_t from = reinterpret_cast<uintptr_t>(out) - distance;
    if (__builtin_expect(from < base, 0)) {
      return CopyFarMatch(out, length, distance, far);
    }
    CopyMatch(out, reinterpret_cast<const uint8_t*>(from), length, distance);
    return out + length;
  }

  const FarHistory& far;
  const uintptr_t base = reinterpret_cast<uintptr_t>(far.base);
};

FastLoopExit LoopPortable(FastLoopState* state, const uint8_t* in_end,
                          uint8_t* out_end, const FarHistory& far,
                          const HuffmanTables& tables) {
  return SymbolLoop(state, in_end, out_end, ByteOutput{far}, tables);
}

#if defined(__x86_64__)
SOCI_BMI2_LOOP FastLoopExit LoopBmi2(FastLoopState* state,
                                     const uint8_t* in_end, uint8_t* out_end,
                                     const FarHistory& far,
                                     const HuffmanTables& tables) {
  return SymbolLoop(state, in_end, out_end, ByteOutput{far}, tables);
}
#endif

}  // namespace

FastLoop ChooseFastLoop() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
    return LoopBmi2;
#endif
  return LoopPortable;
}

}  // namespace soci
