// The tar is read as it was appended, from wherever it is held; blocks that
// somebody writes from stay; what is released is used again.
#include "../core/tree/tar_blocks.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"

namespace soci::test {
namespace {

constexpr size_t kBlock = TarBlocks::kBlockSize;

uint8_t ByteAt(uint64_t offset) {
  return static_cast<uint8_t>(offset * 31 + (offset >> 12));
}

Bytes Patterned(uint64_t offset, size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; i++) bytes[i] = ByteAt(offset + i);
  return bytes;
}

Status AppendAt(TarBlocks* blocks, uint64_t offset, size_t size) {
  const Bytes bytes = Patterned(offset, size);
  return blocks->Append(offset, bytes.data(), size);
}

bool Holds(TarBlocks* blocks, uint64_t offset, size_t size) {
  Bytes bytes(size);
  return blocks->Copy(offset, size, bytes.data()) &&
         bytes == Patterned(offset, size);
}

void ReadsWhatWasAppended() {
  TarBlocks blocks;
  CHECK(AppendAt(&blocks, 1000, 700).ok());
  CHECK(AppendAt(&blocks, 1700, 2 * kBlock).ok());
  CHECK_EQ(blocks.held(), 2 * kBlock + 700);
  CHECK(Holds(&blocks, 1000, 2 * kBlock + 700));
  CHECK(Holds(&blocks, 1000 + kBlock - 3, 7));
  CHECK(Holds(&blocks, 1000 + 2 * kBlock + 700, 0));
  CHECK(!Holds(&blocks, 999, 1));
  CHECK(!Holds(&blocks, 1000 + 2 * kBlock, 701));
  CHECK(!Holds(&blocks, UINT64_MAX, 1));
}

void RefusesGaps() {
  TarBlocks blocks;
  CHECK(AppendAt(&blocks, 10, 10).ok());
  for (const uint64_t offset : {uint64_t{0}, uint64_t{10}, uint64_t{21}}) {
    const Status status = AppendAt(&blocks, offset, 1);
    CHECK(status.code == Code::kMisuse && status.offset == 20);
  }
  const Bytes next = Patterned(20, 5);
  CHECK(blocks.Write(next.data(), next.size()).ok());
  CHECK(Holds(&blocks, 10, 15));
}

void ReleasesAndUsesAgain() {
  TarBlocks blocks;
  uint64_t end = 0;
  for (int i = 0; i < 50; i++) {
    CHECK(AppendAt(&blocks, end, kBlock / 2 + 77).ok());
    end += kBlock / 2 + 77;
    blocks.Release(end - 1000);
    CHECK_EQ(blocks.held(), 1000u);
    CHECK(Holds(&blocks, end - 1000, 1000));
    CHECK(!Holds(&blocks, end - 1001, 1));
  }
  CHECK(blocks.memory() < 4 * kBlock);
  blocks.Release(0);
  CHECK_EQ(blocks.held(), 1000u);
  blocks.Release(UINT64_MAX);
  CHECK_EQ(blocks.held(), 0u);
  CHECK(AppendAt(&blocks, end, 3).ok());
  CHECK(Holds(&blocks, end, 3));
}

void KeepsWhatIsPinned() {
  TarBlocks blocks;
  CHECK(AppendAt(&blocks, 0, 2 * kBlock).ok());
  TarBlocks::Piece pieces[3];
  CHECK_EQ(blocks.Pin(kBlock - 2, 4, pieces, 3), 2u);
  CHECK(pieces[0].size == 2 && pieces[1].size == 2);
  blocks.Release(2 * kBlock);
  // These get other memory.
  CHECK(AppendAt(&blocks, 2 * kBlock, 2 * kBlock).ok());
  CHECK(pieces[0].data[1] == ByteAt(kBlock - 1));
  CHECK(pieces[1].data[1] == ByteAt(kBlock + 1));
  blocks.Unpin(pieces, 2);
  CHECK_EQ(blocks.Pin(2 * kBlock, 2 * kBlock, pieces, 1), 1u);
  CHECK_EQ(pieces[0].size, kBlock);
  blocks.Close();
  CHECK_EQ(pieces[0].data[5], ByteAt(2 * kBlock + 5));
  blocks.Unpin(pieces, 1);
  CHECK_EQ(blocks.memory(), 0u);
}

void TakesNothingOnceClosed() {
  TarBlocks blocks;
  CHECK(AppendAt(&blocks, 0, 10).ok());
  blocks.Close();
  CHECK(AppendAt(&blocks, 10, 10).code == Code::kAborted);
  CHECK(!Holds(&blocks, 0, 1));
  CHECK_EQ(blocks.held(), 0u);
}

void IsBounded() {
  TarBlocks blocks;
  const Bytes block(kBlock);
  Status status;
  size_t count = 0;
  for (; status.ok() && count < 2 * TarBlocks::kMaxBlocks; count++) {
    status = blocks.Write(block.data(), block.size());
  }
  CHECK(status.code == Code::kNoMemory);
  CHECK_EQ(count, TarBlocks::kMaxBlocks + 1);
  blocks.Release(kBlock);
  CHECK(blocks.Write(block.data(), block.size()).ok());
}

// One thread appends, others read what is there, one releases what all of them
// have read.
void IsSharedByThreads() {
  constexpr size_t kReaders = 3;
  constexpr uint64_t kTotal = 24 * kBlock + 12345;
  TarBlocks blocks;
  std::atomic<uint64_t> appended{0};
  std::atomic<uint64_t> read[kReaders] = {};
  std::atomic<bool> sound{true};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    const size_t step = 1000003;
    for (uint64_t at = 0; at < kTotal;) {
      uint64_t least = UINT64_MAX;
      for (const auto& place : read) least = std::min(least, place.load());
      blocks.Release(least);
      if (blocks.held() > 4 * kBlock) {
        std::this_thread::yield();
        continue;
      }
      const size_t size =
          static_cast<size_t>(std::min<uint64_t>(step, kTotal - at));
      if (!AppendAt(&blocks, at, size).ok()) sound = false;
      at += size;
      appended.store(at);
    }
  });
  for (size_t i = 0; i < kReaders; i++) {
    threads.emplace_back([&, i] {
      Random random(i);
      for (uint64_t at = 0; at < kTotal;) {
        const uint64_t left = appended.load() - at;
        if (left == 0) {
          std::this_thread::yield();
          continue;
        }
        const size_t size = static_cast<size_t>(
            std::min<uint64_t>(left, 1 + random.Below(2 * kBlock)));
        if (!Holds(&blocks, at, size)) sound = false;
        at += size;
        read[i].store(at);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(sound);
  CHECK(blocks.memory() < 16 * kBlock);
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  ReadsWhatWasAppended();
  RefusesGaps();
  ReleasesAndUsesAgain();
  KeepsWhatIsPinned();
  TakesNothingOnceClosed();
  IsBounded();
  IsSharedByThreads();
  return Report("tar_blocks_test");
}
