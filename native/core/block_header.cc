#include "block_header.h"

#include <cstring>

namespace soci {

bool ReadStoredLength(BitReader* bits, uint32_t* length) {
  bits->SkipToByte();
  *length = bits->Take(16);
  return (*length ^ 0xffff) == bits->Take(16) && !bits->overrun();
}

bool ReadCodeLengths(BitReader* bits, CodeLengths* lengths) {
  static constexpr uint8_t kOrder[kPrecodeSymbols] = {
      16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  lengths->litlen_count = bits->Take(5) + 257;
  lengths->distance_count = bits->Take(5) + 1;
  const unsigned precode_count = bits->Take(4) + 4;
  // zlib's limits, as §3.2.5 has no meaning for more.
  if (lengths->litlen_count > 286 || lengths->distance_count > 30) return false;

  uint8_t precode_lengths[kPrecodeSymbols] = {};
  for (unsigned i = 0; i < precode_count; i++) {
    precode_lengths[kOrder[i]] = static_cast<uint8_t>(bits->Take(3));
  }
  HuffmanEntry precode[kPrecodeEntries];
  if (!BuildPrecodeTable(precode_lengths, precode)) return false;

  const unsigned total = lengths->litlen_count + lengths->distance_count;
  uint8_t* const of = lengths->of;
  for (unsigned read = 0; read < total;) {
    const HuffmanEntry entry = precode[bits->Peek(kMaxPrecodeLength)];
    bits->Drop(entry & 15);
    const unsigned symbol = entry >> 16;
    if (symbol < 16) {
      of[read++] = static_cast<uint8_t>(symbol);
      continue;
    }
    // 16: the previous length 3..6 times; 17: 0, 3..10 times; 18: 0, 11..138.
    const unsigned extra = symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
    const unsigned repeat = bits->Take(extra) + (symbol == 18 ? 11 : 3);
    if (repeat > total - read || (symbol == 16 && read == 0)) return false;
    std::memset(of + read, symbol == 16 ? of[read - 1] : 0, repeat);
    read += repeat;
  }
  // A block that cannot end is refused, as zlib does.
  return of[kEndOfBlock] != 0 && !bits->overrun();
}

}  // namespace soci
