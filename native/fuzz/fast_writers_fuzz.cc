// The fast engine against zlib on streams that zlib's deflate writes from the
// fuzz data: any level and strategy, small and large blocks, flush points, a
// preset window; intact, damaged or cut short.
#include <zlib.h>

#include "fast_compare.h"

namespace {

using soci::kWindowSize;
using soci::fuzz::Bytes;
using soci::fuzz::Choices;

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
  const uint8_t mode = data[8];
  data += kHead;
  size -= kHead;

  Choices choose(seed);
  const Bytes* const window =
      mode & 1 ? soci::fuzz::FillWindow(data, size) : nullptr;
  Bytes deflate = Compress(Stretch(data, size, &choose), window, &choose);
  if (mode & 2)
    for (size_t n = 1 + choose.Below(4); n > 0; n--)
      deflate[choose.Below(deflate.size())] ^=
          static_cast<uint8_t>(1u << choose.Below(8));
  if (mode & 4) deflate.resize(choose.Below(deflate.size()));
  soci::fuzz::CompareTwice(deflate, 0, window, &choose);
  return 0;
}
