// Block headers of DEFLATE (RFC 1951 §3.2.3 to §3.2.7) in memory that holds
// them whole: for who looks for them, and for who decodes from where one was
// found. FastInflater reads its own, from input that may end in the middle of
// one; both build the same tables and refuse the same codes.
#pragma once

#include <cstdint>

#include "bit_reader.h"
#include "fast_tables.h"

namespace soci {

enum class BlockType : uint8_t {
  kStored = 0,
  kFixed = 1,
  kDynamic = 2,
  kReserved = 3,  // no block
};

struct BlockPrefix {
  bool final;
  BlockType type;
};

inline BlockPrefix ReadBlockPrefix(BitReader* bits) {
  const bool final = bits->Take(1) != 0;
  return {final, static_cast<BlockType>(bits->Take(2))};
}

// LEN, behind the prefix of a stored block; false if NLEN is not its
// complement. Leaves `bits` at the first byte.
bool ReadStoredLength(BitReader* bits, uint32_t* length);

// The code lengths of a dynamic block, behind its prefix: those of literals and
// lengths, then those of distances. False for what no decoder accepts (beyond
// the codes themselves, which the tables decide on) and at the end of the
// memory.
struct CodeLengths {
  unsigned litlen_count;
  unsigned distance_count;
  uint8_t of[kLitLenSymbols + kDistanceSymbols];
};
bool ReadCodeLengths(BitReader* bits, CodeLengths* lengths);

}  // namespace soci
