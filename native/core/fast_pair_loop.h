// The hot loop of the fast engine for two streams at once on one thread: a turn
// of one, a turn of the other. fast_pair_loop.cc says what that is good for.
#pragma once

#include "fast_loop.h"

namespace soci {

// One of the two, as FastLoop's arguments. `tables` have a wide primary table
// of literals (WidenLitLenTable).
struct FastPairLane {
  FastLoopState state;
  const uint8_t* in_end;
  uint8_t* out_end;
  const FarHistory* far;
  const HuffmanTables* tables;
  FastLoopExit exit;  // set by the loop
};

// Decodes symbols of both until one of them has to stop; the other then stops
// between two symbols, which is kMargin too. The margins of both must hold on
// entry. Reads and writes nothing but what FastLoop would of each.
using FastPairLoop = void (*)(FastPairLane* a, FastPairLane* b);

struct FastPairLoops {
  FastPairLoop matches;   // where most symbols are matches
  FastPairLoop literals;  // where most are literals

  FastPairLoop For(const HuffmanTables& a, const HuffmanTables& b) const;
};

// The best variants for the processor we run on.
FastPairLoops ChooseFastPairLoops();

}  // namespace soci
