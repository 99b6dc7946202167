// Decodes one stream with the fast engine and with zlib, cut into the same
// pieces of input and output. Every call must agree in its event, in the bytes
// taken, in the bytes written, and at block starts in the unused bits. Calls
// get heap blocks of exactly the promised sizes, so that a sanitizer sees any
// byte beyond.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "../core/inflater.h"
#include "../test/unwritten.h"

namespace soci::fuzz {

using Bytes = std::vector<uint8_t>;
using Event = Inflater::Event;

// More output than this ends a pass.
constexpr size_t kMaxOutput = 160 << 10;
constexpr int kMaxRuns = 60;

#define REQUIRE(condition)                                                 \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                        \
    }                                                                      \
  } while (0)

// xorshift64; the choices of one execution follow from its input alone.
class Choices {
 public:
  explicit Choices(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u | 1) {}
  size_t Below(size_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<size_t>((state_ >> 16) % n);
  }
  bool OneIn(size_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

// Both engines live as long as the process: Start must forget everything. But
// MemorySanitizer would take for written what the tables still hold of other
// streams, so it gets a new one for every pass.
inline Inflater* Reference() {
  static const std::unique_ptr<Inflater> inflater = MakeInflater(Engine::kZlib);
  return inflater.get();
}

inline Inflater* Tested() {
  static std::unique_ptr<Inflater> inflater;
  if (inflater == nullptr || test::kMemorySanitizer)
    inflater = MakeInflater(Engine::kFast);
  return inflater.get();
}

struct Boundary {
  size_t in, out;
  unsigned bits;
};

// How one pass cuts its stream.
struct Chunking {
  size_t max_in, max_out;
  int stop_at_blocks;  // 0 never, 1 always, 2 now and then
  bool rebase;
};

inline Chunking ChooseChunking(Choices* choose) {
  static constexpr size_t kSizes[] = {1, 3, 30, 400, 5000, kMaxOutput};
  return {kSizes[choose->Below(6)], kSizes[choose->Below(6)],
          static_cast<int>(choose->Below(3)), choose->OneIn(2)};
}

// The output of one pass, by each engine.
struct Output {
  Bytes expected = Bytes(2 * kMaxOutput);
  Bytes actual = Bytes(2 * kMaxOutput);
  size_t size = 0;

  // The last 32 KiB, after those of `before` (zeros if there is none).
  void CopyWindow(size_t end, const Bytes* before, Bytes* window) const {
    const size_t have = std::min(end, kWindowSize);
    window->assign(kWindowSize, 0);
    if (before != nullptr)
      std::memcpy(window->data(), before->data() + have, kWindowSize - have);
    std::memcpy(window->data() + kWindowSize - have,
                expected.data() + end - have, have);
  }
};

// Decodes deflate[at..] with both. Appends the blocks that were met to
// `boundaries`.
inline void Compare(const Bytes& deflate, size_t at, unsigned bits,
                    const Bytes* window, const Chunking& chunking,
                    Choices* choose, std::vector<Boundary>* boundaries,
                    Output* output) {
  const uint8_t partial = at > 0 ? deflate[at - 1] : 0xff;
  static Bytes far;  // what the engine may read; changed by a rebase
  if (window != nullptr) far = *window;
  const auto start_bits = static_cast<uint8_t>(bits);
  Inflater* const reference = Reference();
  Inflater* const tested = Tested();
  REQUIRE(
      reference->Start(start_bits, partial, window ? window->data() : nullptr)
          .ok());
  REQUIRE(
      tested->Start(start_bits, partial, window ? far.data() : nullptr).ok());
  size_t since_rebase = 0;
  size_t size = 0;
  for (int run = 0; run < kMaxRuns; run++) {
    if (chunking.rebase && choose->OneIn(4)) {
      output->CopyWindow(size, window, &far);
      tested->Rebase(far.data());
      since_rebase = 0;
    }
    const size_t in_len =
        std::min(choose->Below(chunking.max_in + 1), deflate.size() - at);
    const size_t out_len = choose->Below(chunking.max_out + 1);
    const bool stop = chunking.stop_at_blocks == 1 ||
                      (chunking.stop_at_blocks == 2 && choose->OneIn(2));
    const size_t need = std::min(since_rebase, kWindowSize);
    const size_t history = need + choose->Below(since_rebase - need + 1);

    const std::unique_ptr<uint8_t[]> in(new uint8_t[in_len]);
    if (in_len > 0) std::memcpy(in.get(), deflate.data() + at, in_len);
    uint8_t* const place = output->actual.data() + size;
    uint8_t* out = place;
    std::unique_ptr<uint8_t[]> exact;
    if (choose->OneIn(2)) {
      exact.reset(new uint8_t[history + out_len]);
      out = exact.get() + history;
      std::memcpy(exact.get(), place - history, history);
    }

    uint8_t* const expected = output->expected.data() + size;
    test::MarkUnwritten(place, out_len);
    test::MarkUnwritten(expected, out_len);
    const Inflater::Result want =
        reference->Run(in.get(), in_len, expected, out_len, 0, stop);
    const Inflater::Result got =
        tested->Run(in.get(), in_len, out, out_len, history, stop);
    REQUIRE(got.event == want.event);
    REQUIRE(got.consumed <= in_len);
    REQUIRE(got.produced == want.produced);
    REQUIRE(got.status.code == want.status.code);
    REQUIRE(std::memcmp(out, expected, got.produced) == 0);
    REQUIRE(std::memcmp(out - history, expected - history, history) == 0);
    if (got.event == Event::kError) return;
    REQUIRE(got.consumed == want.consumed);
    std::memcpy(place, expected, got.produced);

    at += got.consumed;
    size += got.produced;
    output->size = size;
    since_rebase += got.produced;
    if (got.event == Event::kStreamEnd) return;
    if (got.event == Event::kBlockStart) {
      REQUIRE(got.bits == want.bits);
      boundaries->push_back({at, size, got.bits});
    }
    if (size > kMaxOutput) return;
    if (at == deflate.size() && got.event == Event::kNeedInput) return;
  }
}

// Decodes `deflate` from its start and then once more from one of its blocks,
// with the window that a ztoc would have for it.
inline void CompareTwice(const Bytes& deflate, unsigned bits,
                         const Bytes* window, Choices* choose) {
  static Output output;
  static Bytes before;
  std::vector<Boundary> boundaries;
  Compare(deflate, 0, bits, window, ChooseChunking(choose), choose, &boundaries,
          &output);
  if (boundaries.empty()) return;
  const Boundary start = boundaries[choose->Below(boundaries.size())];
  output.CopyWindow(start.out, window, &before);
  Compare(deflate, start.in, start.bits, choose->OneIn(8) ? nullptr : &before,
          ChooseChunking(choose), choose, &boundaries, &output);
}

// A window made of the fuzz data, repeated.
inline const Bytes* FillWindow(const uint8_t* data, size_t size) {
  static Bytes window(kWindowSize);
  const size_t step = std::max<size_t>(size, 64);
  for (size_t i = 0; i < kWindowSize; i += step) {
    window[i] = static_cast<uint8_t>(i / step);
    if (size > 0)
      std::memcpy(&window[i], data, std::min(size, kWindowSize - i));
  }
  return &window;
}

}  // namespace soci::fuzz
