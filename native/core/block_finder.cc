// Nearly all positions are refused by bit-parallel arithmetic on 48 of them at
// a time: a prefix of 0, 01 and the two counts behind it that are possible
// leave one in nine. Of those, the lengths of the precode have to make up a
// complete code, which leaves one in some 200; of those, both codes have to be
// complete.
#include "block_finder.h"

#include "block_header.h"
#include "bytes.h"
#include "fast_tables.h"

namespace soci {
namespace {

// Positions looked at at a time, and bits of a header that it takes to refuse
// most of them: the prefix, HLIT and HDIST.
constexpr unsigned kPositions = 48;
constexpr unsigned kCountsEnd = 3 + 5 + 5;
static_assert(kPositions + kCountsEnd - 1 <= 64, "one word");

constexpr unsigned kPrecodeStart = kCountsEnd + 4;
// What FindBlock reads in one go, at most: a word for the positions, one for
// the last of them behind its counts.
constexpr size_t kLookahead = (kPositions + kPrecodeStart) / 8 + 1 + 8;

// Bit i of the result: whether a dynamic block that is not the last may begin
// at bit i of `word`.
inline uint64_t MayBegin(uint64_t word) {
  // BFINAL 0, BTYPE 2.
  const uint64_t prefix = ~word & ~(word >> 1) & word >> 2;
  // HLIT and HDIST of 30 and 31 have no meaning: their four high bits.
  const uint64_t pairs = word & word >> 1;
  const uint64_t fours = pairs & pairs >> 2;
  constexpr uint64_t kAll = (uint64_t{1} << kPositions) - 1;
  return prefix & ~(fours >> 4) & ~(fours >> 9) & kAll;
}

// Shares of a complete precode (of 128) that four lengths in a row take.
constexpr unsigned kGroupBits = 4 * 3;
struct PrecodeShares {
  uint16_t of[1 << kGroupBits];
};
constexpr PrecodeShares MakeShares() {
  PrecodeShares shares{};
  for (unsigned lengths = 0; lengths < 1 << kGroupBits; lengths++) {
    unsigned sum = 0;
    for (unsigned rest = lengths; rest > 0; rest >>= 3) {
      if (rest & 7) sum += 128 >> (rest & 7);
    }
    shares.of[lengths] = static_cast<uint16_t>(sum);
  }
  return shares;
}
constexpr PrecodeShares kShares = MakeShares();

inline uint64_t BitsAt(const uint8_t* data, uint64_t position) {
  return LoadLe64(data + position / 8) >> (position & 7);
}

inline bool HasCompletePrecode(const uint8_t* data, uint64_t position) {
  const unsigned count =
      4 + (static_cast<unsigned>(BitsAt(data, position + kCountsEnd)) & 15);
  // 19 lengths of 3 bits are 57: as many as there are for certain.
  const uint64_t lengths =
      BitsAt(data, position + kPrecodeStart) & ((uint64_t{1} << 3 * count) - 1);
  // All five groups, without a branch: which of them is empty, or the first to
  // take too much, nothing could predict.
  const auto shares = [&](unsigned group) {
    return unsigned{
        kShares.of[lengths >> group * kGroupBits & ((1u << kGroupBits) - 1)]};
  };
  return shares(0) + shares(1) + shares(2) + shares(3) + shares(4) == 128;
}

// Kraft's sum, in units of the longest possible code word.
uint32_t Shares(const uint8_t* lengths, unsigned count) {
  uint32_t shares = 0;
  for (unsigned i = 0; i < count; i++) {
    if (lengths[i] != 0) shares += 1u << (kMaxCodeLength - lengths[i]);
  }
  return shares;
}

bool IsStoredLength(const uint8_t* data) {
  const uint32_t both = LoadLe32(data);
  return ((both ^ both >> 16) & 0xffff) == 0xffff;
}

// Whether IsStoredLength holds for any of the first six bytes.
inline bool MayHaveStoredLength(const uint8_t* data) {
  const uint64_t differ = LoadLe64(data) ^ LoadLe64(data + 2);
  const uint64_t same = ~(differ & differ >> 8) | uint64_t{0xffff} << 48;
  // Whether a byte of `same` is 0.
  return ((same - 0x0101010101010101) & ~same & 0x8080808080808080) != 0;
}

}  // namespace

bool BlockFinder::IsDynamicBlock(uint64_t position) {
  if (!HasCompletePrecode(data_, position) || headers_left_ == 0) return false;
  headers_left_--;
  BitReader bits(data_, size_, position + 3);
  CodeLengths lengths;
  if (!ReadCodeLengths(&bits, &lengths)) return false;
  constexpr uint32_t kComplete = 1u << kMaxCodeLength;
  if (Shares(lengths.of, lengths.litlen_count) != kComplete) return false;
  // Compressors write an incomplete code for one distance, or none.
  const uint32_t distances =
      Shares(lengths.of + lengths.litlen_count, lengths.distance_count);
  return distances == kComplete || distances == kComplete / 2 || distances == 0;
}

// Whether what begins at `position`, behind a stored block, can be told to be
// a block that is not the last.
bool BlockFinder::BlockFollows(uint64_t position) {
  if (position / 8 + kLookahead > size_) return false;
  const uint64_t word = BitsAt(data_, position);
  if ((word & 7) == 0) return IsStoredLength(data_ + position / 8 + 1);
  return (MayBegin(word) & 1) != 0 && IsDynamicBlock(position);
}

// `at` is that of LEN.
bool BlockFinder::IsStoredBlock(size_t at, uint64_t from, BlockStart* start) {
  const uint64_t bit = uint64_t{at} * 8;
  if (bit < from + 3) return false;
  // Up to 7 bits are skipped behind the prefix.
  uint64_t zeros = bit;
  while (zeros > from && bit - zeros < 10 &&
         (data_[(zeros - 1) / 8] >> ((zeros - 1) & 7) & 1) == 0) {
    zeros--;
  }
  if (bit - zeros < 3) return false;
  const uint32_t length = LoadLe32(data_ + at) & 0xffff;
  if (!BlockFollows((uint64_t{at} + 4 + length) * 8)) return false;
  *start = {zeros, bit - 3};
  return true;
}

bool BlockFinder::Find(uint64_t from, BlockStart* start) {
  if (size_ < kLookahead) return false;
  constexpr size_t kStep = kPositions / 8;
  const size_t first = static_cast<size_t>(from / 8);
  // Positions in the first byte that lie before `from`.
  uint64_t skip = (uint64_t{1} << (from & 7)) - 1;
  unsigned steps = 0;
  for (size_t at = first; at + kLookahead <= size_; at += kStep) {
    constexpr unsigned kStepsBetweenPolls = 1024;
    if (++steps % kStepsBetweenPolls == 0 &&
        (stop_->load(std::memory_order_relaxed) || headers_left_ == 0)) {
      return false;
    }
    // There may be a stored and a dynamic start in these bytes; either will do.
    if (__builtin_expect(MayHaveStoredLength(data_ + at), 0)) {
      for (size_t i = at; i < at + kStep; i++) {
        if (IsStoredLength(data_ + i) && IsStoredBlock(i, from, start)) {
          return true;
        }
      }
    }
    uint64_t candidates = MayBegin(LoadLe64(data_ + at)) & ~skip;
    skip = 0;
    for (; candidates != 0; candidates &= candidates - 1) {
      const uint64_t position =
          uint64_t{at} * 8 + static_cast<unsigned>(__builtin_ctzll(candidates));
      if (IsDynamicBlock(position)) {
        *start = {position, position};
        return true;
      }
    }
  }
  return false;
}

}  // namespace soci
