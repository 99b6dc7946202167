// Why two streams at once are faster than one after the other. What is left in
// the loop of one is waiting: for the look-up of a symbol, which begins when
// the one before was looked up, and for the branch "a literal or a match?",
// which the compressor made unpredictable. The look-ups of a second stream fill
// the first gap. And since waiting for a look-up costs little now, the branch
// can be bought off: up to two literals are taken without one, by a shift that
// is by 0 if the symbol is none. That is a chain of two more look-ups in front
// of every match, which one stream alone loses by.
//
// - Both take their literals before either goes on: what is behind a
//   mispredicted branch is begun anew, what is in front of it is not.
// - How many turns the margins allow is computed ahead, so that a turn checks
//   neither; in the end one by one.
// - Two literals where literals are frequent (machine code), one where matches
//   are (text): a look-up for nothing costs a match as much as the branch.
// - The primary tables of literals have one size, which is a constant.
//
// Measured on Zen 4 and left out: turns of the loop of one stream in
// alternation (1.0 times its speed), three literals without a branch, no branch
// for the third symbol either, distances looked up before the branch, matches
// copied by PSHUFB without a branch for short distances, a buffer that counts
// its bits by a mark above them instead of in a register (no better with the
// chain of its refill), prefetching the output.
#include "fast_pair_loop.h"

#include <algorithm>

#include "fast_turn.h"

namespace soci {
namespace {

// Of 256 symbols of each: where an extra look-up begins to pay.
constexpr unsigned kManyLiterals = 256;

// By how much a turn moves on at most. The buffer is as full after a turn as
// before, but for 7 bits: what turns take from the input is what their symbols
// take, and at most those 7 bits more.
constexpr unsigned kInputShift = 4;
constexpr unsigned kOutputShift = 9;
static_assert(kMaxTurnBits + 7 <= 8u << kInputShift, "one turn, and rounding");
static_assert(kMaxTurnOutput <= size_t{1} << kOutputShift, "one turn");

// The registers of one of the two decoders, and the steps of its turn.
struct Lane {
  const uint8_t* in;
  uint8_t* out;
  uint64_t hold;
  // Only the low 8 bits count: subtracting a whole entry leaves rubbish above.
  uint32_t bits;
  HuffmanEntry entry;  // of the next symbol, looked up and not yet taken
  uintptr_t base;      // of the contiguous output
  const HuffmanEntry* litlen;
  const HuffmanEntry* distances;
  const FarHistory& far;
  const uint8_t* in_stop;  // a turn may begin up to these
  uint8_t* out_stop;

  SOCI_ALWAYS_INLINE explicit Lane(const FastPairLane& lane)
      : in(lane.state.in),
        out(lane.state.out),
        hold(lane.state.hold),
        bits(lane.state.bits),
        base(reinterpret_cast<uintptr_t>(lane.far->base)),
        litlen(lane.tables->litlen),
        distances(lane.tables->distance),
        far(*lane.far),
        in_stop(lane.in_end - kFastInputMargin),
        out_stop(lane.out_end - kFastOutputMargin) {
    Refill();
    LookUp();
  }
  SOCI_ALWAYS_INLINE void Save(FastPairLane* lane, FastLoopExit exit) const {
    lane->state = {in, out, hold, BitsLeft()};
    lane->exit = exit;
  }

  // Turns that can be made before the margins have to be looked at again: one,
  // of which the caller knows, and those that leave room for another. (The
  // refill before the first may have passed in_stop.)
  SOCI_ALWAYS_INLINE size_t Turns() const {
    const size_t input = in < in_stop ? static_cast<size_t>(in_stop - in) : 0;
    const size_t output = static_cast<size_t>(out_stop - out);
    return 1 + std::min(input >> kInputShift, output >> kOutputShift);
  }
  SOCI_ALWAYS_INLINE bool HasMargins() const {
    return in <= in_stop && out <= out_stop;
  }
  SOCI_ALWAYS_INLINE uint8_t BitsLeft() const {
    return static_cast<uint8_t>(bits);
  }
  SOCI_ALWAYS_INLINE void Refill() {
    hold |= LoadLe64(in) << (bits & 63);
    in += 7;
    in -= bits >> 3 & 7;
    bits |= kRefilledBits;
  }
  SOCI_ALWAYS_INLINE void LookUp() {
    entry = litlen[LowBits(hold, kLitLenRoot)];
  }
  // Returns the buffer as it was before, which EntryValue wants.
  SOCI_ALWAYS_INLINE uint64_t Take() {
    const uint64_t before = hold;
    hold >>= entry & 63;
    bits -= entry;
    return before;
  }
  SOCI_ALWAYS_INLINE FastLoopExit FinishLiteral() {
    const HuffmanEntry literal = entry;
    LookUp();
    *out++ = static_cast<uint8_t>(literal >> 16);
    Refill();
    return FastLoopExit::kMargin;
  }

  // Takes the symbol if it is a literal, and otherwise nothing, without a
  // branch. Looks up what follows, which in the other case is the same again.
  SOCI_ALWAYS_INLINE void TakeIfLiteral() {
    *out = static_cast<uint8_t>(entry >> 16);
    uint32_t taken = entry;
#if defined(__x86_64__) && !defined(__clang__)
    // The bit that is shifted out last is the one that literals have: it is in
    // the carry flag, from where it need not be moved to be added.
    asm("shrl %2, %0\n\tadcq $0, %1"
        : "+r"(taken), "+r"(out)
        : "n"(kLiteralBitsShift)
        : "cc");
#else
    out += taken >> (kLiteralBitsShift - 1) & 1;
    taken >>= kLiteralBitsShift;
#endif
    hold >>= taken;
    bits -= taken;
    LookUp();
  }

  // The symbol behind those literals. kMargin: a literal or a match was
  // written, and the next turn may begin.
  SOCI_ALWAYS_INLINE FastLoopExit Finish() {
    uint64_t before = Take();
    if (entry & kLiteralFlag) return FinishLiteral();
    if (__builtin_expect(entry & kExceptionFlag, 0)) {
      if (entry & kSubtableFlag) {
        entry = litlen[(1u << kLitLenRoot) + (entry >> 16) +
                       LowBits(hold, entry >> 8 & 15)];
        before = Take();
        if (entry & kLiteralFlag) return FinishLiteral();
      }
      if (entry & kExceptionFlag) {
        return entry & kEndOfBlockFlag ? FastLoopExit::kEndOfBlock
                                       : FastLoopExit::kInvalid;
      }
    }

    const size_t length = EntryValue(entry, before);
    // What is left after literals and a length may not suffice for a distance
    // and the lookup behind it; but it nearly always does, so look first.
    entry = distances[LowBits(hold, kDistanceRoot)];
    if (__builtin_expect(entry & kExceptionFlag, 0)) {
      if (!(entry & kSubtableFlag)) return FastLoopExit::kInvalid;
      if (BitsLeft() < kLongDistanceBits + kLitLenRoot) Refill();
      Take();
      entry = distances[(1u << kDistanceRoot) + (entry >> 16) +
                        LowBits(hold, entry >> 8 & 15)];
      if (entry & kExceptionFlag) return FastLoopExit::kInvalid;
    } else if (__builtin_expect(BitsLeft() < kShortDistanceBits + kLitLenRoot,
                                0)) {
      Refill();
    }
    before = Take();
    const size_t distance = EntryValue(entry, before);
    LookUp();
    Refill();

    // As integers, since there may be nothing at that place. It cannot wrap: no
    // object lies in the first 32 KiB of an address space.
    const uintptr_t from = reinterpret_cast<uintptr_t>(out) - distance;
    if (__builtin_expect(from < base, 0)) {
      uint8_t* const end = CopyFarMatch(out, length, distance, far);
      if (end == nullptr) return FastLoopExit::kInvalid;
      out = end;
    } else {
      CopyMatch(out, reinterpret_cast<const uint8_t*>(from), length, distance);
      out += length;
    }
    return FastLoopExit::kMargin;
  }
};

template <unsigned kLiterals>
SOCI_ALWAYS_INLINE void Loop(FastPairLane* first, FastPairLane* second) {
  static_assert(kLiterals == 1 || kLiterals == 2, "the bit budget of a turn");
  Lane a(*first);
  Lane b(*second);
  FastLoopExit a_exit = FastLoopExit::kMargin;
  FastLoopExit b_exit = FastLoopExit::kMargin;
  do {
    size_t turns = std::min(a.Turns(), b.Turns());
    do {
      a.TakeIfLiteral();
      b.TakeIfLiteral();
      if (kLiterals == 2) {
        a.TakeIfLiteral();
        b.TakeIfLiteral();
      }
      a_exit = a.Finish();
      if (__builtin_expect(a_exit != FastLoopExit::kMargin, 0)) goto stop;
      b_exit = b.Finish();
      if (__builtin_expect(b_exit != FastLoopExit::kMargin, 0)) goto stop;
    } while (--turns > 0);
  } while (a.HasMargins() && b.HasMargins());
stop:
  a.Save(first, a_exit);
  b.Save(second, b_exit);
}

void MatchesPortable(FastPairLane* a, FastPairLane* b) { Loop<1>(a, b); }
void LiteralsPortable(FastPairLane* a, FastPairLane* b) { Loop<2>(a, b); }

#if defined(__x86_64__)
SOCI_BMI2_LOOP void MatchesBmi2(FastPairLane* a, FastPairLane* b) {
  Loop<1>(a, b);
}
SOCI_BMI2_LOOP void LiteralsBmi2(FastPairLane* a, FastPairLane* b) {
  Loop<2>(a, b);
}
#endif

}  // namespace

FastPairLoop FastPairLoops::For(const HuffmanTables& a,
                                const HuffmanTables& b) const {
  return a.literal_share + b.literal_share > kManyLiterals ? literals : matches;
}

FastPairLoops ChooseFastPairLoops() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
    return {MatchesBmi2, LiteralsBmi2};
#endif
  return {MatchesPortable, LiteralsPortable};
}

}  // namespace soci
