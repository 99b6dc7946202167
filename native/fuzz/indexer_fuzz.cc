// Any bytes as a gzip layer: every chunking and both engines give the same
// checkpoints, digests, output and fault; and where the layer is sound, the
// digests are right and every span decodes from its checkpoint to its part of
// the whole output.
#include <vector>

#include "../core/gzip_indexer.h"
#include "../core/layer_digests.h"
#include "../core/sha256.h"
#include "../core/span_decoder.h"
#include "../test/collector.h"
#include "../test/unwritten.h"
#include "fuzz_input.h"

namespace {

using namespace soci;
using Bytes = std::vector<uint8_t>;

constexpr size_t kMaxOutput = 1 << 20;  // an input that yields more is skipped

struct Indexed {
  test::Collector sink{kMaxOutput};
  GzipIndexer indexer;
  LayerDigests digests;
  Status status;
};

void Index(const uint8_t* data, size_t len, GzipIndexer::Options options,
           fuzz::Chunks chunks, uint64_t max_out, Indexed* result) {
  result->status = result->indexer.Init(options, &result->sink);
  for (size_t at = 0; result->status.ok() && at < len;) {
    const size_t chunk = chunks.Next(len - at);
    size_t consumed = 0;
    const uint64_t before = result->indexer.total_out();
    SpanCuts cuts;
    result->status = result->indexer.Feed(data + at, chunk, max_out, nullptr,
                                          &consumed, &cuts);
    fuzz::Require(result->digests.Add(data + at, consumed, cuts).ok());
    const uint64_t produced = result->indexer.total_out() - before;
    fuzz::Require(consumed <= chunk);
    fuzz::Require(!result->status.ok() || consumed > 0 || produced > 0);
    at += consumed;
  }
  if (result->status.ok()) result->status = result->indexer.Finish();
  fuzz::Require(result->digests.Finish().ok());
}

void RequireSame(const Indexed& a, const Indexed& b) {
  fuzz::Require(a.status.code == b.status.code);
  if (a.status.code == Code::kLimit) return;
  const CheckpointList& points = a.indexer.checkpoints();
  const GrowableBuffer& digests = a.digests.span_digests();
  const GrowableBuffer& other = b.digests.span_digests();
  if (!a.status.ok()) return;
  fuzz::Require(a.sink.bytes == b.sink.bytes);
  fuzz::Require(points.size() == b.indexer.checkpoints().size());
  for (size_t i = 0; i < points.size(); i++) {
    const Checkpoint p = points[i];
    const Checkpoint q = b.indexer.checkpoints()[i];
    fuzz::Require(p.in == q.in && p.out == q.out && p.bits == q.bits);
    fuzz::Require(std::equal(p.window, p.window + kWindowSize, q.window));
  }
  fuzz::Require(digests.size() == other.size() &&
                digests.size() == 32 * points.size());
  fuzz::Require(std::equal(digests.data(), digests.data() + digests.size(),
                           other.data()));
}

bool IsSum(const uint8_t* expected, const uint8_t* data, size_t len) {
  Sha256 hash(&Sha256BlocksPortable);
  hash.Update(data, len);
  uint8_t digest[Sha256::kDigestSize];
  hash.Final(digest);
  return std::equal(digest, digest + sizeof digest, expected);
}

// The digests, which are taken together while the layer streams by, against
// each message hashed by itself.
void RequireDigests(const uint8_t* layer, size_t len, const Indexed& indexed) {
  const LayerDigests& digests = indexed.digests;
  const Bytes& output = indexed.sink.bytes;
  fuzz::Require(IsSum(digests.layer_digest(), layer, len));
  fuzz::Require(
      IsSum(indexed.indexer.output_digest(), output.data(), output.size()));
  const CheckpointList& points = indexed.indexer.checkpoints();
  for (size_t i = 0; i < points.size(); i++) {
    const uint64_t from = points[i].in - (points[i].bits > 0 ? 1 : 0);
    const uint64_t to = i + 1 == points.size() ? len : points[i + 1].in;
    fuzz::Require(IsSum(digests.span_digests().data() + 32 * i, layer + from,
                        static_cast<size_t>(to - from)));
  }
}

void DecodeSpans(const uint8_t* layer, size_t len, const Indexed& indexed,
                 Engine engine) {
  const CheckpointList& points = indexed.indexer.checkpoints();
  const Bytes& expected = indexed.sink.bytes;
  for (size_t i = 0; i < points.size(); i++) {
    const Checkpoint point = points[i];
    const bool last = i + 1 == points.size();
    const uint64_t from = point.in - (point.bits > 0 ? 1 : 0);
    const uint64_t to = last ? len : points[i + 1].in;
    const uint64_t end = last ? expected.size() : points[i + 1].out;
    SpanDecoder::Options options;
    options.engine = engine;
    options.bits = point.bits;
    options.window = point.window;
    // Exactly as large as they may be, for the sanitizer to watch.
    const Bytes in(layer + from, layer + to);
    Bytes out(static_cast<size_t>(end - point.out));
    test::MarkUnwritten(out.data(), out.size());
    fuzz::Require(DecodeSpan(options, in.data(), in.size(), out.data(),
                             out.size(), nullptr)
                      .ok());
    fuzz::Require(std::equal(out.begin(), out.end(),
                             expected.begin() + static_cast<long>(point.out)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
  fuzz::Input input(data, len);
  GzipIndexer::Options options;
  options.span_size = 1 + size_t{input.Byte()} * 64;
  options.max_checkpoints = 200;
  options.diff_id = true;
  options.engine = Engine::kZlib;
  const uint64_t max_out = 1 + uint64_t{input.Byte()} * 256;
  fuzz::Chunks chunks(&input);
  fuzz::Input none(nullptr, 0);

  Indexed whole;
  Index(input.data(), input.size(), options, fuzz::Chunks(&none), UINT64_MAX,
        &whole);
  Indexed chunked;
  Index(input.data(), input.size(), options, chunks, max_out, &chunked);
  RequireSame(whole, chunked);
  options.engine = Engine::kFast;
  Indexed fast;
  Index(input.data(), input.size(), options, chunks, max_out, &fast);
  RequireSame(whole, fast);
  if (!whole.status.ok()) return 0;
  RequireDigests(input.data(), input.size(), whole);
  RequireDigests(input.data(), input.size(), chunked);
  RequireDigests(input.data(), input.size(), fast);
  DecodeSpans(input.data(), input.size(), whole, Engine::kZlib);
  DecodeSpans(input.data(), input.size(), whole, Engine::kFast);
  return 0;
}
