// The hot loop of the fast engine for output whose window is not known
// (marked_output.h): the same turns as fast_loop.cc, on elements of 16 bits.
// The window lies right before the output, as markers, so that no distance
// reaches anything else.
#pragma once

#include "fast_loop.h"
#include "marked_output.h"

namespace soci {

struct MarkedLoopState {
  const uint8_t* in;
  Marked* out;
  uint64_t hold;
  unsigned bits;  // 0..63
};

// What a turn may write beyond the place where it begins, in elements.
constexpr size_t kMarkedOutputMargin = kFastOutputMargin;

// As FastLoop. Reads kWindowSize elements before state->out, too.
using MarkedLoop = FastLoopExit (*)(MarkedLoopState* state,
                                    const uint8_t* in_end, Marked* out_end,
                                    const HuffmanTables& tables);

MarkedLoop ChooseMarkedLoop();

}  // namespace soci
