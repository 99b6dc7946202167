// What the hot loops of one stream (fast_loop.cc) and of two
// (fast_pair_loop.cc) have in common: the bit budget and the margins of a turn,
// what an entry stands for, and how a match is copied. The turns themselves are
// written out in each: put together from common steps, GCC 12 makes the loop of
// one stream 2 % slower.
#pragma once

#include <cstring>

#include "bytes.h"
#include "fast_loop.h"

namespace soci {

#define SOCI_ALWAYS_INLINE inline __attribute__((always_inline))

#if defined(__x86_64__)
// Left alone, GCC moves the constants of LowBits out of the loop, where they
// take registers, and then no longer sees that its mask is one BZHI.
#if defined(__clang__)
#define SOCI_KEEP_CONSTANTS
#else
#define SOCI_KEEP_CONSTANTS __attribute__((optimize("no-move-loop-invariants")))
#endif
#define SOCI_BMI2_LOOP \
  __attribute__((target("bmi,bmi2"), aligned(64))) SOCI_KEEP_CONSTANTS
#endif

// Bits of a distance whose code word is found in the primary table, and of any.
constexpr unsigned kShortDistanceBits = kDistanceRoot + kMaxDistanceExtra;
constexpr unsigned kLongDistanceBits = kMaxCodeLength + kMaxDistanceExtra;

// The bit budget. After a refill the buffer has at least so many bits: it takes
// whole bytes while they fit, and 63 bits are as many as it may hold.
constexpr unsigned kRefilledBits = 56;
// A turn of a loop begins with a refilled buffer. What is taken before the
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

// What a turn takes from the input and writes to the output at most: two
// literals and a match.
constexpr unsigned kMaxTurnBits =
    2 * kLitLenRoot + kMaxCodeLength + kMaxLengthExtra + kLongDistanceBits;
constexpr size_t kMaxTurnOutput = 2 + 258;

// The margins. A refill reads 8 bytes and takes at most 7. There is one before
// the loop, and at most two in a turn; the margins are looked at between turns.
static_assert(2 * 7 + 8 <= kFastInputMargin, "before the loop, and one turn");
// The last copy of a match, 32 bytes, may begin just before its end.
static_assert(kMaxTurnOutput + 31 <= kFastOutputMargin, "one turn");

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

SOCI_ALWAYS_INLINE uint64_t LowBits(uint64_t v, unsigned n) {
  return v & ((uint64_t{1} << n) - 1);
}

// The value that an entry stands for: its base plus the extra bits, which
// follow the code word in `hold` (as it was before the entry was taken).
SOCI_ALWAYS_INLINE size_t EntryValue(HuffmanEntry entry, uint64_t hold) {
  // The flags above the length of the code word are 0: the shift is by it.
  return (entry >> 16) + (LowBits(hold, entry & 255) >> (entry >> 8 & 63));
}

// How the last 1..7 bytes of output are repeated a word at a time.
struct Period {
  uint64_t mask;    // of one period in the low end of a word
  uint64_t repeat;  // a product with this fills the word with periods
  size_t step;      // bytes of the whole periods in a word
};
struct Periods {
  Period of[8];  // by the length of the period, from 1
};
constexpr Periods MakePeriods() {
  Periods periods{};
  for (unsigned length = 1; length < 8; length++) {
    Period& period = periods.of[length];
    period.mask = (uint64_t{1} << 8 * length) - 1;
    for (unsigned at = 0; at < 8; at += length)
      period.repeat |= uint64_t{1} << 8 * at;
    period.step = 8 - 8 % length;
  }
  return periods;
}
inline constexpr Periods kPeriods = MakePeriods();

// Copies a match inside the output; may write up to 31 bytes past its end.
SOCI_ALWAYS_INLINE void CopyMatch(uint8_t* out, const uint8_t* from,
                                  size_t length, size_t distance) {
  uint8_t* const end = out + length;
  if (__builtin_expect(distance >= 16, 1)) {
    Copy16(out, from);
    Copy16(out + 16, from + 16);
    while (__builtin_expect(out + 32 < end, 0)) {
      out += 32;
      from += 32;
      Copy16(out, from);
      Copy16(out + 16, from + 16);
    }
  } else if (distance >= 8) {
    do {
      Copy8(out, from);
      out += 8;
      from += 8;
    } while (out < end);
  } else {
    const Period& period = kPeriods.of[distance];
    const uint64_t word = (LoadLe64(from) & period.mask) * period.repeat;
    do {
      StoreLe64(out, word);
      out += period.step;
    } while (out < end);
  }
}

// A match that begins before the contiguous output. Returns its end, or nullptr
// if the distance reaches before the window. Rare, and only in the first
// 32 KiB after a start. (In fast_loop.cc.)
uint8_t* CopyFarMatch(uint8_t* out, size_t length, size_t distance,
                      const FarHistory& far);

}  // namespace soci
