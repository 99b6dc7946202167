// The package's own DEFLATE decoder (RFC 1951) behind the Inflater interface:
// starts at any bit with any window, pauses anywhere, decodes straight into
// the caller's memory. It takes the same decisions as zlib's raw inflate, bit
// for bit: which streams are refused, what was produced before, and how many
// bytes of input were taken at every event.
#pragma once

#include "fast_cursor.h"
#include "fast_loop.h"
#include "fast_pair_loop.h"
#include "fast_tables.h"
#include "inflater.h"

namespace soci {

class FastInflater final : public Inflater {
 public:
  FastInflater()
      : loop_(ChooseFastLoop()), pair_loops_(ChooseFastPairLoops()) {}

  Status Start(uint8_t bits, uint8_t partial, const uint8_t* window) override;
  void Rebase(const uint8_t* window) override;
  Result Run(const uint8_t* in, size_t in_len, uint8_t* out, size_t out_len,
             size_t history, bool stop_at_blocks) override;

  // See RunFastPair.
  static void RunPair(Call* a, Call* b);

 private:
  // What the next bits of the stream are, or what is still to be written.
  enum class State : uint8_t {
    kBoundary,      // before a block that has not been reported yet
    kBlockHeader,   // BFINAL and BTYPE
    kStoredLength,  // LEN and NLEN, byte aligned
    kStoredBytes,   // remaining_ bytes
    kCodeCounts,    // HLIT, HDIST, HCLEN
    kPrecode,       // code lengths of the precode, from lengths_read_ on
    kCodeLengths,   // code lengths of both codes, from lengths_read_ on
    kSymbols,       // a literal, a length with its distance, or the end
    kLiteral,       // literal_ waits for room in the output
    kMatch,         // remaining_ bytes from distance_ before
    kEnd,           // after the final block
    kFailed,        // only Start may follow
  };
  // How a step of the state machine ends.
  enum class Step : uint8_t {
    kGoOn,       // look at state_ again
    kNeedInput,  // all input is taken, the next element is incomplete
    kNeedRoom,   // the output is full, an element waits for room
    kInvalid,    // not a DEFLATE stream
  };
  class Lane;

  bool over() const {
    return state_ == State::kEnd || state_ == State::kFailed;
  }
  FastCursor Begin(const Call& call);
  Result End(const Call& call, FastCursor c, Step step, Event stopped);

  Step ReadBlockHeader(FastCursor* c);
  Step ReadStoredLength(FastCursor* c);
  Step CopyStoredBytes(FastCursor* c);
  Step ReadCodeCounts(FastCursor* c);
  Step ReadPrecode(FastCursor* c);
  Step ReadCodeLengths(FastCursor* c);
  Step TakeCodeLengths(FastCursor* c);
  Step DecodeSymbols(FastCursor* c);
  Step DecodeOneSymbol(FastCursor* c);
  Step WriteLiteral(FastCursor* c);
  Step WriteMatch(FastCursor* c);
  Step Advance(FastCursor* c);
  void EndBlock();
  Step EndLoop(FastLoopExit exit);

  const FastLoop loop_;
  const FastPairLoops pair_loops_;

  State state_ = State::kFailed;
  bool final_block_ = false;
  uint64_t hold_ = 0;  // bits that were consumed but not used, lowest first
  unsigned bits_ = 0;  // how many

  FarHistory far_ = {};        // base is set anew by every Run
  bool has_window_ = false;    // Start was given one
  uint64_t since_start_ = 0;   // bytes of output
  uint64_t since_rebase_ = 0;  // bytes of output since Start or Rebase

  uint32_t remaining_ = 0;
  uint32_t distance_ = 0;
  uint8_t literal_ = 0;

  unsigned litlen_count_ = 0;
  unsigned distance_count_ = 0;
  unsigned precode_count_ = 0;
  unsigned lengths_read_ = 0;
  // Both codes in a row (RFC 1951 §3.2.7): a repeat may cross from one to the
  // other. The precode uses the front before.
  uint8_t lengths_[kLitLenSymbols + kDistanceSymbols];
  HuffmanEntry precode_[kPrecodeEntries];
  HuffmanTables* tables_ = nullptr;  // of the current block
  HuffmanTables dynamic_;
  HuffmanTables fixed_;  // built when the first block asks for it
  bool fixed_built_ = false;
};

}  // namespace soci
