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
  Pass pass = {in, in_len, out, out_len, skip, abort, {}};
  if (!Begin(&pass)) return pass.progress;
  Finish(&pass);
  return pass.progress;
}

void SpanDecoder::RunPair(Call* a, Call* b) {
  const auto pass_of = [](const Call& call) {
    return Pass{call.in, call.in_len, call.out, call.out_len,
                0,       call.abort,  {}};
  };
  Pass a_pass = pass_of(*a);
  Pass b_pass = pass_of(*b);
  const bool a_begun = a->decoder->Begin(&a_pass);
  const bool b_begun = b->decoder->Begin(&b_pass);
  Turn one, other;
  while (a_begun && b_begun && a->decoder->Next(&a_pass, &one) &&
         b->decoder->Next(&b_pass, &other)) {
    if (!a->decoder->fast_inside()) {
      a->decoder->Take(&one);
    } else if (!b->decoder->fast_inside()) {
      b->decoder->Take(&other);
    } else {
      Inflater::Call first = a->decoder->InflaterCall(one);
      Inflater::Call second = b->decoder->InflaterCall(other);
      RunFastPair(&first, &second);
      a->decoder->TakeDeflate(first.result, &one);
      b->decoder->TakeDeflate(second.result, &other);
    }
    a->decoder->Settle(one, &a_pass);
    b->decoder->Settle(other, &b_pass);
  }
  if (a_begun) a->decoder->Finish(&a_pass);
  if (b_begun) b->decoder->Finish(&b_pass);
  a->progress = a_pass.progress;
  b->progress = b_pass.progress;
}

bool SpanDecoder::Begin(Pass* pass) const {
  if (state_ != State::kUnset) return true;
  pass->progress.status = Status::At(Code::kMisuse, total_in_);
  return false;
}

// False when the pass is over: everything is done, the input is used up, it was
// aborted, or it failed.
bool SpanDecoder::Next(Pass* pass, Turn* turn) const {
  Progress& progress = pass->progress;
  const bool skipping = progress.skipped < pass->skip;
  if (!progress.status.ok()) return false;
  if (!skipping && progress.produced == pass->out_len) return false;
  const size_t in_left = pass->in_len - progress.consumed;
  if (in_left == 0 && !output_pending_) return false;
  if (pass->abort != nullptr && pass->abort->load(std::memory_order_relaxed)) {
    progress.status = Status::At(Code::kAborted, total_in_);
    return false;
  }
  const uint64_t wanted = skipping ? pass->skip - progress.skipped
                                   : pass->out_len - progress.produced;
  *turn = {};
  turn->in = pass->in + progress.consumed;
  turn->in_len = std::min(in_left, kStepSize);
  turn->out =
      skipping ? scratch_.get() + kWindowSize : pass->out + progress.produced;
  turn->out_len = static_cast<size_t>(std::min<uint64_t>(kStepSize, wanted));
  return true;
}

void SpanDecoder::Settle(const Turn& turn, Pass* pass) {
  Progress& progress = pass->progress;
  progress.consumed += turn.consumed;
  total_in_ += turn.consumed;
  if (progress.skipped < pass->skip) {
    progress.skipped += turn.produced;
    LeaveOutput(turn.out, turn.produced);
  } else {
    progress.produced += turn.produced;
    if (observer_ != nullptr) observer_->Filled(progress.produced);
  }
  progress.status = turn.status;
}

void SpanDecoder::Finish(Pass* pass) {
  Turn turn;
  while (Next(pass, &turn)) {
    Take(&turn);
    Settle(turn, pass);
  }
  Progress& progress = pass->progress;
  LeaveOutput(pass->out, progress.produced);
  progress.ended = between_members_ && header_.size() == 0 &&
                   progress.consumed == pass->in_len;
  if (!progress.status.ok()) state_ = State::kUnset;
}

// Whether the next turn can be one of a pair.
bool SpanDecoder::fast_inside() const {
  return state_ == State::kDeflate && engine_ == Engine::kFast;
}

Inflater::Call SpanDecoder::InflaterCall(const Turn& turn) const {
  return {inflater_.get(), turn.in,  turn.in_len, turn.out,
          turn.out_len,    history_, {}};
}

void SpanDecoder::Take(Turn* turn) {
  switch (state_) {
    case State::kPartialByte:
      turn->consumed = 1;
      turn->status = BeginDeflate(turn->in[0]);
      break;
    case State::kHeader:
      TakeHeader(turn);
      break;
    case State::kDeflate:
      TakeDeflate(inflater_->Run(turn->in, turn->in_len, turn->out,
                                 turn->out_len, history_, false),
                  turn);
      break;
    case State::kTrailer:
      TakeTrailer(turn);
      break;
    case State::kUnset:
      turn->status = Status::At(Code::kMisuse, total_in_);
      break;
  }
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

void SpanDecoder::TakeHeader(Turn* turn) {
  const Status status = header_.Feed(turn->in, turn->in_len, &turn->consumed);
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

void SpanDecoder::TakeDeflate(const Inflater::Result& result, Turn* turn) {
  turn->consumed = result.consumed;
  turn->produced = result.produced;
  history_ += result.produced;
  member_out_ += result.produced;
  if (member_whole_)
    member_crc_ = Crc32(member_crc_, turn->out, result.produced);
  output_pending_ = result.event == Inflater::Event::kOutputFull ||
                    result.event == Inflater::Event::kPaused;
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
void SpanDecoder::TakeTrailer(Turn* turn) {
  turn->consumed = trailer_.Feed(turn->in, turn->in_len);
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

namespace {

// What a whole Run says of a span.
Status Outcome(const SpanDecoder::Progress& progress, size_t out_len) {
  if (progress.status.ok() && progress.produced < out_len) {
    return Status::At(Code::kOutputLength, progress.consumed);
  }
  return progress.status;
}

}  // namespace

Status DecodeSpan(const SpanDecoder::Options& options, const uint8_t* in,
                  size_t in_len, uint8_t* out, size_t out_len,
                  const std::atomic<bool>* abort) {
  SpanDecoder decoder;
  const Status started = decoder.Start(options);
  if (!started.ok()) return started;
  return Outcome(decoder.Run(in, in_len, out, out_len, 0, abort), out_len);
}

void DecodeSpanPair(SpanCall* a, SpanCall* b) {
  SpanDecoder decoders[2];
  a->status = decoders[0].Start(*a->options);
  b->status = decoders[1].Start(*b->options);
  const auto call_of = [](SpanDecoder* decoder, const SpanCall& span) {
    return SpanDecoder::Call{decoder,      span.in,    span.in_len, span.out,
                             span.out_len, span.abort, {}};
  };
  SpanDecoder::Call first = call_of(&decoders[0], *a);
  SpanDecoder::Call second = call_of(&decoders[1], *b);
  // One that did not start is kMisuse to RunPair and runs nothing.
  SpanDecoder::RunPair(&first, &second);
  if (a->status.ok()) a->status = Outcome(first.progress, a->out_len);
  if (b->status.ok()) b->status = Outcome(second.progress, b->out_len);
}

}  // namespace soci
