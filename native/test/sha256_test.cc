// SHA-256 against the NIST examples, in any chunking, and its implementations
// against each other.
#include "../core/sha256.h"

#include <cstring>

#include "check.h"

namespace soci::test {
namespace {

std::string Digest(const Bytes& data, Sha256Blocks* blocks, size_t chunk) {
  Sha256 hash(blocks);
  for (size_t at = 0; at < data.size(); at += chunk) {
    hash.Update(data.data() + at, std::min(chunk, data.size() - at));
  }
  uint8_t digest[Sha256::kDigestSize];
  hash.Final(digest);
  return Hex(digest, sizeof digest);
}

// FIPS 180-4 examples and the empty message.
void TestVectors(Sha256Blocks* blocks) {
  const auto text = [blocks](const char* s) {
    return Digest(Bytes(s, s + std::strlen(s)), blocks, 1000);
  };
  CHECK_EQ(text(""),
           "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK_EQ(text("abc"),
           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK_EQ(text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK_EQ(Digest(Bytes(1000000, 'a'), blocks, 4096),
           "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Around the lengths at which the padding needs another block.
void TestChunkings(Sha256Blocks* blocks) {
  Random random(1);
  for (size_t len = 0; len < 200; len++) {
    Bytes data(len);
    for (uint8_t& byte : data) byte = static_cast<uint8_t>(random.Next());
    const std::string whole = Digest(data, &Sha256BlocksPortable, 1000);
    for (const size_t chunk : {1, 7, 63, 64, 65}) {
      CHECK_EQ(Digest(data, blocks, chunk), whole);
    }
  }
}

void TestReset() {
  const Bytes data(100, 'x');
  Sha256 hash;
  hash.Update(data.data(), data.size());
  hash.Reset();
  uint8_t digest[Sha256::kDigestSize];
  hash.Final(digest);
  CHECK_EQ(Hex(digest, sizeof digest), Digest({}, &Sha256BlocksPortable, 1));
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci;
  test::TestVectors(&Sha256BlocksPortable);
  test::TestChunkings(&Sha256BlocksPortable);
  for (Sha256Blocks* blocks : {Sha256BlocksX86(), Sha256BlocksArm()}) {
    if (blocks == nullptr) continue;
    test::TestVectors(blocks);
    test::TestChunkings(blocks);
  }
  std::printf("sha256: %s\n", FastestSha256Blocks() == &Sha256BlocksPortable
                                  ? "portable only"
                                  : "with the processor's instructions");
  test::TestReset();
  return test::Report("sha256");
}
