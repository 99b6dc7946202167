#include "span_decoder.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "gzip_crc32.h"

namespace soci {
namespace {

// One turn takes and yields at most this much before the abort flag is polled.
constexpr size_t kStepSize = 65536;

}  // namespace

Status SpanDecoder::Start(const Options& options) {
  state_ = State::kUnset;
  if (options.bits > 7 || (options.gzip_header &&
                           (options.bits > 0 || options.window != nullptr))) {
    return Status::At(Code::kMisuse, 0);
  }
  if (inflater_ == nullptr || engine_ != options.engine) {
    inflater_ = MakeInflater(options.engine);
    engine_ = options.engine;
  }
  if (scratch_ == nullptr) {
    scratch_.reset(new (std::nothrow) uint8_t[kWindowSize + kStepSize]());
  }
  if (inflater_ == nullptr || scratch_ == nullptr) {
    return Status::At(Code::kNoMemory, 0);
  }
  bits_ = options.bits;
  observer_ = options.progress;
  has_window_ = options.window != nullptr;
  if (has_window_) std::memcpy(scratch_.get(), options.window, kWindowSize);
  total_in_ = 0;
  output_pending_ = false;
  between_members_ = false;
  member_whole_ = options.gzip_header;
  if (options.gzip_header) {
    BeginHeader(0);
    return Status::Ok();
  }
  if (bits_ > 0) {
    state_ = State::kPartialByte;
    return Status::Ok();
  }
  return BeginDeflate(0);
}

SpanDecoder::Progress SpanDecoder::Run(const uint8_t* in, size_t in_len,
                                       uint8_t* out, size_t out_len,
                                       uint64_t skip,
                                       const std::atomic<bool>* abort) {
  Progress progress;
  if (state_ == State::kUnset) {
    progress.status = Status::At(Code::kMisuse, total_in_);
    return progress;
  }
  while (progress.skipped < skip || progress.produced < out_len) {
    const size_t in_left = in_len - progress.consumed;
    if (in_left == 0 && !output_pending_) break;
    if (abort != nullptr && abort->load(std::memory_order_relaxed)) {
      progress.status = Status::At(Code::kAborted, total_in_);
      break;
    }
    const bool skipping = progress.skipped < skip;
    const size_t room = static_cast<size_t>(
        std::min<uint64_t>(kStepSize, skipping ? skip - progress.skipped
                                               : out_len - progress.produced));
    uint8_t* to =
        skipping ? scratch_.get() + kWindowSize : out + progress.produced;
    const Turn turn =
        Take(in + progress.consumed, std::min(in_left, kStepSize), to, room);
    progress.consumed += turn.consumed;
    total_in_ += turn.consumed;
    if (skipping) {
      progress.skipped += turn.produced;
      LeaveOutput(to, turn.produced);
    } else {
      progress.produced += turn.produced;
      if (observer_ != nullptr) observer_->Filled(progress.produced);
    }
    if (!turn.status.ok()) {
      progress.status = turn.status;
      break;
    }
  }
  LeaveOutput(out, progress.produced);
  progress.ended =
      between_members_ && header_.size() == 0 && progress.consumed == in_len;
  if (!progress.status.ok()) state_ = State::kUnset;
  return progress;
}

SpanDecoder::Turn SpanDecoder::Take(const uint8_t* in, size_t len, uint8_t* out,
                                    size_t out_len) {
  Turn turn;
  switch (state_) {
    case State::kPartialByte:
      turn.consumed = 1;
      turn.status = BeginDeflate(in[0]);
      break;
    case State::kHeader:
      TakeHeader(in, len, &turn);
      break;
    case State::kDeflate:
      TakeDeflate(in, len, out, out_len, &turn);
      break;
    case State::kTrailer:
      TakeTrailer(in, len, &turn);
      break;
    case State::kUnset:
      turn.status = Status::At(Code::kMisuse, total_in_);
      break;
  }
  return turn;
}

void SpanDecoder::BeginHeader(uint64_t offset) {
  state_ = State::kHeader;
  header_.Reset();
  header_start_ = offset;
}

Status SpanDecoder::BeginDeflate(uint8_t partial) {
  state_ = State::kDeflate;
  history_ = 0;
  member_out_ = 0;
  member_crc_ = 0;
  return inflater_->Start(bits_, partial,
                          has_window_ ? scratch_.get() : nullptr);
}

void SpanDecoder::TakeHeader(const uint8_t* in, size_t len, Turn* turn) {
  const Status status = header_.Feed(in, len, &turn->consumed);
  if (!status.ok()) {
    turn->status = between_members_ && !header_.recognized()
                       ? Status::At(Code::kTrailingData, header_start_)
                       : Status::At(status.code, header_start_ + status.offset);
    return;
  }
  if (!header_.done()) return;
  between_members_ = false;
  member_whole_ = true;
  bits_ = 0;
  has_window_ = false;
  turn->status = BeginDeflate(0);
}

void SpanDecoder::TakeDeflate(const uint8_t* in, size_t len, uint8_t* out,
                              size_t out_len, Turn* turn) {
  const Inflater::Result result =
      inflater_->Run(in, len, out, out_len, history_, false);
  turn->consumed = result.consumed;
  turn->produced = result.produced;
  history_ += result.produced;
  member_out_ += result.produced;
  if (member_whole_) member_crc_ = Crc32(member_crc_, out, result.produced);
  output_pending_ = result.event == Inflater::Event::kOutputFull;
  if (result.event == Inflater::Event::kError) {
    turn->status =
        Status::At(result.status.code, total_in_ + result.status.offset);
  } else if (result.event == Inflater::Event::kStreamEnd) {
    state_ = State::kTrailer;
    trailer_.Reset();
  }
}

// Of the member that the span begins inside of, CRC-32 and length cover bytes
// that were never seen.
void SpanDecoder::TakeTrailer(const uint8_t* in, size_t len, Turn* turn) {
  turn->consumed = trailer_.Feed(in, len);
  if (!trailer_.done()) return;
  const uint64_t end = total_in_ + turn->consumed;
  if (member_whole_ && trailer_.crc32() != member_crc_) {
    turn->status = Status::At(Code::kGzipChecksum, end - GzipTrailer::kSize);
  } else if (member_whole_ &&
             trailer_.isize() != static_cast<uint32_t>(member_out_)) {
    turn->status = Status::At(Code::kGzipChecksum, end - 4);
  }
  between_members_ = true;
  BeginHeader(end);
}

// The next output goes elsewhere: saves the last 32 KiB in front of the scratch
// space, where the inflater finds them.
void SpanDecoder::LeaveOutput(const uint8_t* out, size_t len) {
  if (len == 0) return;
  uint8_t* window = scratch_.get();
  const size_t fresh = std::min(len, kWindowSize);
  std::memmove(window, window + fresh, kWindowSize - fresh);
  std::memmove(window + kWindowSize - fresh, out + len - fresh, fresh);
  history_ = 0;
  if (state_ == State::kDeflate) inflater_->Rebase(window);
}

Status DecodeSpan(const SpanDecoder::Options& options, const uint8_t* in,
                  size_t in_len, uint8_t* out, size_t out_len,
                  const std::atomic<bool>* abort) {
  SpanDecoder decoder;
  const Status started = decoder.Start(options);
  if (!started.ok()) return started;
  const SpanDecoder::Progress progress =
      decoder.Run(in, in_len, out, out_len, 0, abort);
  if (!progress.status.ok()) return progress.status;
  if (progress.produced < out_len) {
    return Status::At(Code::kOutputLength, progress.consumed);
  }
  return Status::Ok();
}

}  // namespace soci
