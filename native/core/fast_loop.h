// The hot loop of the fast engine: symbols of one block while input and output
// are far from their ends. fast_loop.cc says why it is fast.
#pragma once

#include <cstddef>
#include <cstdint>

#include "fast_tables.h"

namespace soci {

// The 32 KiB before the contiguous output, wherever they are. Distances that
// reach before `base` continue at the end of the window; what lies before its
// `valid` last bytes does not exist.
struct FarHistory {
  const uint8_t* base;        // start of the history that precedes `out`
  const uint8_t* window_end;  // its last byte + 1; may be nullptr if !valid
  size_t valid;               // 0..32768

  // Where the byte `distance` before `out` is, when that is before `base`;
  // nullptr when there is none.
  const uint8_t* Find(const uint8_t* out, size_t distance) const {
    const size_t back = distance - static_cast<size_t>(out - base);
    return back <= valid ? window_end - back : nullptr;
  }
};

// Registers of the decoder. `hold` contains the next `bits` bits of the stream,
// lowest first. Bits above may already hold what follows in the input.
struct FastLoopState {
  const uint8_t* in;
  uint8_t* out;
  uint64_t hold;
  unsigned bits;  // 0..63
};

enum class FastLoopExit : uint8_t {
  kMargin,      // input or output come to their end
  kEndOfBlock,  // the end-of-block code was taken
  kInvalid,     // a code word without meaning, or a distance too far back
};

// Before every symbol the loop wants that many bytes of both. Input: three
// refills of 8 bytes, of which 7 are taken. Output: six literals, the longest
// match and what its last copy may overshoot.
constexpr size_t kFastInputMargin = 3 * 8;
constexpr size_t kFastOutputMargin = 6 + 258 + 64;

// Decodes at least one symbol; the margins must hold on entry. Reads only
// [state->in, in_end), writes only [state->out, out_end).
using FastLoop = FastLoopExit (*)(FastLoopState* state, const uint8_t* in_end,
                                  uint8_t* out_end, const FarHistory& far,
                                  const HuffmanTables& tables);

// The best variant for the processor we run on.
FastLoop ChooseFastLoop();

}  // namespace soci
