// Whether MemorySanitizer sees through the processor's own instructions for
// SHA-256 and CRC-32, of whose effect on bits it knows little: what they make
// of an unwritten byte must count as unwritten, and nothing else may. Where it
// did not, that all other tests pass under it would say nothing.
#include <initializer_list>

#include "../core/gzip_crc32.h"
#include "../core/sha256_blocks.h"
#include "check.h"
#include "unwritten.h"

namespace soci::test {
namespace {

constexpr size_t kBlocks = 2;

// With one byte of the message unwritten, for each of its bytes.
void TestSha256(Sha256Blocks* blocks) {
  for (size_t at = 0; at < kBlocks * kSha256BlockSize; at++) {
    Bytes message(kBlocks * kSha256BlockSize);
    uint32_t state[8] = {};
    blocks(state, message.data(), kBlocks);
    CHECK(IsWritten(state, sizeof state));
    MarkUnwritten(&message[at], 1);
    blocks(state, message.data(), kBlocks);
    CHECK(!IsWritten(state, sizeof state));
  }
}

void TestSha256X2(Sha256BlocksX2* blocks) {
  const Bytes written(kBlocks * kSha256BlockSize);
  for (size_t at = 0; at < written.size(); at++) {
    Bytes unwritten = written;
    MarkUnwritten(&unwritten[at], 1);
    for (const bool first : {false, true}) {
      uint32_t a[8] = {};
      uint32_t b[8] = {};
      blocks(a, first ? unwritten.data() : written.data(), b,
             first ? written.data() : unwritten.data(), kBlocks);
      CHECK(IsWritten(a, sizeof a) == !first);
      CHECK(IsWritten(b, sizeof b) == first);
    }
  }
}

void TestCrc32(Crc32Fold* fold) {
  // A block that only starts, rounds of four and of one.
  for (size_t at = 0; at < 64 + 128 + 32; at++) {
    Bytes message(64 + 128 + 32);
    uint8_t rest[16];
    MarkUnwritten(rest, sizeof rest);
    CHECK_EQ(fold(0, message.data(), message.size(), rest), message.size());
    CHECK(IsWritten(rest, sizeof rest));
    MarkUnwritten(&message[at], 1);
    CHECK_EQ(fold(0, message.data(), message.size(), rest), message.size());
    CHECK(!IsWritten(rest, sizeof rest));
  }
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci;
  if (!test::kMemorySanitizer) {
    std::printf("memory_sanitizer: skipped, not built with it\n");
    return 0;
  }
  for (Sha256Blocks* blocks :
       {&Sha256BlocksPortable, Sha256BlocksX86(), Sha256BlocksArm()}) {
    if (blocks != nullptr) test::TestSha256(blocks);
  }
  for (Sha256BlocksX2* blocks :
       {&Sha256BlocksX2Portable, Sha256BlocksX2X86(), Sha256BlocksX2Arm()}) {
    if (blocks != nullptr) test::TestSha256X2(blocks);
  }
  if (Crc32FoldX86() != nullptr) test::TestCrc32(Crc32FoldX86());
  return test::Report("memory_sanitizer");
}
