// SHA-256 against the NIST examples, in any chunking, and its implementations
// against each other, for one message and for several at once.
#include "../core/sha256.h"

#include <algorithm>
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

Bytes RandomBytes(Random* random, size_t len) {
  Bytes data(len);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(random->Next());
  return data;
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
    const Bytes data = RandomBytes(&random, len);
    const std::string whole = Digest(data, &Sha256BlocksPortable, 1000);
    for (const size_t chunk : {1u, 7u, 63u, 64u, 65u}) {
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

// Unequal states, counts and alignments of the data.
void TestBlocksX2(Sha256BlocksX2* blocks) {
  Random random(2);
  const Bytes data = RandomBytes(&random, 2000);
  for (int round = 0; round < 500; round++) {
    uint32_t states[2][8];
    uint32_t expected[2][8];
    for (auto& state : states) {
      for (uint32_t& word : state) word = static_cast<uint32_t>(random.Next());
    }
    std::memcpy(expected, states, sizeof states);
    const size_t count = random.Below(16);
    const uint8_t* a = data.data() + random.Below(900);
    const uint8_t* b = data.data() + random.Below(900);
    Sha256BlocksPortable(expected[0], a, count);
    Sha256BlocksPortable(expected[1], b, count);
    blocks(states[0], a, states[1], b, count);
    CHECK(std::memcmp(states, expected, sizeof states) == 0);
  }
}

// Up to four messages of any lengths, each in chunkings of its own, advanced
// together and now and then alone, against each of them hashed whole.
void TestUpdateEach(Sha256BlocksX2* blocks) {
  Random random(3);
  const Bytes data = RandomBytes(&random, 20000);
  for (int round = 0; round < 300; round++) {
    const size_t count = random.Below(5);
    Sha256 hashes[4];
    size_t at[4];
    size_t end[4];
    size_t start[4];
    for (size_t i = 0; i < count; i++) {
      start[i] = at[i] = random.Below(data.size());
      end[i] = at[i] + random.Below(data.size() - at[i] + 1);
    }
    const size_t largest = size_t{1} << random.Below(15);
    for (bool more = true; more;) {
      more = false;
      Sha256::Piece pieces[4];
      for (size_t i = 0; i < count; i++) {
        if (random.Below(4) == 0 && at[i] < end[i]) {
          hashes[i].Update(data.data() + at[i]++, 1);
        }
        const size_t len = std::min(random.Below(largest) + 1, end[i] - at[i]);
        pieces[i] = {&hashes[i], data.data() + at[i], len};
        at[i] += len;
        more = more || at[i] < end[i];
      }
      Sha256::UpdateEach(pieces, count, blocks);
    }
    for (size_t i = 0; i < count; i++) {
      uint8_t digest[Sha256::kDigestSize];
      hashes[i].Final(digest);
      const Bytes message(data.data() + start[i], data.data() + end[i]);
      CHECK_EQ(Hex(digest, sizeof digest),
               Digest(message, &Sha256BlocksPortable, data.size()));
    }
  }
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
  test::TestBlocksX2(&Sha256BlocksX2Portable);
  test::TestUpdateEach(&Sha256BlocksX2Portable);
  for (Sha256BlocksX2* blocks : {Sha256BlocksX2X86(), Sha256BlocksX2Arm()}) {
    if (blocks == nullptr) continue;
    test::TestBlocksX2(blocks);
    test::TestUpdateEach(blocks);
  }
  std::printf("sha256: %s\n", FastestSha256Blocks() == &Sha256BlocksPortable
                                  ? "portable only"
                                  : "with the processor's instructions");
  test::TestReset();
  return test::Report("sha256");
}
