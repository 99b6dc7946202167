// Decodes one span of a gzip layer from its compressed bytes: from a checkpoint
// (unused bits and a window) or from a member's header, across member
// boundaries, into the caller's memory. Input and output may come in pieces.
//
// Everything here may be forged: the window, the bits, the bytes, the promised
// length. The decoder never reads past the input, and every turn of its loop
// consumes input or fills output, so its work is bounded by what it was given.
//
// Thread safety: none; a Run may be on another thread than the last.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "gzip_frame.h"
#include "inflater.h"
#include "status.h"

namespace soci {

// Is told, on the thread that decodes, how much of the output there is: what is
// in front of that is final.
class OutputProgress {
 public:
  virtual void Filled(size_t bytes) = 0;

 protected:
  ~OutputProgress() = default;
};

class SpanDecoder {
 public:
  struct Options {
    Engine engine = Engine::kFast;
    // The span starts before a member's header instead of at a checkpoint;
    // `bits` and `window` must be unset then.
    bool gzip_header = false;
    // High bits of the input's first byte that belong to the span; 0: the span
    // starts on a byte.
    uint8_t bits = 0;
    // kWindowSize bytes, oldest first, needed during Start only; nullptr: no
    // distance may reach before the span.
    const uint8_t* window = nullptr;
    // Told every 64 KiB by Run, of the output of that Run; may be nullptr.
    OutputProgress* progress = nullptr;
  };

  struct Progress {
    Status status;         // offsets count from the span's first input byte
    size_t consumed = 0;   // of the input
    uint64_t skipped = 0;  // of the output that was to be discarded
    size_t produced = 0;   // bytes written to the output
    // A member ended, and with it the input: the stream may be over. Never
    // set while output is still pending.
    bool ended = false;
  };

  // May be called again for another span. kMisuse, kNoMemory.
  Status Start(const Options& options);

  // Discards `skip` bytes of output, then fills `out`. Stops when that is done,
  // or when the input is used up: then skipped + produced tell how far it got,
  // and the next Run goes on with more input. Output that needs no more input
  // is never left behind by a return for want of input. `abort` may be nullptr
  // and is polled every 64 KiB. After an error only Start may follow.
  //
  // kDeflateData, kGzipHeader, kGzipChecksum (members seen whole),
  // kTrailingData, kAborted, kMisuse. What is wrong right behind the last byte
  // wanted is found only if that input is there already.
  Progress Run(const uint8_t* in, size_t in_len, uint8_t* out, size_t out_len,
               uint64_t skip, const std::atomic<bool>* abort);

  // A Run that skips nothing, and what came of it.
  struct Call {
    SpanDecoder* decoder;
    const uint8_t* in;
    size_t in_len;
    uint8_t* out;
    size_t out_len;
    const std::atomic<bool>* abort;
    Progress progress;
  };
  // Two decoders, not the same, at once on this thread: what Run does for each,
  // faster than one after the other as long as both are inside of DEFLATE data.
  // One that ends or fails early does not keep the other from its end.
  static void RunPair(Call* a, Call* b);

 private:
  enum class State : uint8_t {
    kUnset,
    kPartialByte,  // before the byte that holds the first bits
    kHeader,
    kDeflate,
    kTrailer,
  };
  // A Run under way.
  struct Pass {
    const uint8_t* in;
    size_t in_len;
    uint8_t* out;
    size_t out_len;
    uint64_t skip;
    const std::atomic<bool>* abort;
    Progress progress;
  };
  // What a pass may take and fill next, before the abort flag is polled again,
  // and what it did.
  struct Turn {
    const uint8_t* in;
    size_t in_len;
    uint8_t* out;
    size_t out_len;
    Status status;
    size_t consumed = 0;
    size_t produced = 0;
  };

  bool Begin(Pass* pass) const;
  bool Next(Pass* pass, Turn* turn) const;
  void Take(Turn* turn);
  void Settle(const Turn& turn, Pass* pass);
  void Finish(Pass* pass);
  Inflater::Call InflaterCall(const Turn& turn) const;
  bool fast_inside() const;
  void BeginHeader(uint64_t offset);
  Status BeginDeflate(uint8_t partial);
  void TakeHeader(Turn* turn);
  void TakeDeflate(const Inflater::Result& result, Turn* turn);
  void TakeTrailer(Turn* turn);
  void LeaveOutput(const uint8_t* out, size_t len);

  State state_ = State::kUnset;
  Engine engine_ = Engine::kFast;
  std::unique_ptr<Inflater> inflater_;
  // The window, then kStepSize bytes of room for output to be discarded.
  std::unique_ptr<uint8_t[]> scratch_;
  uint8_t bits_ = 0;
  bool has_window_ = false;
  OutputProgress* observer_ = nullptr;

  GzipHeader header_;
  GzipTrailer trailer_;
  bool output_pending_ = false;   // the inflater may go on without input
  bool between_members_ = false;  // behind a trailer, before a whole header
  bool member_whole_ = false;     // seen from its header on: checksums apply
  size_t history_ = 0;  // output in place since the last Start or Rebase
  uint64_t total_in_ = 0;
  uint64_t header_start_ = 0;
  uint64_t member_out_ = 0;
  uint32_t member_crc_ = 0;
};

// Decodes a whole span at once: fills `out` exactly or fails. kOutputLength if
// the input yields less. An empty `out` is filled without a look at the input.
Status DecodeSpan(const SpanDecoder::Options& options, const uint8_t* in,
                  size_t in_len, uint8_t* out, size_t out_len,
                  const std::atomic<bool>* abort);

// The arguments of DecodeSpan, and what came of it.
struct SpanCall {
  const SpanDecoder::Options* options;
  const uint8_t* in;
  size_t in_len;
  uint8_t* out;
  size_t out_len;
  const std::atomic<bool>* abort;
  Status status;
};

// DecodeSpan of two spans at once on this thread. Their outputs do not overlap.
void DecodeSpanPair(SpanCall* a, SpanCall* b);

}  // namespace soci
