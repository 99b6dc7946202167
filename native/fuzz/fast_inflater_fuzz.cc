// Differential fuzzing of the fast engine: the same stream, cut into the same
// pieces of input and output, goes through it and through zlib's raw inflate.
// Every call must agree in its event, in the bytes taken, in the bytes
// written, and at block starts in the unused bits. Each call gets heap blocks
// of exactly the promised sizes, so that a sanitizer sees any byte beyond.
//
// The first bytes of the fuzz input choose how it is used: as a DEFLATE stream,
// or as data that zlib first compresses (any level, strategy, flush points,
// with a preset window) and that is then damaged or not; how it is chunked,
// where the output is rebased, from which block a second pass starts.
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "fast_inflater.h"

namespace {

using soci::Inflater;
using soci::kWindowSize;
using Bytes = std::vector<uint8_t>;
using Event = Inflater::Event;

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
  explicit Choices(uint64_t seed) : state_(seed | 1) {}
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

// Both engines live as long as the process: Start must forget everything.
Inflater* Reference() {
  static const std::unique_ptr<Inflater> inflater =
      soci::MakeInflater(soci::Engine::kZlib);
  return inflater.get();
}

Inflater* Tested() {
  static soci::FastInflater inflater;
  return &inflater;
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

Chunking ChooseChunking(Choices* choose) {
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
void Compare(const Bytes& deflate, size_t at, unsigned bits,
             const Bytes* window, const Chunking& chunking, Choices* choose,
             std::vector<Boundary>* boundaries, Output* output) {
  const uint8_t partial = at > 0 ? deflate[at - 1] : 0xff;
  static Bytes far;  // what the engine may read; changed by a rebase
  if (window != nullptr) far = *window;
  const auto start_bits = static_cast<uint8_t>(bits);
  REQUIRE(Reference()
              ->Start(start_bits, partial, window ? window->data() : nullptr)
              .ok());
  REQUIRE(
      Tested()->Start(start_bits, partial, window ? far.data() : nullptr).ok());
  size_t since_rebase = 0;
  size_t size = 0;
  for (int run = 0; run < kMaxRuns; run++) {
    if (chunking.rebase && choose->OneIn(4)) {
      output->CopyWindow(size, window, &far);
      Tested()->Rebase(far.data());
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
    const Inflater::Result want =
        Reference()->Run(in.get(), in_len, expected, out_len, 0, stop);
    const Inflater::Result got =
        Tested()->Run(in.get(), in_len, out, out_len, history, stop);
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

// Makes a longer text of the fuzz data, with repeats at all distances.
Bytes Stretch(const uint8_t* data, size_t size, Choices* choose) {
  const size_t length = choose->Below(choose->OneIn(64) ? 80000 : 800);
  Bytes text(std::max(length, size));
  std::copy_n(data, size, text.begin());
  const size_t longest = choose->OneIn(8) ? 2000 : 40;
  for (size_t at = std::max<size_t>(size, 1); at < text.size();) {
    const size_t distance = 1 + choose->Below(std::min(at, kWindowSize));
    const size_t end = std::min(at + 1 + choose->Below(longest), text.size());
    for (; at < end; at++) text[at] = text[at - distance];
    text[end - 1] ^= static_cast<uint8_t>(choose->Below(3));
  }
  return text;
}

// A compressor for each memory level, since setting one up is slow.
z_stream* Compressor(int level, int memory, int strategy) {
  static z_stream streams[10] = {};
  z_stream* const z = &streams[memory];
  const int window_bits = memory < 4 ? 8 + memory : 15;
  if (z->state == nullptr)
    REQUIRE(deflateInit2(z, level, Z_DEFLATED, -window_bits, memory,
                         strategy) == Z_OK);
  REQUIRE(deflateReset(z) == Z_OK);
  REQUIRE(deflateParams(z, level, strategy) == Z_OK);
  return z;
}

Bytes Compress(const Bytes& text, const Bytes* window, Choices* choose) {
  static constexpr int kFlushes[] = {Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH,
                                     Z_FULL_FLUSH, Z_BLOCK};
  Bytes deflate(text.size() * 2 + 4096);
  z_stream* const z = Compressor(static_cast<int>(choose->Below(7)),
                                 1 + static_cast<int>(choose->Below(8)),
                                 static_cast<int>(choose->Below(5)));
  if (window != nullptr)
    REQUIRE(deflateSetDictionary(z, window->data(), kWindowSize) == Z_OK);
  z->next_out = deflate.data();
  z->avail_out = static_cast<uInt>(deflate.size());
  size_t at = 0;
  const size_t piece =
      choose->OneIn(2) ? text.size() : 200 + choose->Below(3000);
  while (at < text.size() && z->avail_out > 2048) {
    const size_t n = std::min(piece, text.size() - at);
    z->next_in = const_cast<uint8_t*>(text.data()) + at;
    z->avail_in = static_cast<uInt>(n);
    ::deflate(z, kFlushes[choose->Below(5)]);
    at += n;
  }
  ::deflate(z, Z_FINISH);
  deflate.resize(deflate.size() - z->avail_out);
  return deflate;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kHead = 9;
  if (size < kHead) return 0;
  uint64_t seed;
  std::memcpy(&seed, data, sizeof(seed));
  Choices choose(seed * 0x9e3779b97f4a7c15u);
  const uint8_t mode = data[8];
  data += kHead;
  size -= kHead;

  static Bytes window(kWindowSize), before(kWindowSize);
  static Output output;
  const bool has_window = mode & 1;
  if (has_window)
    for (size_t i = 0, n = std::max<size_t>(size, 1); i < kWindowSize; i += n) {
      window[i] = mode & 2 ? static_cast<uint8_t>(i / n) : 0;
      std::memcpy(&window[i], data, std::min(size, kWindowSize - i));
    }
  const Bytes* const preset = has_window ? &window : nullptr;

  Bytes deflate;
  const bool compress = (mode & 24) == 24;
  if (compress) {
    deflate = Compress(Stretch(data, size, &choose), preset, &choose);
    if (mode & 32)
      for (size_t n = 1 + choose.Below(4); n > 0 && !deflate.empty(); n--)
        deflate[choose.Below(deflate.size())] ^=
            static_cast<uint8_t>(1u << choose.Below(8));
    if (mode & 64 && !deflate.empty())
      deflate.resize(choose.Below(deflate.size()));
  } else {
    deflate.assign(data, data + size);
  }

  std::vector<Boundary> boundaries;
  const unsigned bits = !compress && mode & 64 ? seed & 7 : 0;
  Compare(deflate, 0, bits, preset, ChooseChunking(&choose), &choose,
          &boundaries, &output);
  if (boundaries.empty()) return 0;

  // Once more from one of the blocks, with the window it would have in a ztoc.
  const Boundary start = boundaries[choose.Below(boundaries.size())];
  output.CopyWindow(start.out, preset, &before);
  Compare(deflate, start.in, start.bits, choose.OneIn(8) ? nullptr : &before,
          ChooseChunking(&choose), &choose, &boundaries, &output);
  return 0;
}
