// SHA-256 (FIPS 180-4) in pieces. A layer's bytes are hashed two or three times
// while it is indexed (layer digest, span digests, diffID) and never enter
// JavaScript, so the core needs its own; the processor's instructions for it
// are used where there are any, on two messages at a time where possible: that
// takes little longer than one (see sha256_blocks.h).
//
// Thread safety: none per object; different objects are independent.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sha256_blocks.h"

namespace soci {

class Sha256 {
 public:
  static constexpr size_t kDigestSize = 32;

  // `blocks` is the compression function; tests compare them.
  explicit Sha256(Sha256Blocks* blocks = FastestSha256Blocks());

  // Back to the empty message.
  void Reset();
  void Update(const uint8_t* data, size_t len);

  // The next bytes of one of several messages.
  struct Piece {
    Sha256* hash;
    const uint8_t* data;
    size_t len;
  };
  // Updates every hash, each a different one, with its piece. The pieces may
  // be of any length and overlap; the array itself is used up.
  static void UpdateEach(Piece* pieces, size_t count,
                         Sha256BlocksX2* blocks = FastestSha256BlocksX2());

  // Writes the digest of everything since the last Reset. Only Reset may
  // follow.
  void Final(uint8_t digest[kDigestSize]);

 private:
  Sha256Blocks* blocks_;
  uint32_t state_[8];
  uint64_t length_;  // bytes of the message so far
  uint8_t block_[kSha256BlockSize];
};

}  // namespace soci
