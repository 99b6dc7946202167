#include "core/tree/tar_blocks.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace soci {

class TarBlocks::Block {
 public:
  uint8_t* data() { return data_; }

  size_t pins = 0;
  bool held = true;  // by the ring
  Block* next = nullptr;

 private:
  uint8_t data_[kBlockSize];
};

// Nobody can have anything pinned any more.
TarBlocks::~TarBlocks() { Close(); }

Status TarBlocks::Write(const uint8_t* data, size_t size) {
  uint64_t offset = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    offset = end_;
  }
  return Append(offset, data, size);
}

Status TarBlocks::Append(uint64_t offset, const uint8_t* data, size_t size) {
  const std::lock_guard<std::mutex> append_lock(append_mutex_);
  while (size > 0) {
    Block* block = nullptr;
    size_t at = 0;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (closed_) return Status::At(Code::kAborted, offset);
      if (!begun_) {
        begun_ = true;
        origin_ = start_ = end_ = offset;
      }
      if (offset != end_) return Status::At(Code::kMisuse, end_);
      block = Tail();
      if (block == nullptr) return Status::At(Code::kNoMemory, offset);
      at = static_cast<size_t>((end_ - origin_) % kBlockSize);
      block->pins++;
    }
    // Nobody reads what lies behind the end.
    const size_t piece = std::min(size, kBlockSize - at);
    std::memcpy(block->data() + at, data, piece);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      Drop(block);
      if (closed_) return Status::At(Code::kAborted, offset);
      end_ += piece;
    }
    offset += piece;
    data += piece;
    size -= piece;
  }
  return Status::Ok();
}

// The block that the next byte belongs in.
TarBlocks::Block* TarBlocks::Tail() {
  if ((end_ - origin_) / kBlockSize < next_) return At(next_ - 1);
  if (next_ - first_ == kMaxBlocks) return nullptr;
  Block* block = spare_;
  if (block != nullptr) {
    spare_ = block->next;
  } else {
    // Not to be cleared: whole pages of it are written next.
    block = new (std::nothrow) Block;
    if (block == nullptr) return nullptr;
    blocks_++;
  }
  block->held = true;
  At(next_++) = block;
  return block;
}

void TarBlocks::Release(uint64_t offset) {
  const std::lock_guard<std::mutex> lock(mutex_);
  start_ = std::max(start_, std::min(offset, end_));
  // The one that the next byte belongs in stays.
  while (first_ < next_ && origin_ + (first_ + 1) * kBlockSize <= start_) {
    GiveBack(At(first_++));
  }
}

size_t TarBlocks::Pin(uint64_t offset, uint64_t size, Piece* pieces,
                      size_t most) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_ || offset < start_ || offset > end_ || size > end_ - offset) {
    return 0;
  }
  size_t count = 0;
  while (size > 0 && count < most) {
    Block* const block = At((offset - origin_) / kBlockSize);
    const size_t at = static_cast<size_t>((offset - origin_) % kBlockSize);
    const size_t length =
        static_cast<size_t>(std::min<uint64_t>(size, kBlockSize - at));
    block->pins++;
    pieces[count++] = {block, block->data() + at, length};
    offset += length;
    size -= length;
  }
  return count;
}

void TarBlocks::Unpin(const Piece* pieces, size_t count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (size_t i = 0; i < count; i++) Drop(pieces[i].block);
}

bool TarBlocks::Copy(uint64_t offset, size_t size, uint8_t* to) {
  while (size > 0) {
    Piece piece;
    if (Pin(offset, size, &piece, 1) == 0) return false;
    std::memcpy(to, piece.data, piece.size);
    Unpin(&piece, 1);
    offset += piece.size;
    to += piece.size;
    size -= piece.size;
  }
  return true;
}

void TarBlocks::Close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  start_ = end_;
  while (first_ < next_) GiveBack(At(first_++));
  while (spare_ != nullptr) {
    Block* const block = spare_;
    spare_ = block->next;
    delete block;
    blocks_--;
  }
}

void TarBlocks::Drop(Block* block) {
  if (--block->pins == 0 && !block->held) GiveBack(block);
}

// The ring does not hold it any more.
void TarBlocks::GiveBack(Block* block) {
  block->held = false;
  if (block->pins > 0) return;
  if (closed_) {
    delete block;
    blocks_--;
    return;
  }
  block->next = spare_;
  spare_ = block;
}

uint64_t TarBlocks::held() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return end_ - start_;
}

uint64_t TarBlocks::memory() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return uint64_t{blocks_} * sizeof(Block);
}

}  // namespace soci
