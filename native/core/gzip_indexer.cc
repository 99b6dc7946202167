#include "gzip_indexer.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "gzip_crc32.h"

namespace soci {
namespace {

// A step decodes at most this much before the abort flag is polled again. It
// also keeps the piece hot in the cache for the checksums and the tar walk.
constexpr size_t kStepSize = 65536;
constexpr size_t kOutputCapacity = kWindowSize + 4 * kStepSize;

// Positions in a layer in order of their bits.
bool IsBefore(const CheckpointPosition& a, const CheckpointPosition& b) {
  return a.in != b.in ? a.in < b.in : a.bits > b.bits;
}

bool IsSame(const CheckpointPosition& a, const CheckpointPosition& b) {
  return a.in == b.in && a.out == b.out && a.bits == b.bits;
}

}  // namespace

Status GzipIndexer::Init(const Options& options, OutputSink* sink) {
  if (sink_ != nullptr || sink == nullptr || options.span_size == 0 ||
      (options.expected_first_implied && options.expected_count == 0)) {
    return Status::At(Code::kMisuse, 0);
  }
  inflater_ = MakeInflater(options.engine);
  output_.reset(new (std::nothrow) uint8_t[kOutputCapacity]);
  if (options.ahead != nullptr) ahead_.reset(new (std::nothrow) Ahead);
  if (inflater_ == nullptr || output_ == nullptr ||
      (options.ahead != nullptr && ahead_ == nullptr)) {
    return Status::At(Code::kNoMemory, 0);
  }
  std::memset(output_.get(), 0, kWindowSize);
  output_end_ = kWindowSize;
  checkpoints_.set_span_size(options.span_size);
  options_ = options;
  sink_ = sink;
  return Status::Ok();
}

Status GzipIndexer::Feed(const uint8_t* in, size_t len, uint64_t max_out,
                         const std::atomic<bool>* abort, size_t* consumed,
                         SpanCuts* cuts) {
  *consumed = 0;
  if (!failure_.ok()) return failure_;
  if (sink_ == nullptr || state_ == State::kFinished) {
    return Status::At(Code::kMisuse, total_in_);
  }
  cuts_ = cuts;
  failure_ = FeedSteps(in, len, max_out, abort, consumed);
  cuts_ = nullptr;
  return failure_;
}

Status GzipIndexer::FeedSteps(const uint8_t* in, size_t len, uint64_t max_out,
                              const std::atomic<bool>* abort,
                              size_t* consumed) {
  const uint64_t out_before = total_out_;
  for (;;) {
    const size_t left = len - *consumed;
    // What the last byte still yields is taken now, for there may be no other
    // Feed; that is a few matches at most.
    if (left == 0 && !output_pending_) return Status::Ok();
    if (left > 0 && total_out_ - out_before >= max_out) return Status::Ok();
    if (abort != nullptr && abort->load(std::memory_order_relaxed)) {
      return Status::At(Code::kAborted, total_in_);
    }
    const uint64_t out_left =
        left > 0 ? max_out - (total_out_ - out_before) : kStepSize;
    size_t taken = 0;
    const size_t wanted = state_ == State::kBlocksAhead ? SIZE_MAX : kStepSize;
    const Status status =
        Step(in + *consumed, std::min(left, wanted), out_left, &taken);
    *consumed += taken;
    if (!status.ok()) return status;
  }
}

Status GzipIndexer::Finish() {
  if (!failure_.ok()) return failure_;
  if (sink_ == nullptr || state_ == State::kFinished) {
    return Status::At(Code::kMisuse, total_in_);
  }
  // Less than a header starts no member.
  if (state_ == State::kHeader && !first_member_) {
    return Fail(Status::At(Code::kTrailingData, member_start_));
  }
  if (state_ != State::kBetweenMembers) {
    return Fail(Status::At(Code::kTruncated, total_in_));
  }
  if (next_expected_ < options_.expected_count) {
    return Fail(Status::At(Code::kCheckpointMiss,
                           options_.expected[next_expected_].in));
  }
  output_hash_.Final(output_digest_);
  state_ = State::kFinished;
  return Status::Ok();
}

Status GzipIndexer::Step(const uint8_t* in, size_t len, uint64_t max_out,
                         size_t* consumed) {
  switch (state_) {
    case State::kStart:
    case State::kBetweenMembers:
    case State::kHeader:
      return TakeHeader(in, len, consumed);
    case State::kDeflate:
      return TakeDeflate(in, len, max_out, consumed);
    case State::kBlocksAhead:
      return TakeBlocksAhead(in, len, max_out, consumed);
    case State::kTrailer:
      return TakeTrailer(in, len, consumed);
    case State::kFinished:
      break;
  }
  return Status::At(Code::kMisuse, total_in_);
}

Status GzipIndexer::TakeHeader(const uint8_t* in, size_t len,
                               size_t* consumed) {
  if (state_ != State::kHeader) {
    first_member_ = state_ == State::kStart;
    state_ = State::kHeader;
    header_.Reset();
    member_start_ = total_in_;
  }
  const Status status = header_.Feed(in, len, consumed);
  if (!status.ok()) {
    if (!first_member_ && !header_.recognized()) {
      return Status::At(Code::kTrailingData, member_start_);
    }
    return Status::At(status.code, member_start_ + status.offset);
  }
  const Status counted = CountInput(*consumed);
  if (!counted.ok() || !header_.done()) return counted;
  state_ = State::kDeflate;
  member_out_ = 0;
  member_crc_ = 0;
  return inflater_->Start(0, 0, nullptr);
}

Status GzipIndexer::TakeDeflate(const uint8_t* in, size_t len, uint64_t max_out,
                                size_t* consumed) {
  MakeRoom();
  // Only what this member produced: no distance may reach into another.
  const size_t history =
      static_cast<size_t>(std::min<uint64_t>(member_out_, kWindowSize));
  const Inflater::Result result = inflater_->Run(
      in, len, output_.get() + output_end_, RoomFor(max_out), history, true);
  *consumed = result.consumed;
  output_pending_ = result.event == Inflater::Event::kOutputFull;
  const Status counted = CountInput(result.consumed);
  if (!counted.ok()) return counted;
  const Status delivered = Deliver(result.produced);
  if (!delivered.ok()) return delivered;
  switch (result.event) {
    case Inflater::Event::kNeedInput:
    case Inflater::Event::kOutputFull:
    case Inflater::Event::kPaused:  // of pairs only
      return Status::Ok();
    case Inflater::Event::kBlockStart: {
      // What follows may need no more input to begin with.
      output_pending_ = true;
      const CheckpointPosition here = {total_in_, total_out_, result.bits};
      const Status status = AtBlockStart(here);
      if (status.ok() && FindAhead(here)) state_ = State::kBlocksAhead;
      return status;
    }
    case Inflater::Event::kStreamEnd:
      state_ = State::kTrailer;
      trailer_.Reset();
      return Status::Ok();
    case Inflater::Event::kError:
      break;
  }
  return Status::At(result.status.code, total_in_);
}

// Markers stand for 32 KiB, all of which this member must have produced: no
// distance may reach into another.
bool GzipIndexer::FindAhead(const CheckpointPosition& here) {
  if (ahead_ == nullptr || member_out_ < kWindowSize) return false;
  ahead_->blocks = options_.ahead->At(here.in * 8 - here.bits, &ahead_->origin);
  if (ahead_->blocks == nullptr) return false;
  ahead_->block = 0;
  ahead_->out = 0;
  ahead_->markers.Load(output_.get() + output_end_ - kWindowSize);
  return true;
}

// As the inflater would: a piece of a block, and its end if that is reached.
// The input of a block counts as consumed at its end.
Status GzipIndexer::TakeBlocksAhead(const uint8_t* in, size_t len,
                                    uint64_t max_out, size_t* consumed) {
  MakeRoom();
  const MarkedBlocks& blocks = *ahead_->blocks;
  const MarkedBlocks::End end = blocks.end(ahead_->block);
  const size_t produced = std::min(RoomFor(max_out), end.out - ahead_->out);
  ahead_->markers.Replace(blocks.output() + ahead_->out, produced,
                          output_.get() + output_end_);
  ahead_->out += produced;
  const Status delivered = Deliver(produced);
  if (!delivered.ok() || ahead_->out < end.out) return delivered;

  const uint8_t bits = static_cast<uint8_t>(-end.in & 7);
  const uint64_t in_end = ahead_->origin + (uint64_t{end.in} + bits) / 8;
  if (in_end < total_in_ || in_end - total_in_ > len) {
    return Status::At(Code::kMisuse, total_in_);
  }
  *consumed = static_cast<size_t>(in_end - total_in_);
  const Status counted = CountInput(*consumed);
  if (!counted.ok()) return counted;
  ahead_->block++;
  if (ahead_->block < blocks.count()) {
    return AtBlockStart({total_in_, total_out_, bits});
  }
  // The inflater begins by reporting the block that starts here.
  state_ = State::kDeflate;
  std::memcpy(ahead_->window, output_.get() + output_end_ - kWindowSize,
              kWindowSize);
  return inflater_->Start(bits, bits > 0 ? in[*consumed - 1] : 0,
                          ahead_->window);
}

Status GzipIndexer::TakeTrailer(const uint8_t* in, size_t len,
                                size_t* consumed) {
  *consumed = trailer_.Feed(in, len);
  const Status counted = CountInput(*consumed);
  if (!counted.ok() || !trailer_.done()) return counted;
  if (trailer_.crc32() != member_crc_) {
    return Status::At(Code::kGzipChecksum, total_in_ - GzipTrailer::kSize);
  }
  if (trailer_.isize() != static_cast<uint32_t>(member_out_)) {
    return Status::At(Code::kGzipChecksum, total_in_ - 4);
  }
  state_ = State::kBetweenMembers;
  return Status::Ok();
}

Status GzipIndexer::AtBlockStart(const CheckpointPosition& here) {
  if (options_.expected != nullptr) return AtExpected(here);
  if (total_out_ == 0) {
    if (checkpoints_.size() == 0) return AddCheckpoint(here);
    checkpoints_.RemoveLast();
    const Status cut = NoteCut(here, true);
    if (!cut.ok()) return cut;
    return checkpoints_.Append(here, output_.get() + output_end_ - kWindowSize);
  }
  if (total_out_ - last_checkpoint_out_ > options_.span_size) {
    return AddCheckpoint(here);
  }
  return Status::Ok();
}

Status GzipIndexer::AtExpected(const CheckpointPosition& here) {
  if (next_expected_ == options_.expected_count) return Status::Ok();
  const CheckpointPosition& expected = options_.expected[next_expected_];
  if (IsBefore(here, expected)) return Status::Ok();
  if (!IsSame(here, expected)) {
    return Status::At(Code::kCheckpointMiss, expected.in);
  }
  next_expected_++;
  return AddCheckpoint(here);
}

Status GzipIndexer::AddCheckpoint(const CheckpointPosition& position) {
  if (checkpoints_.size() == options_.max_checkpoints) {
    return Status::At(Code::kLimit, position.in);
  }
  const Status cut = NoteCut(position, false);
  if (!cut.ok()) return cut;
  last_checkpoint_out_ = position.out;
  return checkpoints_.Append(position,
                             output_.get() + output_end_ - kWindowSize);
}

Status GzipIndexer::NoteCut(const CheckpointPosition& position, bool replaces) {
  return cuts_->Append({position.in, position.bits > 0, replaces})
             ? Status::Ok()
             : Status::At(Code::kNoMemory, position.in);
}

// Everything consumed passes here once, before what it leads to is acted on.
Status GzipIndexer::CountInput(size_t len) {
  const uint64_t implied_at = CheckpointList::kImpliedFirst.in;
  if (options_.expected_first_implied && next_expected_ == 0 &&
      total_in_ + len >= implied_at) {
    const size_t before = static_cast<size_t>(implied_at - total_in_);
    total_in_ += before;
    len -= before;
    next_expected_ = 1;
    const Status status = AddCheckpoint(CheckpointList::kImpliedFirst);
    if (!status.ok()) return status;
  }
  total_in_ += len;
  return Status::Ok();
}

// What is written in one step, behind MakeRoom.
size_t GzipIndexer::RoomFor(uint64_t max_out) const {
  return static_cast<size_t>(std::min<uint64_t>(
      std::min(kStepSize, kOutputCapacity - output_end_), max_out));
}

// The next `len` bytes of output, which lie behind the last.
Status GzipIndexer::Deliver(size_t len) {
  const uint8_t* const out = output_.get() + output_end_;
  output_end_ += len;
  total_out_ += len;
  member_out_ += len;
  if (len == 0) return Status::Ok();
  member_crc_ = Crc32(member_crc_, out, len);
  if (options_.diff_id) output_hash_.Update(out, len);
  return sink_->Write(out, len);
}

// Slides the history to the front unless there is room for a whole step.
void GzipIndexer::MakeRoom() {
  if (kOutputCapacity - output_end_ >= kStepSize) return;
  std::memmove(output_.get(), output_.get() + output_end_ - kWindowSize,
               kWindowSize);
  output_end_ = kWindowSize;
}

Status GzipIndexer::Fail(Status status) {
  failure_ = status;
  return status;
}

}  // namespace soci
