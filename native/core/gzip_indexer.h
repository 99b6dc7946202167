// Finds the checkpoints of a gzip layer in one pass over its bytes, pushed in
// any chunking. The rule is that of zlib's zran, which the reference follows: a
// checkpoint is taken at the start of a block (each member's first, and every
// one behind a non-final block) if nothing was produced yet or more than
// `span_size` bytes since the last checkpoint. Windows and totals run on across
// members. Of several checkpoints at output 0 only the last is kept: the
// reference keeps all and then refuses to mount what it wrote.
//
// Every member's CRC-32 and length are checked, and nothing may follow the last
// one, not even zeros.
//
// Thread safety: none; a Feed may run on another thread than the last.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "blocks_ahead.h"
#include "checkpoint.h"
#include "gzip_frame.h"
#include "inflater.h"
#include "marked_output.h"
#include "output_sink.h"
#include "sha256.h"
#include "span_cuts.h"
#include "status.h"

namespace soci {

class GzipIndexer {
 public:
  struct Options {
    uint64_t span_size = 0;  // of output between checkpoints
    uint64_t max_checkpoints = 0;
    Engine engine = Engine::kFast;
    bool diff_id = false;  // hash the output too

    // If not null, checkpoints are taken exactly at these `expected_count`
    // positions instead of by the rule, several at one output offset included.
    // Ascending in `in`; must stay valid until Finish. span_size is only
    // written into the blob then.
    const CheckpointPosition* expected = nullptr;
    size_t expected_count = 0;
    // The first expected one is that which version 1 blobs imply: span 0 starts
    // at byte 10, be it inside of the header or not.
    bool expected_first_implied = false;

    // If not null, asked at block starts for blocks that were decoded ahead,
    // which are taken over: whatever comes of the layer is the same. Their data
    // must be whole in what is fed then. Must outlive the last Feed.
    BlocksAhead* ahead = nullptr;
  };

  // kMisuse for impossible options, kNoMemory. `sink` gets the output and must
  // outlive the indexer.
  Status Init(const Options& options, OutputSink* sink);

  // Takes bytes of the layer; `*consumed` says how many, on errors too. Where
  // spans begin in them is appended to `cuts`. Returns
  // early once `max_out` bytes were produced in this call (give or take what
  // the last consumed byte still yields): feed the rest again. `abort` may be
  // nullptr and is polled every 64 KiB of output. After an error every
  // further call returns it again.
  //
  // kGzipHeader, kGzipChecksum, kDeflateData, kTrailingData, kLimit (more than
  // max_checkpoints), kCheckpointMiss (at the `in` of the expected position
  // that the stream has no block start for), kAborted, kNoMemory or what the
  // sink returned; offsets are in bytes of the layer.
  Status Feed(const uint8_t* in, size_t len, uint64_t max_out,
              const std::atomic<bool>* abort, size_t* consumed, SpanCuts* cuts);

  // The layer has no more bytes. kTruncated unless its last member is complete.
  Status Finish();

  uint64_t total_in() const { return total_in_; }
  uint64_t total_out() const { return total_out_; }
  const CheckpointList& checkpoints() const { return checkpoints_; }
  // SHA-256 of the output, 32 bytes, valid after Finish if it was asked for.
  const uint8_t* output_digest() const { return output_digest_; }

 private:
  enum class State : uint8_t {
    kStart,
    kHeader,
    kDeflate,
    kBlocksAhead,
    kTrailer,
    kBetweenMembers,
    kFinished,
  };

  Status FeedSteps(const uint8_t* in, size_t len, uint64_t max_out,
                   const std::atomic<bool>* abort, size_t* consumed);
  Status Step(const uint8_t* in, size_t len, uint64_t max_out,
              size_t* consumed);
  Status TakeHeader(const uint8_t* in, size_t len, size_t* consumed);
  Status TakeDeflate(const uint8_t* in, size_t len, uint64_t max_out,
                     size_t* consumed);
  bool FindAhead(const CheckpointPosition& here);
  Status TakeBlocksAhead(const uint8_t* in, size_t len, uint64_t max_out,
                         size_t* consumed);
  Status TakeTrailer(const uint8_t* in, size_t len, size_t* consumed);
  Status AtBlockStart(const CheckpointPosition& here);
  Status AtExpected(const CheckpointPosition& here);
  Status AddCheckpoint(const CheckpointPosition& position);
  Status NoteCut(const CheckpointPosition& position, bool replaces);
  Status CountInput(size_t len);
  void MakeRoom();
  size_t RoomFor(uint64_t max_out) const;
  Status Deliver(size_t len);
  Status Fail(Status status);

  Options options_;
  OutputSink* sink_ = nullptr;
  std::unique_ptr<Inflater> inflater_;
  // At least kWindowSize bytes of history, zeros at first, then the output.
  std::unique_ptr<uint8_t[]> output_;
  size_t output_end_ = 0;

  State state_ = State::kStart;
  Status failure_;
  bool output_pending_ = false;  // the inflater may go on without input
  GzipHeader header_;
  GzipTrailer trailer_;
  bool first_member_ = true;
  uint64_t member_start_ = 0;  // where the member's header starts
  uint64_t member_out_ = 0;    // produced by the member so far
  uint32_t member_crc_ = 0;

  // The blocks that are being taken over, and how far.
  struct Ahead {
    const MarkedBlocks* blocks;
    uint64_t origin;  // of their data, in bytes of the layer
    size_t block;
    size_t out;
    MarkerTable markers;
    // For the inflater, which goes on behind them.
    uint8_t window[kWindowSize];
  };
  std::unique_ptr<Ahead> ahead_;

  uint64_t total_in_ = 0;
  uint64_t total_out_ = 0;
  uint64_t last_checkpoint_out_ = 0;
  size_t next_expected_ = 0;
  CheckpointList checkpoints_;
  SpanCuts* cuts_ = nullptr;  // of the Feed under way
  Sha256 output_hash_;
  uint8_t output_digest_[Sha256::kDigestSize] = {};
};

}  // namespace soci
