// The one seam between "how DEFLATE is decoded" and everything else in the
// core. An Inflater decodes a single raw DEFLATE stream (RFC 1951): gzip
// framing, checksums, checkpoints and spans are built on top and do not know
// which engine runs below. Two engines sharing this contract can be compared
// and differential-fuzzed call by call.
//
// Thread safety: none; one Inflater belongs to one job at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "status.h"

namespace soci {

constexpr size_t kWindowSize = 32768;  // RFC 1951 §2: the farthest distance

class Inflater {
 public:
  enum class Event : uint8_t {
    kNeedInput,   // all input consumed, the stream goes on
    kOutputFull,  // out_len bytes were produced (may be 0 of 0)
    kBlockStart,  // stands exactly before the header bits of a block (only if
                  // stop_at_blocks). Reported once per block, the first
                  // included
    kStreamEnd,   // the final block ended; `consumed` includes its last byte
    kPaused,      // of RunPair: the other one met an event; Run goes on
    kError,       // `status` says why; only Start may follow
  };
  struct Result {
    Event event;
    size_t consumed;  // bytes taken from `in`; a partly used byte counts
    size_t produced;  // bytes written to `out`
    uint8_t bits;     // 0..7 unused (high) bits of the last consumed byte
    Status status;
  };

  virtual ~Inflater() = default;

  // Starts a stream. With bits > 0 its first bits are the `bits` high bits of
  // `partial` (a byte that was consumed already). `window` is the 32 KiB of
  // output before the start, oldest first, or nullptr: then the stream is at
  // its beginning and a distance that reaches before it is an error. The
  // engine may read the window during every later Run: the caller keeps it
  // alive and unchanged until the next Start or Rebase.
  virtual Status Start(uint8_t bits, uint8_t partial,
                       const uint8_t* window) = 0;

  // The next Run writes to another place than right behind the last one's
  // output (its `history` is 0 again). `window` holds the last 32 KiB of
  // output, oldest first, right-aligned when there is less; lifetime as in
  // Start. Limits on distances do not change.
  virtual void Rebase(const uint8_t* window) = 0;

  // Decodes until one of the events. Never reads past in + in_len or writes
  // past out + out_len, and never returns without progress except with
  // kNeedInput on empty input or kOutputFull on empty output.
  //
  // History: the bytes [out - history, out) are the `history` bytes of output
  // that precede, unchanged since they were produced, and before them lies the
  // window of the last Start or Rebase. `history` is at least
  // min(32768, output since that Start or Rebase), so an engine needs no copy
  // of its own output.
  virtual Result Run(const uint8_t* in, size_t in_len, uint8_t* out,
                     size_t out_len, size_t history, bool stop_at_blocks) = 0;

  // The arguments of a Run that does not stop at blocks, and what came of it.
  struct Call {
    Inflater* inflater;
    const uint8_t* in;
    size_t in_len;
    uint8_t* out;
    size_t out_len;
    size_t history;
    Result result;
  };
};

// kFast is the package's own decoder, kZlib the reference that it must equal.
enum class Engine : uint8_t { kZlib = 0, kFast = 1 };

// nullptr when memory is short.
std::unique_ptr<Inflater> MakeInflater(Engine engine);

// Runs two inflaters of the fast engine, not the same, in turns on this thread,
// which is faster than one after the other. Ends with the first event that one
// of them meets: it is what Run would have reported. The other is kPaused, or
// met an event of its own.
void RunFastPair(Inflater::Call* a, Inflater::Call* b);

}  // namespace soci
