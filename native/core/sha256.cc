#include "sha256.h"

#include <algorithm>
#include <cstring>

namespace soci {
namespace {

// FIPS 180-4 §5.3.3
constexpr uint32_t kInitialState[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                       0xa54ff53a, 0x510e527f, 0x9b05688c,
                                       0x1f83d9ab, 0x5be0cd19};
constexpr size_t kLengthSize = 8;  // of the message length behind the padding

// Blocks before another pair may be the longest. Small, so that of three
// messages none is left over to run alone; large against the choice of a pair.
constexpr size_t kTurn = 32;

void StoreBe32(uint8_t* p, uint32_t value) {
  p[0] = static_cast<uint8_t>(value >> 24);
  p[1] = static_cast<uint8_t>(value >> 16);
  p[2] = static_cast<uint8_t>(value >> 8);
  p[3] = static_cast<uint8_t>(value);
}

}  // namespace

Sha256::Sha256(Sha256Blocks* blocks) : blocks_(blocks) { Reset(); }

void Sha256::Reset() {
  std::memcpy(state_, kInitialState, sizeof state_);
  length_ = 0;
}

void Sha256::Update(const uint8_t* data, size_t len) {
  if (len == 0) return;
  const size_t filled = length_ % kSha256BlockSize;
  length_ += len;
  if (filled > 0) {
    const size_t room = kSha256BlockSize - filled;
    if (len < room) {
      std::memcpy(block_ + filled, data, len);
      return;
    }
    std::memcpy(block_ + filled, data, room);
    blocks_(state_, block_, 1);
    data += room;
    len -= room;
  }
  const size_t whole = len / kSha256BlockSize;
  if (whole > 0) blocks_(state_, data, whole);
  const size_t rest = len % kSha256BlockSize;
  if (rest > 0) std::memcpy(block_, data + len - rest, rest);
}

void Sha256::UpdateEach(Piece* pieces, size_t count, Sha256BlocksX2* blocks) {
  const auto take = [](Piece* piece, size_t len) {
    piece->data += len;
    piece->len -= len;
  };
  for (size_t i = 0; i < count; i++) {
    Piece* piece = &pieces[i];
    const size_t filled = piece->hash->length_ % kSha256BlockSize;
    if (filled == 0) continue;
    const size_t lead = std::min(kSha256BlockSize - filled, piece->len);
    piece->hash->Update(piece->data, lead);
    take(piece, lead);
  }
  for (;;) {
    Piece* longest = nullptr;
    Piece* second = nullptr;
    for (size_t i = 0; i < count; i++) {
      if (longest == nullptr || pieces[i].len > longest->len) {
        second = longest;
        longest = &pieces[i];
      } else if (second == nullptr || pieces[i].len > second->len) {
        second = &pieces[i];
      }
    }
    if (second == nullptr || second->len < kSha256BlockSize) break;
    const size_t turn = std::min(second->len / kSha256BlockSize, kTurn);
    blocks(longest->hash->state_, longest->data, second->hash->state_,
           second->data, turn);
    for (Piece* piece : {longest, second}) {
      piece->hash->length_ += turn * kSha256BlockSize;
      take(piece, turn * kSha256BlockSize);
    }
  }
  for (size_t i = 0; i < count; i++) {
    pieces[i].hash->Update(pieces[i].data, pieces[i].len);
    take(&pieces[i], pieces[i].len);
  }
}

void Sha256::Final(uint8_t digest[kDigestSize]) {
  const uint64_t bits = length_ * 8;
  size_t filled = length_ % kSha256BlockSize;
  block_[filled++] = 0x80;
  if (filled > kSha256BlockSize - kLengthSize) {
    std::memset(block_ + filled, 0, kSha256BlockSize - filled);
    blocks_(state_, block_, 1);
    filled = 0;
  }
  std::memset(block_ + filled, 0, kSha256BlockSize - kLengthSize - filled);
  StoreBe32(block_ + 56, static_cast<uint32_t>(bits >> 32));
  StoreBe32(block_ + 60, static_cast<uint32_t>(bits));
  blocks_(state_, block_, 1);
  for (size_t i = 0; i < 8; i++) StoreBe32(digest + 4 * i, state_[i]);
}

}  // namespace soci
