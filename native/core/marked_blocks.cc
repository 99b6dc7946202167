#include "marked_blocks.h"

#include <cstring>
#include <new>

namespace soci {
namespace {

// What a start that comes to nothing costs besides its output: reading its
// header and building its tables, in elements of output.
constexpr size_t kStartCost = 4096;

}  // namespace

// A false start ends after a few elements, as a rule. But the data may be made
// of headers each of which all that follows can be decoded with: that would
// take the square of its size. So much in vain is enough.
bool MarkedBlocks::Decode(const uint8_t* data, size_t size,
                          const std::atomic<bool>* stop) {
  if (size > kMaxInput || !Prepare()) return false;
  BlockFinder finder(data, size, stop);
  uint64_t from = 0;
  for (size_t in_vain = 0; in_vain <= kMaxOutput;
       in_vain += produced_ + kStartCost) {
    if (!finder.Find(from, &start_)) return false;
    if (DecodeFrom(start_.last, data, size, stop)) return true;
    if (stop->load(std::memory_order_relaxed)) return false;
    from = start_.last + 1;
  }
  return false;
}

MarkedBlocks::End MarkedBlocks::end(size_t block) const {
  End end;
  std::memcpy(&end, ends_.data() + block * sizeof end, sizeof end);
  return end;
}

bool MarkedBlocks::Prepare() {
  if (memory_ != nullptr) return true;
  tables_.reset(new (std::nothrow) Tables);
  if (tables_ == nullptr) return false;
  BuildFixedTables(&tables_->fixed);
  memory_.reset(new (std::nothrow) Marked[kMemory / sizeof(Marked)]);
  if (memory_ == nullptr) return false;
  for (size_t i = 0; i < kWindowSize; i++) {
    memory_[i] = static_cast<Marked>(kFirstMarker + i);
  }
  return true;
}

// What a block that is not whole has left behind does not count.
bool MarkedBlocks::DecodeFrom(uint64_t position, const uint8_t* data,
                              size_t size, const std::atomic<bool>* stop) {
  ends_.Clear();
  produced_ = 0;
  BitReader bits(data, size, position);
  while (!stop->load(std::memory_order_relaxed) &&
         DecodeBlock(&bits, data, size)) {
    const End end = {static_cast<uint32_t>(bits.position()),
                     static_cast<uint32_t>(produced_)};
    uint8_t* const room = ends_.Extend(sizeof end);
    if (room == nullptr) break;
    std::memcpy(room, &end, sizeof end);
  }
  return count() > 0;
}

bool MarkedBlocks::DecodeBlock(BitReader* bits, const uint8_t* data,
                               size_t size) {
  const BlockPrefix prefix = ReadBlockPrefix(bits);
  if (prefix.final) return false;
  switch (prefix.type) {
    case BlockType::kStored:
      return CopyStored(bits, data, size);
    case BlockType::kFixed:
      return DecodeSymbols(bits, data, size, tables_->fixed);
    case BlockType::kDynamic: {
      CodeLengths lengths;
      return ReadCodeLengths(bits, &lengths) &&
             BuildLitLenTable(lengths.of, lengths.litlen_count,
                              &tables_->dynamic) &&
             BuildDistanceTable(lengths.of + lengths.litlen_count,
                                lengths.distance_count, &tables_->dynamic) &&
             DecodeSymbols(bits, data, size, tables_->dynamic);
    }
    case BlockType::kReserved:
      break;
  }
  return false;
}

bool MarkedBlocks::CopyStored(BitReader* bits, const uint8_t* data,
                              size_t size) {
  uint32_t length = 0;
  if (!ReadStoredLength(bits, &length)) return false;
  const size_t at = static_cast<size_t>(bits->position() / 8);
  if (length > size - at || produced_ + length > kMaxOutput) return false;
  Marked* const out = memory_.get() + kWindowSize + produced_;
  for (uint32_t i = 0; i < length; i++) out[i] = data[at + i];
  produced_ += length;
  bits->Seek(uint64_t{at + length} * 8);
  return true;
}

// The loop stops at the margins: a block that ends behind them is not whole.
bool MarkedBlocks::DecodeSymbols(BitReader* bits, const uint8_t* data,
                                 size_t size, const HuffmanTables& tables) {
  const uint64_t position = bits->position();
  const size_t at = static_cast<size_t>(position / 8);
  if (bits->overrun() || size - at < kFastInputMargin + 1 ||
      produced_ > kMaxOutput) {
    return false;
  }
  Marked* const first = memory_.get() + kWindowSize;
  const unsigned used = position & 7;
  MarkedLoopState state = {data + at, first + produced_, 0, 0};
  if (used > 0) {
    state.hold = data[at] >> used;
    state.bits = 8 - used;
    state.in++;
  }
  const FastLoopExit exit = ChooseMarkedLoop()(
      &state, data + size, first + kMaxOutput + kMarkedOutputMargin, tables);
  produced_ = static_cast<size_t>(state.out - first);
  if (exit != FastLoopExit::kEndOfBlock) return false;
  bits->Seek(static_cast<uint64_t>(state.in - data) * 8 - state.bits);
  return true;
}

}  // namespace soci
