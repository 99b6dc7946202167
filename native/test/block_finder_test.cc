// Every dynamic block that is not the last is found where it begins, and every
// stored one that such a block follows; among bytes that are no blocks next to
// nothing is.
#include "../core/block_finder.h"

#include <memory>

#include "bit_writer.h"
#include "block_starts.h"

namespace soci::test {
namespace {

const std::atomic<bool> kGoOn{false};

// Exactly as large as it says, for sanitizers to watch.
bool Find(const uint8_t* data, size_t size, uint64_t from, BlockStart* start) {
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[size]);
  std::copy(data, data + size, exact.get());
  return BlockFinder(exact.get(), size, &kGoOn).Find(from, start);
}

bool Contains(const BlockStart& start, uint64_t bit) {
  return start.first <= bit && bit <= start.last;
}

// The longest header there is, and then some.
constexpr uint64_t kHeaderBits = 8 * 700;

// From its own position, and from the one behind that of the block before.
void TestFindsBlocks(const Bytes& layer, size_t* found_stored) {
  Bytes output;
  const std::vector<BlockAt> blocks = BlockStarts(layer, &output);
  for (size_t i = 0; i + 1 < blocks.size(); i++) {
    const BlockAt& block = blocks[i];
    const BlockAt& next = blocks[i + 1];
    const bool stored = block.prefix.type == BlockType::kStored &&
                        next.prefix.type == BlockType::kDynamic;
    if (block.prefix.final || next.prefix.final ||
        next.bit + kHeaderBits > layer.size() * 8 ||
        !(stored || block.prefix.type == BlockType::kDynamic)) {
      continue;
    }
    BlockStart start = {};
    CHECK(Find(layer.data(), layer.size(), block.bit, &start));
    CHECK(Contains(start, block.bit));
    if (stored) (*found_stored)++;
    const size_t byte = static_cast<size_t>(block.bit / 8);
    const size_t size = std::min<size_t>(layer.size() - byte, size_t{1} << 17);
    CHECK(Find(&layer[byte], size, block.bit % 8, &start));
    CHECK(Contains(start, block.bit % 8));
    if (i == 0 || blocks[i - 1].prefix.type == BlockType::kStored) continue;
    CHECK(Find(layer.data(), layer.size(), blocks[i - 1].bit + 1, &start));
    CHECK(Contains(start, block.bit));
  }
}

void TestFindsBlocksOfAllWriters() {
  size_t stored = 0;
  for (const int level : {1, 2, 4, 6, 9}) {
    for (const size_t flush_every : {0u, 3000u, 70000u}) {
      GzipShape shape;
      shape.level = level;
      shape.flush_every = flush_every;
      TestFindsBlocks(Gzip(SampleData(400000, 7), shape), &stored);
      shape.strategy = Z_HUFFMAN_ONLY;
      TestFindsBlocks(Gzip(SampleData(200000, 8), shape), &stored);
    }
  }
  CHECK(stored > 50);
}

// Blocks of one distance code, or of none, have incomplete codes.
void TestFindsBlocksOfFewDistances() {
  size_t stored = 0;
  GzipShape shape;
  shape.strategy = Z_RLE;
  shape.flush_every = 5000;
  Bytes runs;
  Random random(5);
  while (runs.size() < 100000) {
    runs.insert(runs.end(), 1 + random.Below(20),
                static_cast<uint8_t>(random.Below(90)));
  }
  TestFindsBlocks(Gzip(runs, shape), &stored);
}

void TestNoiseHasNoBlocks() {
  Random random(3);
  Bytes noise(size_t{4} << 20);
  for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random.Next());
  size_t found = 0;
  BlockStart start = {};
  BlockFinder finder(noise.data(), noise.size(), &kGoOn);
  for (uint64_t from = 0; finder.Find(from, &start); from = start.last + 1) {
    CHECK(start.first >= from);
    found++;
  }
  CHECK(found < 3);
  for (const int byte : {0x00, 0xff, 0x04, 0xaa}) {
    const Bytes same(100000, static_cast<uint8_t>(byte));
    CHECK(!BlockFinder(same.data(), same.size(), &kGoOn).Find(0, &start));
  }
}

// How many headers are read is bounded by the size of the data, whoever made
// it: behind too many that only look like some, nothing is found.
void TestGivesUp() {
  const Bytes layer = Gzip(SampleData(100000, 9));
  for (const size_t count : {20u, 20000u}) {
    BitWriter writer;
    for (size_t i = 0; i < count; i++) {
      // The least counts, and a complete precode for repeats and zeros; what
      // follows repeats the length in front of the first.
      writer.Header(false, 2).Bits(0, 5).Bits(0, 5).Bits(0, 4);
      writer.Bits(1, 3).Bits(2, 3).Bits(3, 3).Bits(3, 3);
    }
    Bytes data = writer.Align().Take();
    const uint64_t behind = data.size() * 8;
    Append(&data, layer);
    BlockStart start = {};
    const bool found = Find(data.data(), data.size(), 0, &start);
    CHECK_EQ(found, count == 20);
    CHECK(!found || start.first > behind);
  }
}

void TestReadsNothingElse() {
  const Bytes layer = Gzip(SampleData(100000, 9));
  BlockStart start = {};
  for (size_t size = 0; size < 200; size++) {
    for (const uint64_t from : {uint64_t{0}, uint64_t{size} * 4}) {
      if (Find(layer.data() + 100, size, from, &start)) {
        CHECK(start.last < size * 8);
      }
    }
  }
}

void TestStops() {
  const std::atomic<bool> stop{true};
  const Bytes zeros(size_t{1} << 20);
  BlockStart start = {};
  CHECK(!BlockFinder(zeros.data(), zeros.size(), &stop).Find(0, &start));
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  TestFindsBlocksOfAllWriters();
  TestFindsBlocksOfFewDistances();
  TestNoiseHasNoBlocks();
  TestGivesUp();
  TestReadsNothingElse();
  TestStops();
  return Report("block_finder");
}
