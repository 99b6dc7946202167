// Whole DEFLATE blocks that were decoded from a place whose window was not
// known, and the places at which they begin and end: what one thread can do
// ahead of the one that decodes a stream in its order. They are worth nothing
// unless that one finds a block to begin exactly where the first of these
// does; then they are exactly what it would have decoded itself.
//
// Thread safety: none.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "block_finder.h"
#include "block_header.h"
#include "growable_buffer.h"
#include "marked_loop.h"
#include "marked_output.h"

namespace soci {

class MarkedBlocks {
 public:
  // The end of a block, which is the start of the next.
  struct End {
    uint32_t in;   // bits of the data
    uint32_t out;  // elements since the first block's start
  };

  // Looks for a block in `data` and decodes from there: all that are whole, up
  // to one that is the stream's last, is no block, or would bring the output
  // beyond kMaxOutput elements. False if that is none, memory is short, `stop`
  // is raised, which is polled once a block and some KiB, or too much was tried
  // in vain: this takes no more than some three times as long as decoding
  // kMaxOutput elements, whatever the data is. `stop` is never nullptr, `size`
  // at most kMaxInput.
  bool Decode(const uint8_t* data, size_t size, const std::atomic<bool>* stop);

  // The rest is about what the last Decode found, if it did.
  const BlockStart& start() const { return start_; }
  size_t count() const { return ends_.size() / sizeof(End); }
  End end(size_t block) const;
  const Marked* output() const { return memory_.get() + kWindowSize; }

  static constexpr size_t kMaxInput = size_t{1} << 26;
  static constexpr size_t kMaxOutput = size_t{6} << 20;
  // In bytes, what Decode takes when it is called first and keeps.
  static constexpr size_t kMemory =
      (kWindowSize + kMaxOutput + kMarkedOutputMargin) * sizeof(Marked);

 private:
  bool Prepare();
  bool DecodeFrom(uint64_t position, const uint8_t* data, size_t size,
                  const std::atomic<bool>* stop);
  bool DecodeBlock(BitReader* bits, const uint8_t* data, size_t size);
  bool CopyStored(BitReader* bits, const uint8_t* data, size_t size);
  bool DecodeSymbols(BitReader* bits, const uint8_t* data, size_t size,
                     const HuffmanTables& tables);

  struct Tables {
    HuffmanTables dynamic;
    HuffmanTables fixed;
  };

  BlockStart start_ = {};
  GrowableBuffer ends_;
  // A window of markers, then the output.
  std::unique_ptr<Marked[]> memory_;
  size_t produced_ = 0;  // elements, those of a block that is not whole too
  std::unique_ptr<Tables> tables_;
};

}  // namespace soci
