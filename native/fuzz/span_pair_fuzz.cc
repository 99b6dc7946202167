// Two spans of hostile bytes at once: each comes out as it does alone, byte for
// byte and with the same error at the same place, whichever of the two is
// first. And in slices the same bytes.
#include <algorithm>
#include <memory>
#include <vector>

#include "../core/span_decoder.h"
#include "../test/unwritten.h"
#include "fuzz_input.h"

namespace {

using namespace soci;
using Bytes = std::vector<uint8_t>;

struct Span {
  SpanDecoder::Options options;
  Bytes window;
  std::unique_ptr<uint8_t[]> input;  // of exactly its size
  size_t size = 0;
  size_t wanted = 0;
};

struct Outcome {
  SpanDecoder::Progress progress;
  Bytes output;
};

void Choose(Span* span, uint8_t choices, uint8_t filler, uint8_t wanted) {
  span->options.gzip_header = (choices & 1) != 0;
  span->wanted = size_t{wanted} * 300;
  if (span->options.gzip_header) return;
  span->options.bits = (choices >> 1) % 8;
  if ((choices & 16) == 0) return;
  span->window.assign(kWindowSize, filler);
  span->options.window = span->window.data();
}

void Fill(Span* span, const uint8_t* data, size_t size) {
  span->input.reset(new uint8_t[size]);
  span->size = size;
  std::copy_n(data, size, span->input.get());
}

std::unique_ptr<uint8_t[]> Room(const Span& span) {
  std::unique_ptr<uint8_t[]> room(new uint8_t[span.wanted]);
  test::MarkUnwritten(room.get(), span.wanted);
  return room;
}

Outcome Alone(const Span& span) {
  const auto room = Room(span);
  SpanDecoder decoder;
  fuzz::Require(decoder.Start(span.options).ok());
  const SpanDecoder::Progress progress = decoder.Run(
      span.input.get(), span.size, room.get(), span.wanted, 0, nullptr);
  return {progress, Bytes(room.get(), room.get() + progress.produced)};
}

void RequireSame(const SpanDecoder::Call& call, const Outcome& alone) {
  const SpanDecoder::Progress& a = call.progress;
  const SpanDecoder::Progress& b = alone.progress;
  fuzz::Require(a.status.code == b.status.code &&
                a.status.offset == b.status.offset);
  fuzz::Require(a.consumed == b.consumed && a.produced == b.produced &&
                a.ended == b.ended);
  fuzz::Require(std::equal(alone.output.begin(), alone.output.end(), call.out));
}

void Together(const Span& a, const Outcome& a_alone, const Span& b,
              const Outcome& b_alone) {
  const auto a_room = Room(a);
  const auto b_room = Room(b);
  SpanDecoder first, second;
  fuzz::Require(first.Start(a.options).ok() && second.Start(b.options).ok());
  const auto call = [](SpanDecoder* decoder, const Span& span, uint8_t* room) {
    return SpanDecoder::Call{decoder,     span.input.get(), span.size, room,
                             span.wanted, nullptr,          {}};
  };
  SpanDecoder::Call one = call(&first, a, a_room.get());
  SpanDecoder::Call other = call(&second, b, b_room.get());
  SpanDecoder::RunPair(&one, &other);
  RequireSame(one, a_alone);
  RequireSame(other, b_alone);
}

// One of the two in slices.
struct Side {
  const Span& span;
  const Outcome& alone;
  SpanDecoder decoder;
  size_t consumed = 0;
  Bytes piece;  // of exactly its size
  Bytes output;
  Status status;

  Side(const Span& the_span, const Outcome& the_alone)
      : span(the_span), alone(the_alone) {
    fuzz::Require(decoder.Start(span.options).ok());
  }

  SpanDecoder::Call Next(fuzz::Chunks* chunks, uint8_t* room) {
    const uint8_t* const from = span.input.get() + consumed;
    piece.assign(from, from + chunks->Next(span.size - consumed));
    const size_t out_len = chunks->Next(span.wanted - output.size());
    return {&decoder, piece.data(), piece.size(), room, out_len, nullptr, {}};
  }
  // Whether anything came of it.
  bool Take(const SpanDecoder::Call& call) {
    const SpanDecoder::Progress& progress = call.progress;
    fuzz::Require(progress.consumed <= call.in_len &&
                  progress.produced <= call.out_len);
    if (status.ok()) status = progress.status;
    consumed += progress.consumed;
    output.insert(output.end(), call.out, call.out + progress.produced);
    return progress.consumed + progress.produced > 0;
  }
  // What is invalid may lie behind the last byte wanted.
  void RequireSame() const {
    const Status& whole = alone.progress.status;
    const bool complete = output.size() == span.wanted;
    fuzz::Require(status.code == whole.code || (complete && status.ok()));
    fuzz::Require(output == alone.output);
  }
};

void InSlices(Side* a, Side* b, fuzz::Chunks chunks) {
  const auto a_room = Room(a->span);
  const auto b_room = Room(b->span);
  // Calls may be for nothing, of little input and no room.
  for (int idle = 0; idle < 8;) {
    SpanDecoder::Call one = a->Next(&chunks, a_room.get());
    SpanDecoder::Call other = b->Next(&chunks, b_room.get());
    SpanDecoder::RunPair(&one, &other);
    const bool a_moved = a->Take(one);
    const bool b_moved = b->Take(other);
    idle = a_moved || b_moved ? 0 : idle + 1;
  }
  a->RequireSame();
  b->RequireSame();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
  fuzz::Input input(data, len);
  Span a, b;
  const uint8_t a_choices = input.Byte(), b_choices = input.Byte();
  const uint8_t a_filler = input.Byte(), b_filler = input.Byte();
  Choose(&a, a_choices, a_filler, input.Byte());
  Choose(&b, b_choices, b_filler, input.Byte());
  size_t cut = input.Byte();
  cut |= size_t{input.Byte()} << 8;
  cut = std::min(cut, input.size());
  Fill(&a, input.data(), cut);
  Fill(&b, input.data() + cut, input.size() - cut);

  const Outcome a_alone = Alone(a);
  const Outcome b_alone = Alone(b);
  Together(a, a_alone, b, b_alone);
  Together(b, b_alone, a, a_alone);
  const uint8_t steps[] = {a_filler, b_filler, static_cast<uint8_t>(cut)};
  fuzz::Input sizes(steps, sizeof steps);
  Side one(a, a_alone);
  Side other(b, b_alone);
  InSlices(&one, &other, fuzz::Chunks(&sizes));
  return 0;
}
