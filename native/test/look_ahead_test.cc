// An indexer that others decode ahead for finds what one alone finds: output,
// checkpoints, and the same fault at the same place. With guesses made in turn
// with the decoding in order, so that all of them are ready; and by threads.
#include "../core/look_ahead.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "../core/gzip_indexer.h"
#include "collector.h"
#include "gzip_data.h"

namespace soci::test {
namespace {

// It has nothing to say of one thread, and multiplies the time of all.
#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

struct Indexed {
  Collector sink;
  GzipIndexer indexer;
  Status status;
};

// Counts what is taken over.
class Counter final : public BlocksAhead {
 public:
  explicit Counter(LookAhead* ahead) : ahead_(ahead) {}
  const MarkedBlocks* At(uint64_t position, uint64_t* origin) override {
    const MarkedBlocks* const blocks = ahead_->At(position, origin);
    if (blocks != nullptr) taken += blocks->end(blocks->count() - 1).out;
    return blocks;
  }
  uint64_t taken = 0;

 private:
  LookAhead* ahead_;
};

GzipIndexer::Options OptionsFor(uint64_t span_size) {
  GzipIndexer::Options options;
  options.span_size = span_size;
  options.max_checkpoints = 1 << 20;
  options.diff_id = true;
  return options;
}

void FeedChunk(const Bytes& chunk, uint64_t max_out, Indexed* indexed) {
  for (size_t at = 0; indexed->status.ok() && at < chunk.size();) {
    size_t consumed = 0;
    SpanCuts cuts;
    indexed->status = indexed->indexer.Feed(&chunk[at], chunk.size() - at,
                                            max_out, nullptr, &consumed, &cuts);
    at += consumed;
  }
}

void IndexAlone(const Bytes& layer, GzipIndexer::Options options,
                Indexed* indexed) {
  indexed->status = indexed->indexer.Init(options, &indexed->sink);
  FeedChunk(layer, UINT64_MAX, indexed);
  if (indexed->status.ok()) indexed->status = indexed->indexer.Finish();
}

struct Shape {
  size_t threads = 2;
  size_t chunk = 20000;
  uint64_t max_out = 100000;
  bool real_threads = false;
};

std::vector<Bytes> Chunks(const Bytes& layer, size_t size) {
  std::vector<Bytes> chunks;
  for (size_t at = 0; at < layer.size(); at += size) {
    const size_t end = std::min(layer.size(), at + size);
    chunks.emplace_back(layer.begin() + static_cast<long>(at),
                        layer.begin() + static_cast<long>(end));
  }
  return chunks;
}

// Returns how much was taken over.
uint64_t IndexAhead(const Bytes& layer, GzipIndexer::Options options,
                    const Shape& shape, Indexed* indexed) {
  LookAhead ahead(shape.threads, 100);
  Counter counter(&ahead);
  options.ahead = &counter;
  indexed->status = indexed->indexer.Init(options, &indexed->sink);
  std::vector<Bytes> chunks = Chunks(layer, shape.chunk);
  std::atomic<bool> over{false};
  std::vector<std::thread> guessers;
  for (size_t i = 1; shape.real_threads && i < shape.threads; i++) {
    guessers.emplace_back([&] {
      while (!over) {
        if (ahead.Wanted()) {
          ahead.Guess();
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  size_t added = 0;
  for (size_t number = 0; number < chunks.size(); number++) {
    for (; added < std::min(chunks.size(), number + LookAhead::kMaxChunks);
         added++) {
      ahead.Add(chunks[added].data(), chunks[added].size());
    }
    if (!shape.real_threads) {
      while (ahead.Wanted()) ahead.Guess();
    }
    ahead.Enter(number, indexed->indexer.total_in());
    FeedChunk(chunks[number], shape.max_out, indexed);
    if (!indexed->status.ok()) break;
    ahead.Leave();
    // Nothing may read it any more.
    chunks[number].clear();
    chunks[number].shrink_to_fit();
  }
  ahead.Stop();
  over = true;
  for (std::thread& guesser : guessers) guesser.join();
  if (indexed->status.ok()) indexed->status = indexed->indexer.Finish();
  return counter.taken;
}

void CheckSame(const Indexed& a, const Indexed& b) {
  CHECK_EQ(static_cast<int>(a.status.code), static_cast<int>(b.status.code));
  CHECK_EQ(a.status.offset, b.status.offset);
  CHECK_EQ(a.indexer.total_in(), b.indexer.total_in());
  CHECK_EQ(a.indexer.total_out(), b.indexer.total_out());
  CHECK(a.sink.bytes == b.sink.bytes);
  const CheckpointList& points = a.indexer.checkpoints();
  const CheckpointList& others = b.indexer.checkpoints();
  if (!CHECK_EQ(points.size(), others.size())) return;
  for (size_t i = 0; i < points.size(); i++) {
    const Checkpoint p = points[i];
    const Checkpoint q = others[i];
    CHECK(p.in == q.in && p.out == q.out && p.bits == q.bits);
    CHECK(std::equal(p.window, p.window + kWindowSize, q.window));
  }
  if (!a.status.ok()) return;
  CHECK(std::equal(a.indexer.output_digest(),
                   a.indexer.output_digest() + Sha256::kDigestSize,
                   b.indexer.output_digest()));
}

uint64_t Compare(const Bytes& layer, const Shape& shape) {
  const GzipIndexer::Options options = OptionsFor(50000);
  Indexed alone;
  IndexAlone(layer, options, &alone);
  Indexed ahead;
  const uint64_t taken = IndexAhead(layer, options, shape, &ahead);
  CheckSame(alone, ahead);
  return taken;
}

void TestWriters(bool real_threads) {
  const Bytes data = SampleData(kThreadSanitizer ? 800000 : 3000000, 3);
  for (const int level : {1, 6, 9}) {
    for (const size_t flush_every : {0u, 2000u}) {
      GzipShape gzip;
      gzip.level = level;
      gzip.flush_every = flush_every;
      const Bytes layer = Gzip(data, gzip);
      for (size_t threads = 2; threads <= LookAhead::kMaxThreads; threads++) {
        Shape shape;
        shape.threads = threads;
        shape.chunk = 100000;
        shape.real_threads = real_threads;
        const uint64_t taken = Compare(layer, shape);
        if (!real_threads) CHECK(taken > 800000);
      }
    }
  }
}

void TestChunksAndLimits() {
  const Bytes layer = Gzip(SampleData(1000000, 12));
  Random random(4);
  uint64_t taken = 0;
  for (int round = 0; round < 60; round++) {
    Shape shape;
    shape.threads = 2 + random.Below(3);
    shape.chunk = 1000 + random.Below(layer.size() / 2);
    shape.max_out = 1 + random.Below(round % 2 == 0 ? 2000 : 300000);
    taken += Compare(layer, shape);
  }
  CHECK(taken > 3000000);
}

// Members may be smaller than a window, which no distance may reach out of.
void TestMembers() {
  Bytes layer;
  Random random(9);
  for (size_t i = 0; i < 60; i++) {
    const size_t size = random.Below(i % 3 == 0 ? 3000 : 200000);
    Append(&layer, Gzip(SampleData(size, i)));
  }
  uint64_t taken = 0;
  for (const size_t chunk : {5000u, 30000u, 90000u}) {
    Shape shape;
    shape.chunk = chunk;
    taken += Compare(layer, shape);
  }
  CHECK(taken > 200000);
}

// What is hardly compressed is soon left alone; the result is the same.
void TestStored() {
  GzipShape stored;
  stored.level = 0;
  Shape shape;
  shape.chunk = 200000;
  Compare(Gzip(SampleData(2000000, 5), stored), shape);
}

void TestDamage(bool real_threads) {
  const Bytes sound = Gzip(SampleData(600000, 6));
  Random random(14);
  const int rounds = kThreadSanitizer ? 20 : real_threads ? 60 : 300;
  for (int round = 0; round < rounds; round++) {
    Bytes layer = sound;
    if (round % 4 == 0) {
      layer.resize(1 + random.Below(layer.size()));
    } else {
      for (int flips = 0; flips < round % 4; flips++) {
        layer[random.Below(layer.size())] ^=
            static_cast<uint8_t>(1u << random.Below(8));
      }
    }
    Shape shape;
    shape.threads = 2 + random.Below(3);
    shape.chunk = 1000 + random.Below(60000);
    shape.max_out = 1 + random.Below(100000);
    shape.real_threads = real_threads;
    Compare(layer, shape);
  }
}

// Positions that are given instead of the rule, as for verifying; one of which
// is no block start.
void TestExpected() {
  const Bytes layer = Gzip(SampleData(600000, 6));
  Indexed found;
  IndexAlone(layer, OptionsFor(50000), &found);
  std::vector<CheckpointPosition> expected;
  for (size_t i = 0; i < found.indexer.checkpoints().size(); i++) {
    expected.push_back(found.indexer.checkpoints()[i]);
  }
  for (size_t wrong = 0; wrong <= expected.size(); wrong++) {
    std::vector<CheckpointPosition> positions = expected;
    if (wrong < positions.size()) positions[wrong].out++;
    GzipIndexer::Options options = OptionsFor(50000);
    options.expected = positions.data();
    options.expected_count = positions.size();
    Indexed alone;
    IndexAlone(layer, options, &alone);
    Indexed ahead;
    IndexAhead(layer, options, Shape(), &ahead);
    CheckSame(alone, ahead);
  }
}

// A stream whose blocks are longer than its chunks has every guess fail, and
// few are made.
void TestBecomesRare() {
  Random random(1);
  Bytes noise(size_t{1} << 20);
  for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random.Next());
  LookAhead ahead(2, 100);
  size_t guesses = 0;
  const size_t chunk = 2000;
  for (size_t number = 0; number < 500; number++) {
    ahead.Add(&noise[number * chunk], chunk);
    if (number == 0) continue;
    while (ahead.Wanted()) {
      ahead.Guess();
      guesses++;
    }
    ahead.Enter(number - 1, (number - 1) * chunk);
    ahead.Leave();
  }
  CHECK(guesses > 4);
  CHECK(guesses < 20);
}

// What has come when there is nothing else to be decoded is not guessed at.
void TestSlowInput() {
  const Bytes layer = Gzip(SampleData(1500000, 6));
  const size_t chunk = 30000;
  LookAhead ahead(2, 100);
  for (size_t number = 0; number < 10; number++) {
    ahead.Add(&layer[number * chunk], chunk);
    CHECK(!ahead.Wanted());
    ahead.Enter(number, number * chunk);
    CHECK(!ahead.Wanted());
    ahead.Leave();
  }
  ahead.Add(&layer[10 * chunk], chunk);
  ahead.Enter(10, 10 * chunk);
  ahead.Add(&layer[11 * chunk], chunk);
  CHECK(ahead.Wanted());
}

void TestNothingAfterStop() {
  const Bytes layer = Gzip(SampleData(600000, 6));
  LookAhead ahead(2, 100);
  ahead.Add(layer.data(), 30000);
  ahead.Add(layer.data() + 30000, 30000);
  CHECK(ahead.Wanted());
  ahead.Stop();
  CHECK(!ahead.Wanted());
  ahead.Guess();
  uint64_t origin = 0;
  ahead.Enter(0, 0);
  ahead.Enter(1, 30000);
  CHECK(ahead.At(30000 * 8, &origin) == nullptr);
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  TestWriters(true);
  TestDamage(true);
  if (kThreadSanitizer) return Report("look_ahead");
  TestWriters(false);
  TestDamage(false);
  TestChunksAndLimits();
  TestMembers();
  TestStored();
  TestExpected();
  TestBecomesRare();
  TestSlowInput();
  TestNothingAfterStop();
  return Report("look_ahead");
}
