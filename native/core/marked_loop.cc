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
#include "marked_loop.h"

#include <cstring>

#include "bytes.h"
#include "fast_loop.h"

namespace soci {
namespace {

#define SOCI_ALWAYS_INLINE inline __attribute__((always_inline))

SOCI_ALWAYS_INLINE void Copy8(uint8_t* to, const uint8_t* from) {
  uint64_t v;
  std::memcpy(&v, from, sizeof(v));
  std::memcpy(to, &v, sizeof(v));
}

SOCI_ALWAYS_INLINE void Copy16(uint8_t* to, const uint8_t* from) {
  struct Block {
    uint64_t low, high;
  } v;
  std::memcpy(&v, from, sizeof(v));
  std::memcpy(to, &v, sizeof(v));
}

// Bits of a distance whose code word is found in the primary table, and of any.
constexpr unsigned kShortDistanceBits = kDistanceRoot + kMaxDistanceExtra;
constexpr unsigned kLongDistanceBits = kMaxCodeLength + kMaxDistanceExtra;

// The bit budget. After a refill the buffer has at least so many bits: it takes
// whole bytes while they fit, and 63 bits are as many as it may hold.
constexpr unsigned kRefilledBits = 56;
// A turn of the loop begins with a refilled buffer. What is taken before the
// next refill, and what must still be there to look up the symbol behind it:
constexpr unsigned kLookahead = kLitLenRoot;
static_assert(3 * kLitLenRoot + kLookahead <= kRefilledBits,
              "three literals of the primary table");
static_assert(2 * kLitLenRoot + kMaxCodeLength + kLookahead <= kRefilledBits,
              "two literals, then one of a subtable");
static_assert(2 * kLitLenRoot + kMaxCodeLength + kMaxLengthExtra +
                      kDistanceRoot <=
                  kRefilledBits,
              "two literals, any length, and the lookup of a distance");
// The distance is taken after a refill, unless enough is left for it.
static_assert(kLongDistanceBits + kLookahead <= kRefilledBits, "any distance");
static_assert(kShortDistanceBits <= kLongDistanceBits, "the shorter of two");

// The margins. A refill reads 8 bytes and takes at most 7. There is one before
// the loop, and at most two in a turn; the margins are looked at between turns.
static_assert(2 * 7 + 8 <= kFastInputMargin, "before the loop, and one turn");
// A turn writes two literals and a match, whose last copy of 32 bytes may begin
// just before its end.
static_assert(2 + 258 + 31 <= kFastOutputMargin, "one turn");

SOCI_ALWAYS_INLINE uint64_t LowBits(uint64_t v, unsigned n) {
  return v & ((uint64_t{1} << n) - 1);
}

// The value that an entry stands for: its base plus the extra bits, which
// follow the code word in `hold` (as it was before the entry was taken).
SOCI_ALWAYS_INLINE size_t EntryValue(HuffmanEntry entry, uint64_t hold) {
  // The flags above the length of the code word are 0: the shift is by it.
  return (entry >> 16) + (LowBits(hold, entry & 255) >> (entry >> 8 & 63));
}

SOCI_ALWAYS_INLINE void CopyMatch(Marked* out, const Marked* from,
                                  size_t length, size_t distance) {
  Marked* const end = out + length;
  auto c16 = [](Marked * a, const Marked* b) __attribute__((always_inline)) {
    Copy16((uint8_t*)a, (const uint8_t*)b);
  };
  auto c8 = [](Marked * a, const Marked* b) __attribute__((always_inline)) {
    Copy8((uint8_t*)a, (const uint8_t*)b);
  };
  if (__builtin_expect(distance >= 8, 1)) {
    c16(out, from);
    c16(out + 8, from + 8);
    while (__builtin_expect(out + 16 < end, 0)) {
      out += 16;
      from += 16;
      c16(out, from);
      c16(out + 8, from + 8);
    }
  } else if (distance >= 4) {
    do {
      c8(out, from);
      out += 4;
      from += 4;
    } while (out < end);
  } else {
    static const uint64_t mask[4] = {0, 0xffff, 0xffffffff, 0xffffffffffffULL};
    static const uint64_t rep[4] = {
        0, 0x0001000100010001ULL, 0x0000000100000001ULL, 0x0001000000000001ULL};
    static const size_t step[4] = {0, 4, 4, 3};
    uint64_t v;
    std::memcpy(&v, from, 8);
    v = (v & mask[distance]) * rep[distance];
    const size_t st = step[distance];
    do {
      std::memcpy(out, &v, 8);
      out += st;
    } while (out < end);
  }
}
SOCI_ALWAYS_INLINE FastLoopExit Loop(MarkedLoopState* state,
                                     const uint8_t* in_end, Marked* out_end,
                                     const HuffmanTables& tables) {
  const uint8_t* in = state->in;
  Marked* out = state->out;
  uint64_t hold = state->hold;
  // Only the low 8 bits count: subtracting a whole entry leaves rubbish above.
  uint32_t bits = state->bits;
  const uint8_t* const in_stop = in_end - kFastInputMargin;
  Marked* const out_stop = out_end - kFastOutputMargin;
  const HuffmanEntry* const litlen = tables.litlen;
  const HuffmanEntry* const distances = tables.distance;
  const unsigned litlen_root = tables.litlen_root;
  FastLoopExit exit = FastLoopExit::kMargin;

  const auto refill = [&]() __attribute__((always_inline)) {
    hold |= LoadLe64(in) << (bits & 63);
    in += 7;
    in -= bits >> 3 & 7;
    bits |= kRefilledBits;
  };
  const auto take = [&](HuffmanEntry entry) __attribute__((always_inline)) {
    hold >>= entry & 63;
    bits -= entry;
  };

  const auto bits_left = [&]() __attribute__((always_inline)) {
    return static_cast<uint8_t>(bits);
  };

  refill();
  HuffmanEntry entry = litlen[LowBits(hold, litlen_root)];
  do {
    uint64_t before = hold;
    take(entry);
    if (entry & kLiteralFlag) {
      const HuffmanEntry first = entry;
      entry = litlen[LowBits(hold, litlen_root)];
      *out++ = static_cast<Marked>(first >> 16);
      before = hold;
      take(entry);
      if (entry & kLiteralFlag) {
        const HuffmanEntry second = entry;
        entry = litlen[LowBits(hold, litlen_root)];
        *out++ = static_cast<Marked>(second >> 16);
        before = hold;
        take(entry);
        if (entry & kLiteralFlag) {
          *out++ = static_cast<Marked>(entry >> 16);
          entry = litlen[LowBits(hold, litlen_root)];
          refill();
          continue;
        }
      }
    }

    if (__builtin_expect(entry & kExceptionFlag, 0)) {
      if (entry & kSubtableFlag) {
        entry = litlen[(entry >> 16) + LowBits(hold, entry >> 8 & 15)];
        before = hold;
        take(entry);
        if (entry & kLiteralFlag) {
          *out++ = static_cast<Marked>(entry >> 16);
          entry = litlen[LowBits(hold, litlen_root)];
          refill();
          continue;
        }
      }
      if (entry & kExceptionFlag) {
        exit = entry & kEndOfBlockFlag ? FastLoopExit::kEndOfBlock
                                       : FastLoopExit::kInvalid;
        break;
      }
    }

    const size_t length = EntryValue(entry, before);
    // What is left after literals and a length may not suffice for a distance
    // and the lookup behind it; but it nearly always does, so look first.
    entry = distances[LowBits(hold, kDistanceRoot)];
    if (__builtin_expect(entry & kExceptionFlag, 0)) {
      if (!(entry & kSubtableFlag)) {
        exit = FastLoopExit::kInvalid;
        break;
      }
      if (bits_left() < kLongDistanceBits + kLitLenRoot) refill();
      take(entry);
      entry = distances[(entry >> 16) + LowBits(hold, entry >> 8 & 15)];
      if (entry & kExceptionFlag) {
        exit = FastLoopExit::kInvalid;
        break;
      }
    } else if (__builtin_expect(bits_left() < kShortDistanceBits + kLitLenRoot,
                                0)) {
      refill();
    }
    before = hold;
    take(entry);
    const size_t distance = EntryValue(entry, before);
    entry = litlen[LowBits(hold, litlen_root)];
    refill();

    CopyMatch(out, out - distance, length, distance);
    out += length;
  } while (in <= in_stop && out <= out_stop);

  state->in = in;
  state->out = out;
  state->hold = hold;
  state->bits = bits_left();
  return exit;
}

FastLoopExit LoopPortable(MarkedLoopState* state, const uint8_t* in_end,
                          Marked* out_end, const HuffmanTables& tables) {
  return Loop(state, in_end, out_end, tables);
}

#if defined(__x86_64__)
// Left alone, GCC moves the constants of LowBits out of the loop, where they
// take registers, and then no longer sees that its mask is one BZHI.
#if defined(__clang__)
#define SOCI_KEEP_CONSTANTS
#else
#define SOCI_KEEP_CONSTANTS __attribute__((optimize("no-move-loop-invariants")))
#endif

__attribute__((target("bmi,bmi2"), aligned(64)))
SOCI_KEEP_CONSTANTS FastLoopExit
LoopBmi2(MarkedLoopState* state, const uint8_t* in_end, Marked* out_end,
         const HuffmanTables& tables) {
  return Loop(state, in_end, out_end, tables);
}
#endif

}  // namespace

MarkedLoop ChooseMarkedLoop() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
    return LoopBmi2;
#endif
  return LoopPortable;
}

}  // namespace soci
