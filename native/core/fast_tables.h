// Decoding tables of the fast engine. A code of RFC 1951 §3.2.2 becomes one
// array of 32-bit entries: a primary table indexed by the next `root` bits of
// the stream, followed by subtables for the rarer, longer code words. An entry
// holds everything that its symbol means (base value, number of bits to take,
// what kind of symbol), so that the hot loop never consults a second array.
#pragma once

#include <cstdint>

namespace soci {

// Layout of an entry, low bits first:
//    0..7   bits to take: the code word and the extra bits
//    8..11  bits of the code word alone
//   12..15  flags, below
//   16..31  literal, base of a length or of a distance, or where in the table
//           a subtable begins, counted from the end of the primary one
//   27      of a literal: set
//   28..31  of a literal: bits of the code word once more, so that what a
//           symbol takes if it is a literal, and otherwise nothing, is one
//           shift
// The flags of an entry with a base are 0, so that (entry >> 8) modulo 64 is
// the length of its code word. In a subtable both bit counts are without the
// `root` bits of the primary table. The entry that points to a subtable takes
// `root` bits, and its field 8..11 is the number of bits that index the
// subtable.
using HuffmanEntry = uint32_t;

constexpr HuffmanEntry kLiteralFlag = 1u << 15;
constexpr unsigned kLiteralBitsShift = 28;
constexpr HuffmanEntry kExceptionFlag = 1u << 14;  // one of the next two, or
                                                   // no symbol at all
constexpr HuffmanEntry kSubtableFlag = 1u << 13;
constexpr HuffmanEntry kEndOfBlockFlag = 1u << 12;

constexpr unsigned kMaxCodeLength = 15;  // RFC 1951 §3.2.7
constexpr unsigned kMaxPrecodeLength = 7;

constexpr unsigned kLitLenSymbols = 288;
constexpr unsigned kDistanceSymbols = 32;
constexpr unsigned kPrecodeSymbols = 19;
constexpr unsigned kEndOfBlock = 256;

// 11 and 8 bits: nearly every symbol of real streams is found in the primary
// table, and both tables of a block stay in half of a 32 KiB L1 data cache.
constexpr unsigned kLitLenRoot = 11;
constexpr unsigned kDistanceRoot = 8;

// The largest tables any complete code of that many symbols can need (what
// zlib's examples/enough.c counts: `enough 288 11 15`, `enough 32 8 15`).
constexpr unsigned kLitLenEntries = 2342;
constexpr unsigned kDistanceEntries = 402;
constexpr unsigned kPrecodeEntries = 1u << kMaxPrecodeLength;
static_assert(kLitLenSymbols == 288 && kLitLenRoot == 11 &&
                  kDistanceSymbols == 32 && kDistanceRoot == 8 &&
                  kMaxCodeLength == 15,
              "`enough` was asked about other codes");

// Extra bits behind the longest code words, RFC 1951 §3.2.5.
constexpr unsigned kMaxLengthExtra = 5;
constexpr unsigned kMaxDistanceExtra = 13;

// That everything fits into an entry.
static_assert(kMaxCodeLength + kMaxDistanceExtra < 64,
              "one shift of a 64-bit buffer takes a symbol");
static_assert(kMaxCodeLength < 16, "bits 8..11 count a code word");
static_assert(kLitLenEntries - (1u << kLitLenRoot) < 1u << 11,
              "bit 27 of what is no literal is 0");
static_assert(kDistanceEntries <= 65536, "bits 16..31 index a subtable");
static_assert(kMaxCodeLength - kDistanceRoot < 16,
              "bits 8..11 count the index of a subtable");

// The two codes of one block. The primary table of the literals is as small as
// the code allows, for it is the one that takes time to build; that of the
// distances always has kDistanceRoot bits, so that its index is one byte.
struct HuffmanTables {
  HuffmanEntry litlen[kLitLenEntries];
  HuffmanEntry distance[kDistanceEntries];
  unsigned litlen_root;
  // Of 256 symbols of the literal code, drawn by their probability, how many
  // are literals; WidenLitLenTable counts.
  unsigned literal_share;
};
constexpr unsigned kUncounted = ~0u;

// The builders take `count` code lengths and return false for the codes that
// zlib refuses: over-subscribed ones, and incomplete ones except a single code
// word of one bit (the other bit is then an error when it is met). A distance
// code without any symbol is accepted: it serves blocks of literals only.

// Precode entries hold the symbol in bits 16..31. Index by 7 bits. A precode
// without symbols decodes as zeros of one bit each (the block is refused
// later, since it lacks an end-of-block code).
bool BuildPrecodeTable(const uint8_t* lengths, HuffmanEntry* table);
bool BuildLitLenTable(const uint8_t* lengths, unsigned count,
                      HuffmanTables* tables);
bool BuildDistanceTable(const uint8_t* lengths, unsigned count,
                        HuffmanTables* tables);

// Prepares tables for the loop that decodes two streams: the primary table of
// the literals gets the size that it has at most, for no register is left there
// to say which, and literal_share is counted.
void WidenLitLenTable(HuffmanTables* tables);

// RFC 1951 §3.2.6.
void BuildFixedTables(HuffmanTables* tables);

}  // namespace soci
