// The fast engine against zlib on streams that are mostly not DEFLATE: the fuzz
// input is the stream, but for a head that chooses chunking, window and start.
#include "fast_compare.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace soci::fuzz;
  constexpr size_t kHead = 9;
  if (size < kHead) return 0;
  uint64_t seed;
  std::memcpy(&seed, data, sizeof(seed));
  const uint8_t mode = data[8];
  Choices choose(seed);
  const Bytes* const window =
      mode & 1 ? FillWindow(data + kHead, size - kHead) : nullptr;
  CompareTwice(Bytes(data + kHead, data + size), mode & 2 ? mode >> 5 : 0,
               window, &choose);
  return 0;
}
