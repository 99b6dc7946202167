// Any bytes as the rest of a gzip layer, behind a block that is long enough for
// window: whatever chunks it is cut into, each decoded from a guessed block
// start, output, checkpoints and fault are those of one decoder, and of zlib.
#include <vector>

#include "../core/gzip_indexer.h"
#include "../core/marked_blocks.h"
#include "../test/collector.h"
#include "fuzz_input.h"

namespace {

using namespace soci;
using Bytes = std::vector<uint8_t>;

constexpr size_t kMaxOutput = 1 << 18;  // an input that yields more is skipped

struct Indexed {
  test::Collector sink{kMaxOutput};
  GzipIndexer indexer;
  Status status;
};

// A gzip header and a stored block of a window's size.
Bytes Front() {
  Bytes front = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 0};
  front.insert(front.end(), {0x00, 0x80, 0xff, 0x7f});
  for (size_t i = 0; i < kWindowSize; i++) {
    front.push_back(static_cast<uint8_t>(i * 7 + (i >> 8)));
  }
  return front;
}

// Every chunk is decoded ahead, if there is a block to begin with. One piece
// of memory serves all executions: there is a lot of it.
class Ahead final : public BlocksAhead {
 public:
  void Enter(const Bytes& chunk, uint64_t origin) {
    static const std::atomic<bool> go_on{false};
    origin_ = origin;
    found_ = blocks_.Decode(chunk.data(), chunk.size(), &go_on);
  }
  const MarkedBlocks* At(uint64_t position, uint64_t* origin) override {
    const uint64_t here = position - origin_ * 8;
    if (!found_ || here < blocks_.start().first ||
        here > blocks_.start().last) {
      return nullptr;
    }
    *origin = origin_;
    return &blocks_;
  }

 private:
  static MarkedBlocks blocks_;
  uint64_t origin_ = 0;
  bool found_ = false;
};
MarkedBlocks Ahead::blocks_;

void FeedChunk(const Bytes& chunk, uint64_t max_out, Indexed* indexed) {
  for (size_t at = 0; indexed->status.ok() && at < chunk.size();) {
    size_t consumed = 0;
    SpanCuts cuts;
    indexed->status =
        indexed->indexer.Feed(chunk.data() + at, chunk.size() - at, max_out,
                              nullptr, &consumed, &cuts);
    at += consumed;
  }
}

void RequireSame(const Indexed& a, const Indexed& b) {
  const bool limited =
      a.status.code == Code::kLimit || b.status.code == Code::kLimit;
  if (limited) return;
  fuzz::Require(a.status.code == b.status.code);
  fuzz::Require(a.status.offset == b.status.offset);
  fuzz::Require(a.indexer.total_in() == b.indexer.total_in());
  fuzz::Require(a.sink.bytes == b.sink.bytes);
  const CheckpointList& points = a.indexer.checkpoints();
  fuzz::Require(points.size() == b.indexer.checkpoints().size());
  for (size_t i = 0; i < points.size(); i++) {
    const Checkpoint p = points[i];
    const Checkpoint q = b.indexer.checkpoints()[i];
    fuzz::Require(p.in == q.in && p.out == q.out && p.bits == q.bits);
    fuzz::Require(std::equal(p.window, p.window + kWindowSize, q.window));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
  static const Bytes front = Front();
  fuzz::Input input(data, len);
  const uint64_t max_out = 1 + uint64_t{input.Byte()} * 256;
  GzipIndexer::Options options;
  // Few windows, which are what takes time here.
  options.span_size = 20000 + size_t{input.Byte()} * 1000;
  options.max_checkpoints = 1000;
  // Larger chunks than other targets have: the header of a block is long.
  size_t sizes[3];
  for (size_t& size : sizes) size = 256 * (size_t{input.Byte()} + 1);

  // Each exactly as large as it may be, for the sanitizer to watch.
  std::vector<Bytes> chunks = {front};
  for (size_t at = 0; at < input.size();) {
    const size_t chunk = std::min(input.size() - at, sizes[chunks.size() % 3]);
    chunks.emplace_back(input.data() + at, input.data() + at + chunk);
    at += chunk;
  }

  Indexed alone[2];
  for (const Engine engine : {Engine::kZlib, Engine::kFast}) {
    Indexed& one = alone[engine == Engine::kFast];
    options.engine = engine;
    one.status = one.indexer.Init(options, &one.sink);
    for (const Bytes& chunk : chunks) FeedChunk(chunk, UINT64_MAX, &one);
    if (one.status.ok()) one.status = one.indexer.Finish();
  }
  // How much the engines give of what is broken, each decides for itself.
  fuzz::Require(alone[0].status.code == alone[1].status.code);
  if (alone[0].status.ok()) RequireSame(alone[0], alone[1]);

  Ahead ahead;
  options.ahead = &ahead;
  Indexed together;
  together.status = together.indexer.Init(options, &together.sink);
  for (const Bytes& chunk : chunks) {
    if (!together.status.ok()) break;
    ahead.Enter(chunk, together.indexer.total_in());
    FeedChunk(chunk, max_out, &together);
  }
  if (together.status.ok()) together.status = together.indexer.Finish();
  RequireSame(alone[1], together);
  return 0;
}
