// The turns of the hot loop of one stream, whatever its output is made of:
// bytes (fast_loop.cc, which says why it is fast) or, where the window is not
// known, elements that may be markers (marked_loop.cc).
#pragma once

#include "fast_turn.h"

namespace soci {

// As FastLoop, on a FastLoopState or MarkedLoopState. `Output` has its
// `Element` and
//   Element* Copy(Element* out, size_t length, size_t distance) const
// which copies a match and returns its end, or nullptr if it begins where there
// is nothing; it may write up to 31 elements past that end.
template <class Output, class State>
SOCI_ALWAYS_INLINE FastLoopExit SymbolLoop(State* state, const uint8_t* in_end,
                                           typename Output::Element* out_end,
                                           const Output& output,
                                           const HuffmanTables& tables) {
  using Element = typename Output::Element;
  const uint8_t* in = state->in;
  Element* out = state->out;
  uint64_t hold = state->hold;
  // Only the low 8 bits count: subtracting a whole entry leaves rubbish above.
  uint32_t bits = state->bits;
  const uint8_t* const in_stop = in_end - kFastInputMargin;
  Element* const out_stop = out_end - kFastOutputMargin;
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
      *out++ = static_cast<uint8_t>(first >> 16);
      before = hold;
      take(entry);
      if (entry & kLiteralFlag) {
        const HuffmanEntry second = entry;
        entry = litlen[LowBits(hold, litlen_root)];
        *out++ = static_cast<uint8_t>(second >> 16);
        before = hold;
        take(entry);
        if (entry & kLiteralFlag) {
          *out++ = static_cast<uint8_t>(entry >> 16);
          entry = litlen[LowBits(hold, litlen_root)];
          refill();
          continue;
        }
      }
    }

    if (__builtin_expect(entry & kExceptionFlag, 0)) {
      if (entry & kSubtableFlag) {
        entry = litlen[(1u << kLitLenRoot) + (entry >> 16) +
                       LowBits(hold, entry >> 8 & 15)];
        before = hold;
        take(entry);
        if (entry & kLiteralFlag) {
          *out++ = static_cast<uint8_t>(entry >> 16);
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
      entry = distances[(1u << kDistanceRoot) + (entry >> 16) +
                        LowBits(hold, entry >> 8 & 15)];
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

    Element* const end = output.Copy(out, length, distance);
    if (__builtin_expect(end == nullptr, 0)) {
      exit = FastLoopExit::kInvalid;
      break;
    }
    out = end;
  } while (in <= in_stop && out <= out_stop);

  state->in = in;
  state->out = out;
  state->hold = hold;
  state->bits = bits_left();
  return exit;
}

}  // namespace soci
