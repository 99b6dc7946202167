#include "fast_tables.h"

#include <cstring>

namespace soci {
namespace {

// Entries without their code word lengths; MakeEntry adds those.
constexpr HuffmanEntry Literal(unsigned byte) {
  return kLiteralFlag | 1u << (kLiteralBitsShift - 1) | byte << 16;
}
constexpr HuffmanEntry Value(unsigned base, unsigned extra_bits) {
  return base << 16 | extra_bits;
}
constexpr HuffmanEntry kInvalid = kExceptionFlag;
constexpr HuffmanEntry kBlockEnd = kExceptionFlag | kEndOfBlockFlag;

constexpr HuffmanEntry MakeEntry(HuffmanEntry meaning, unsigned length) {
  const HuffmanEntry literal = meaning & kLiteralFlag;  // moved to bits 28..
  return meaning + length * (0x101 + (literal << (kLiteralBitsShift - 15)));
}

struct Meanings {
  HuffmanEntry litlen[kLitLenSymbols];
  HuffmanEntry distance[kDistanceSymbols];
  HuffmanEntry precode[kPrecodeSymbols];
};

// What every symbol means, computed from the rules behind the tables of
// RFC 1951 §3.2.5: after the first few symbols, each group of four lengths
// (two distances) has one extra bit more than the group before.
constexpr Meanings MakeMeanings() {
  Meanings m{};
  for (unsigned i = 0; i < 256; i++) m.litlen[i] = Literal(i);
  m.litlen[kEndOfBlock] = kBlockEnd;
  unsigned base = 3;
  for (unsigned i = 0; i < 28; i++) {
    const unsigned extra = i < 8 ? 0 : i / 4 - 1;
    m.litlen[257 + i] = Value(base, extra);
    base += 1u << extra;
  }
  m.litlen[285] = Value(258, 0);
  m.litlen[286] = m.litlen[287] = kInvalid;

  base = 1;
  for (unsigned i = 0; i < 30; i++) {
    const unsigned extra = i < 4 ? 0 : i / 2 - 1;
    m.distance[i] = Value(base, extra);
    base += 1u << extra;
  }
  m.distance[30] = m.distance[31] = kInvalid;

  for (unsigned i = 0; i < kPrecodeSymbols; i++) m.precode[i] = Value(i, 0);
  return m;
}

constexpr Meanings kMeanings = MakeMeanings();

// Code words are read from the stream starting with their most significant
// bit, so tables are indexed by reversed code words. This is `code + 1` on the
// reversed `length` bits. Must not be called on the last code word (all ones).
inline unsigned NextReversed(unsigned code, unsigned length) {
  const unsigned zeros = ~code & ((1u << length) - 1);
  const unsigned bit = 1u << (31 - __builtin_clz(zeros));  // highest zero
  return (code & (bit - 1)) | bit;
}

// A code with at most one code word, which is one bit long.
unsigned FillDegenerate(HuffmanEntry first, HuffmanEntry second,
                        HuffmanEntry* table) {
  table[0] = MakeEntry(first, 1);
  table[1] = MakeEntry(second, 1);
  return 1;
}

// Fills `table` with the code that `lengths` describes and returns the number
// of bits that index its primary table (at most max_root), or 0 if the code is
// refused. `absent` stands for every code word of a code without symbols.
unsigned BuildTable(const uint8_t* lengths, unsigned symbol_count,
                    const HuffmanEntry* meanings, unsigned max_root,
                    bool may_be_incomplete, HuffmanEntry absent,
                    HuffmanEntry* table) {
  unsigned count[kMaxCodeLength + 1] = {};
  for (unsigned i = 0; i < symbol_count; i++) count[lengths[i]]++;
  unsigned longest = kMaxCodeLength;
  while (longest > 0 && count[longest] == 0) longest--;
  if (longest == 0) return FillDegenerate(absent, absent, table);

  // Kraft's sum, in units of the longest possible code word.
  uint32_t room = 1u << kMaxCodeLength;
  for (unsigned len = 1; len <= longest; len++) {
    const uint32_t used = count[len] << (kMaxCodeLength - len);
    if (used > room) return 0;
    room -= used;
  }
  if (room != 0 && (longest != 1 || !may_be_incomplete)) return 0;

  // Symbols in the order of their code words: by length, then by value.
  unsigned offset[kMaxCodeLength + 2];
  offset[0] = offset[1] = 0;
  for (unsigned len = 1; len <= longest; len++)
    offset[len + 1] = offset[len] + count[len];
  uint16_t sorted[kLitLenSymbols];
  const unsigned used_symbols = offset[longest + 1];
  offset[0] = used_symbols;  // absent symbols go behind, as a scratch area
  for (unsigned i = 0; i < symbol_count; i++)
    sorted[offset[lengths[i]]++] = static_cast<uint16_t>(i);

  if (room != 0) return FillDegenerate(meanings[sorted[0]], kInvalid, table);

  const unsigned root = longest < max_root ? longest : max_root;
  const uint16_t* symbol = sorted;
  const uint16_t* const last = sorted + used_symbols - 1;
  unsigned code = 0;  // reversed

  // Short code words. The table doubles with the length: the copy repeats each
  // entry for both values of the next bit, and what it copies where no code
  // word was yet is overwritten by the longer ones.
  unsigned len = 1;
  while (count[len] == 0) len++;
  for (; len <= root; len++) {
    for (unsigned n = count[len]; n > 0; n--) {
      table[code] = MakeEntry(meanings[*symbol], len);
      if (symbol++ == last) return root;
      code = NextReversed(code, len);
    }
    if (len < root)
      std::memcpy(table + (1u << len), table, (1u << len) * sizeof(*table));
  }

  // Long code words: one subtable for each value of their first `root` bits,
  // just large enough for the code words that share it.
  const unsigned root_mask = (1u << root) - 1;
  unsigned next = 1u << root;  // where the next subtable begins
  unsigned start = 0, size = 0, prefix = ~0u;
  for (;; len++) {
    for (unsigned n = count[len]; n > 0; n--) {
      if ((code & root_mask) != prefix) {
        prefix = code & root_mask;
        start = next;
        unsigned bits = len - root;
        unsigned filled = n;  // code words, in units of the longest so far
        while (filled < 1u << bits) {
          bits++;
          filled = (filled << 1) + count[root + bits];
        }
        size = 1u << bits;
        next += size;
        table[prefix] = kExceptionFlag | kSubtableFlag |
                        (start - (1u << root)) << 16 | bits << 8 | root;
      }
      const HuffmanEntry entry = MakeEntry(meanings[*symbol], len - root);
      for (unsigned i = code >> root; i < size; i += 1u << (len - root))
        table[start + i] = entry;
      if (symbol++ == last) return root;
      code = NextReversed(code, len);
    }
  }
}

// Makes a table without subtables longer: its index gets bits that do not
// matter.
void Widen(HuffmanEntry* table, unsigned root, unsigned wanted) {
  for (size_t size = size_t{1} << root; size < size_t{1} << wanted; size *= 2)
    std::memcpy(table + size, table, size * sizeof(*table));
}

}  // namespace

bool BuildPrecodeTable(const uint8_t* lengths, HuffmanEntry* table) {
  const unsigned root =
      BuildTable(lengths, kPrecodeSymbols, kMeanings.precode, kMaxPrecodeLength,
                 false, Value(0, 0), table);
  if (root == 0) return false;
  Widen(table, root, kMaxPrecodeLength);
  return true;
}

bool BuildLitLenTable(const uint8_t* lengths, unsigned count,
                      HuffmanTables* tables) {
  tables->litlen_root = BuildTable(lengths, count, kMeanings.litlen,
                                   kLitLenRoot, true, kInvalid, tables->litlen);
  tables->literal_share = kUncounted;
  return tables->litlen_root != 0;
}

bool BuildDistanceTable(const uint8_t* lengths, unsigned count,
                        HuffmanTables* tables) {
  const unsigned root =
      BuildTable(lengths, count, kMeanings.distance, kDistanceRoot, true,
                 kInvalid, tables->distance);
  if (root == 0) return false;
  Widen(tables->distance, root, kDistanceRoot);
  return true;
}

void WidenLitLenTable(HuffmanTables* tables) {
  Widen(tables->litlen, tables->litlen_root, kLitLenRoot);
  tables->litlen_root = kLitLenRoot;
  // Any 256 entries in a row stand for all values of the next 8 bits.
  static_assert(kLitLenRoot >= 8);
  unsigned count = 0;
  for (unsigned i = 0; i < 256; i++) {
    count += (tables->litlen[i] & kLiteralFlag) / kLiteralFlag;
  }
  tables->literal_share = count;
}

void BuildFixedTables(HuffmanTables* tables) {
  uint8_t lengths[kLitLenSymbols];
  std::memset(lengths, 8, 144);
  std::memset(lengths + 144, 9, 112);
  std::memset(lengths + 256, 7, 24);
  std::memset(lengths + 280, 8, 8);
  static_cast<void>(BuildLitLenTable(lengths, kLitLenSymbols, tables));
  std::memset(lengths, 5, kDistanceSymbols);
  static_cast<void>(BuildDistanceTable(lengths, kDistanceSymbols, tables));
}

}  // namespace soci
