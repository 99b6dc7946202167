// What is decoded without knowing the window is, once markers are replaced,
// what zlib decodes from the same place; block by block, from any place of a
// layer.
#include "../core/marked_blocks.h"

#include <memory>

#include "bit_writer.h"
#include "block_starts.h"

namespace soci::test {
namespace {

const std::atomic<bool> kGoOn{false};

void TestTable() {
  Random random(2);
  Bytes window(kWindowSize);
  for (uint8_t& byte : window) byte = static_cast<uint8_t>(random.Next());
  MarkerTable table;
  table.Load(window.data());
  for (const unsigned markers : {0u, 1u, 10u, 100u}) {
    for (size_t count = 0; count < 100; count++) {
      std::vector<Marked> in(count);
      Bytes expected(count);
      for (size_t i = 0; i < count; i++) {
        if (random.Below(100) < markers) {
          const size_t at = random.Below(kWindowSize);
          in[i] = static_cast<Marked>(kFirstMarker + at);
          expected[i] = window[at];
        } else {
          expected[i] = static_cast<uint8_t>(random.Next());
          in[i] = expected[i];
        }
      }
      Bytes out(count);
      table.Replace(in.data(), count, out.data());
      CHECK(out == expected);
    }
  }
}

// Returns how many bytes of output were compared.
size_t Compare(const Bytes& layer, const std::vector<BlockAt>& blocks,
               const Bytes& output, size_t from, size_t size,
               MarkedBlocks* marked) {
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[size]);
  std::copy(&layer[from], &layer[from] + size, exact.get());
  if (!marked->Decode(exact.get(), size, &kGoOn)) return 0;
  CHECK(marked->count() > 0);
  const uint64_t first = from * 8 + marked->start().first;
  const uint64_t last = from * 8 + marked->start().last;
  size_t i = 0;
  while (i < blocks.size() && blocks[i].bit < first) i++;
  // A false start, which happens.
  if (i == blocks.size() || blocks[i].bit > last) return 0;
  const uint64_t out = blocks[i].out;
  if (out < kWindowSize) return 0;
  const MarkedBlocks::End end = marked->end(marked->count() - 1);
  CHECK(end.in <= size * 8);
  Bytes replaced(end.out);
  MarkerTable table;
  table.Load(&output[out - kWindowSize]);
  table.Replace(marked->output(), end.out, replaced.data());
  CHECK(std::equal(replaced.begin(), replaced.end(), &output[out]));
  for (size_t block = 0; block < marked->count(); block++, i++) {
    CHECK(!blocks[i].prefix.final);
    CHECK_EQ(blocks[i + 1].bit, from * 8 + marked->end(block).in);
    CHECK_EQ(blocks[i + 1].out, out + marked->end(block).out);
  }
  return replaced.size();
}

void TestSameAsZlib() {
  MarkedBlocks marked;
  size_t compared = 0;
  for (const int level : {0, 1, 6, 9}) {
    for (const size_t flush_every : {0u, 3000u}) {
      for (const int strategy : {Z_DEFAULT_STRATEGY, Z_FIXED, Z_RLE}) {
        GzipShape shape;
        shape.level = level;
        shape.flush_every = flush_every;
        shape.strategy = strategy;
        const Bytes layer = Gzip(SampleData(500000, 4), shape);
        Bytes output;
        const std::vector<BlockAt> blocks = BlockStarts(layer, &output);
        Random random(6);
        for (int round = 0; round < 30; round++) {
          const size_t from = random.Below(layer.size() - 100);
          const size_t size = 1 + random.Below(layer.size() - from);
          compared += Compare(layer, blocks, output, from, size, &marked);
        }
      }
    }
  }
  CHECK(compared > 4000000);
}

// A layer of zeros expands a thousandfold; what does not fit is left out.
void TestBounded() {
  GzipShape shape;
  shape.flush_every = size_t{1} << 20;
  const Bytes layer = Gzip(Bytes(size_t{20} << 20), shape);
  Bytes output;
  const std::vector<BlockAt> blocks = BlockStarts(layer, &output);
  MarkedBlocks marked;
  const size_t compared =
      Compare(layer, blocks, output, 2000, layer.size() - 2000, &marked);
  CHECK(compared > MarkedBlocks::kMaxOutput / 2);
  CHECK(compared <= MarkedBlocks::kMaxOutput + 1024);
}

// Headers of codes that nothing but a row of 15 ones ends a block of, `count`
// of them, each before a match of the greatest length.
Bytes EndlessBlocks(size_t count, size_t distances) {
  Bytes litlen(286);
  for (size_t i = 0; i < 13; i++) litlen[i] = static_cast<uint8_t>(i + 2);
  litlen[13] = litlen[256] = 15;
  litlen[285] = 1;
  BitWriter writer;
  for (size_t i = 0; i < count; i++) {
    writer.Dynamic(litlen, Bytes(distances, 1), false).Bits(2, 2);
  }
  return writer.Align().Take();
}

// Starts that come to nothing are passed over; but not however many there are,
// and however much is decoded from them.
void TestFalseStarts() {
  const Bytes layer = Gzip(SampleData(300000, 4));
  struct Case {
    size_t count, distances, zeros;
    bool found;
  };
  // Of one distance, the code word of another is refused at once. Of two,
  // zeros are matches without end.
  for (const Case& c : {Case{100, 1, 0, true}, Case{3000, 1, 0, false},
                        Case{1, 2, 30000, false}}) {
    Bytes data = EndlessBlocks(c.count, c.distances);
    data.resize(data.size() + c.zeros);
    const uint64_t behind = data.size() * 8;
    Append(&data, layer);
    MarkedBlocks marked;
    const bool found = marked.Decode(data.data(), data.size(), &kGoOn);
    CHECK_EQ(found, c.found);
    CHECK(!found || marked.start().first > behind);
  }
}

// Damage is met by whoever decodes in order; here it only ends the blocks.
void TestDamage() {
  const Bytes sound = Gzip(SampleData(300000, 4));
  Random random(8);
  MarkedBlocks marked;
  for (int round = 0; round < 200; round++) {
    Bytes layer = sound;
    for (int flips = 0; flips < 3; flips++) {
      layer[random.Below(layer.size())] ^=
          static_cast<uint8_t>(1u << random.Below(8));
    }
    Bytes output;
    const std::vector<BlockAt> blocks = BlockStarts(layer, &output);
    const size_t from = random.Below(layer.size() - 100);
    if (!marked.Decode(&layer[from], layer.size() - from, &kGoOn)) continue;
    const uint64_t first = from * 8 + marked.start().first;
    size_t i = 0;
    while (i < blocks.size() && blocks[i].bit != first) i++;
    if (i == blocks.size()) continue;
    // As far as the layer is sound, its blocks are zlib's.
    for (size_t block = 0; block < marked.count(); block++, i++) {
      if (i + 1 >= blocks.size()) break;
      CHECK_EQ(blocks[i + 1].bit, from * 8 + marked.end(block).in);
    }
  }
}

void TestStops() {
  const std::atomic<bool> stop{true};
  const Bytes layer = Gzip(SampleData(300000, 4));
  MarkedBlocks marked;
  CHECK(!marked.Decode(layer.data(), layer.size(), &stop));
  CHECK(marked.Decode(layer.data() + 10, layer.size() - 10, &kGoOn));
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  TestTable();
  TestSameAsZlib();
  TestBounded();
  TestFalseStarts();
  TestDamage();
  TestStops();
  return Report("marked_blocks");
}
