// The bytes of a tar that files are to be written from, from where they were
// last released to where the tar has come. They are kept in blocks, which are
// used again; whoever writes from a block pins it.
//
// Thread safety: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "core/output_sink.h"
#include "core/status.h"

namespace soci {

class TarBlocks final : public OutputSink {
 public:
  static constexpr size_t kBlockSize = size_t{4} << 20;
  // Whoever lets them grow to that has forgotten to release them.
  static constexpr size_t kMaxBlocks = 64;

  class Block;

  // Bytes in one block, which stay as they are until they are unpinned.
  struct Piece {
    Block* block;
    const uint8_t* data;
    size_t size;
  };

  TarBlocks() = default;
  ~TarBlocks() override;
  TarBlocks(const TarBlocks&) = delete;
  TarBlocks& operator=(const TarBlocks&) = delete;

  // The next bytes of the tar; the first ones may begin anywhere in it.
  // kMisuse at the offset that was expected, kNoMemory (kMaxBlocks included),
  // kAborted once closed.
  Status Append(uint64_t offset, const uint8_t* data, size_t size);

  // The same, wherever the tar has come to; from 0 on.
  Status Write(const uint8_t* data, size_t size) override;

  // Nobody will ask for bytes before `offset` any more.
  void Release(uint64_t offset);

  // The bytes from `offset` on, up to `size` of them, in order: how many pieces
  // they are in, `most` at most. 0 if they are not held.
  size_t Pin(uint64_t offset, uint64_t size, Piece* pieces, size_t most);
  void Unpin(const Piece* pieces, size_t count);

  // False unless all of them are held.
  bool Copy(uint64_t offset, size_t size, uint8_t* to);

  // No more comes, and what is not pinned is given back.
  void Close();

  // From the last release on.
  uint64_t held();
  // Of all blocks.
  uint64_t memory();

 private:
  // These are called with the mutex held.
  Block* Tail();
  void Drop(Block* block);
  void GiveBack(Block* block);
  Block*& At(uint64_t number) { return ring_[number % kMaxBlocks]; }

  std::mutex append_mutex_;  // of those who append, while they copy
  std::mutex mutex_;
  bool closed_ = false;
  bool begun_ = false;
  uint64_t origin_ = 0;  // of the first block
  uint64_t start_ = 0;   // what was before is released
  uint64_t end_ = 0;
  // Numbers of the first block that is held, and of the one behind the last;
  // each at its number modulo kMaxBlocks.
  uint64_t first_ = 0;
  uint64_t next_ = 0;
  Block* ring_[kMaxBlocks] = {};
  Block* spare_ = nullptr;  // a list
  size_t blocks_ = 0;       // in all, spares and those only pinned included
};

}  // namespace soci
