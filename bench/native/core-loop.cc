// What decoding spans costs with nothing around the core: a plain loop over the
// spans of a layer, everything in memory, one thread, one output buffer that is
// filled again and again. The yardstick for jobs on the pool.
//
//   core-loop LAYER TABLE SPANS PASSES ENGINE
//
// TABLE: per span uint64 LE {start, end, output, bits}, then a 32 KiB window.
// ENGINE: zlib or fast. Prints nanoseconds of the fastest pass on the wall
// clock and, of the cheapest, on the CPU; and the bytes that one pass produced.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include "bytes.h"
#include "span_decoder.h"

namespace {

constexpr size_t kRow = 4 * 8 + soci::kWindowSize;

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "core-loop: %s\n", what);
  std::exit(1);
}

std::vector<uint8_t> Load(const char* path) {
  std::FILE* const file = std::fopen(path, "rb");
  if (file == nullptr) Die(path);
  std::fseek(file, 0, SEEK_END);
  std::vector<uint8_t> bytes(static_cast<size_t>(std::ftell(file)));
  std::rewind(file);
  if (std::fread(bytes.data(), 1, bytes.size(), file) != bytes.size()) {
    Die(path);
  }
  std::fclose(file);
  return bytes;
}

uint64_t Now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1000000000u +
         static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) Die("LAYER TABLE SPANS PASSES ENGINE");
  const std::vector<uint8_t> layer = Load(argv[1]);
  const std::vector<uint8_t> table = Load(argv[2]);
  const size_t spans = std::strtoul(argv[3], nullptr, 10);
  const size_t passes = std::strtoul(argv[4], nullptr, 10);
  soci::SpanDecoder::Options options;
  options.engine = std::strcmp(argv[5], "zlib") == 0 ? soci::Engine::kZlib
                                                     : soci::Engine::kFast;
  if (table.size() != spans * kRow) Die("a table of other spans");
  uint64_t largest = 0, produced = 0;
  for (size_t i = 0; i < spans; i++) {
    const uint64_t length = soci::LoadLe64(&table[i * kRow + 16]);
    largest = std::max(largest, length);
    produced += length;
  }
  std::vector<uint8_t> output(largest, 1);
  uint64_t best = UINT64_MAX, cheapest = UINT64_MAX;
  for (size_t pass = 0; pass < passes; pass++) {
    const uint64_t wall = Now(CLOCK_MONOTONIC);
    const uint64_t cpu = Now(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 0; i < spans; i++) {
      const uint8_t* const row = &table[i * kRow];
      const uint64_t start = soci::LoadLe64(row);
      options.bits = static_cast<uint8_t>(soci::LoadLe64(row + 24));
      options.window = row + 32;
      const soci::Status status = soci::DecodeSpan(
          options, &layer[start], soci::LoadLe64(row + 8) - start,
          output.data(), soci::LoadLe64(row + 16), nullptr);
      if (!status.ok()) Die("a span does not decode");
    }
    best = std::min(best, Now(CLOCK_MONOTONIC) - wall);
    cheapest = std::min(cheapest, Now(CLOCK_PROCESS_CPUTIME_ID) - cpu);
  }
  std::printf("{\"nanoseconds\":%llu,\"cpu\":%llu,\"bytes\":%llu}\n",
              static_cast<unsigned long long>(best),
              static_cast<unsigned long long>(cheapest),
              static_cast<unsigned long long>(produced));
  return 0;
}
