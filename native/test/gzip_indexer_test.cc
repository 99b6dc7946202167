// The indexer against zran's rule written down naively over zlib itself, in
// any chunking; then everything it must refuse.
#include "../core/gzip_indexer.h"

#include <algorithm>

#include "../core/layer_digests.h"
#include "../core/span_decoder.h"
#include "collector.h"
#include "gzip_data.h"

namespace soci::test {
namespace {

Engine engine = Engine::kZlib;  // every test runs with each

struct Point {
  uint64_t in;
  uint64_t out;
  uint8_t bits;
  Bytes window;
  bool operator==(const Point& o) const {
    return in == o.in && out == o.out && bits == o.bits && window == o.window;
  }
};

// zlib's examples/zran.c, with totals and window going on across members and
// only the last point at output 0 kept.
std::vector<Point> Zran(const Bytes& gzip, uint64_t span, Bytes* output) {
  std::vector<Point> points;
  z_stream stream = {};
  if (inflateInit2(&stream, 47) != Z_OK) std::abort();
  stream.next_in = const_cast<uint8_t*>(gzip.data());
  stream.avail_in = static_cast<uInt>(gzip.size());
  uint64_t last = 0;
  for (;;) {
    uint8_t piece[4096];
    stream.next_out = piece;
    stream.avail_out = sizeof piece;
    const int code = inflate(&stream, Z_BLOCK);
    output->insert(output->end(), piece, stream.next_out);
    if (code == Z_STREAM_END) {
      if (stream.avail_in == 0) break;
      inflateReset2(&stream, 47);
      continue;
    }
    if (code != Z_OK) std::abort();
    if ((stream.data_type & 128) == 0 || (stream.data_type & 64) != 0) continue;
    const uint64_t out = output->size();
    if (out != 0 && out - last <= span) continue;
    if (out == 0) points.clear();
    Point point = {gzip.size() - stream.avail_in, out,
                   static_cast<uint8_t>(stream.data_type & 7),
                   Bytes(kWindowSize)};
    const size_t have = std::min<size_t>(output->size(), kWindowSize);
    std::copy(output->end() - static_cast<ptrdiff_t>(have), output->end(),
              point.window.end() - static_cast<ptrdiff_t>(have));
    points.push_back(point);
    last = out;
  }
  inflateEnd(&stream);
  return points;
}

struct Indexed {
  Status status;
  Bytes output;
  std::vector<Point> points;
  Bytes digests;
  uint64_t consumed = 0;
};

Indexed Index(const Bytes& gzip, const GzipIndexer::Options& options,
              size_t chunk, uint64_t max_out = UINT64_MAX) {
  Collector sink;
  GzipIndexer indexer;
  LayerDigests digests;
  Indexed result;
  result.status = indexer.Init(options, &sink);
  size_t at = 0;
  bool bounded = true;   // by max_out and what one byte may still yield
  bool complete = true;  // input is left only when max_out was reached
  bool hashed = true;
  while (result.status.ok() && at < gzip.size()) {
    size_t consumed = 0;
    const uint64_t before = indexer.total_out();
    const size_t len = std::min(chunk, gzip.size() - at);
    SpanCuts cuts;
    result.status =
        indexer.Feed(gzip.data() + at, len, max_out, nullptr, &consumed, &cuts);
    hashed &= digests.Add(gzip.data() + at, consumed, cuts).ok();
    const uint64_t produced = indexer.total_out() - before;
    bounded &= produced <= max_out || produced - max_out < 2048;
    complete &= !result.status.ok() || consumed == len || produced >= max_out;
    at += consumed;
  }
  CHECK(bounded);
  CHECK(complete);
  CHECK(hashed);
  if (result.status.ok()) result.status = indexer.Finish();
  result.consumed = indexer.total_in();
  result.output = sink.bytes;
  for (size_t i = 0; i < indexer.checkpoints().size(); i++) {
    const Checkpoint point = indexer.checkpoints()[i];
    result.points.push_back({point.in, point.out, point.bits,
                             Bytes(point.window, point.window + kWindowSize)});
  }
  CHECK(digests.Finish().ok());
  const GrowableBuffer& spans = digests.span_digests();
  if (spans.size() > 0) {
    result.digests.assign(spans.data(), spans.data() + spans.size());
  }
  return result;
}

GzipIndexer::Options Rule(uint64_t span_size) {
  GzipIndexer::Options options;
  options.span_size = span_size;
  options.max_checkpoints = 100000;
  options.engine = engine;
  return options;
}

struct Layer {
  const char* name;
  Bytes gzip;
};

Bytes AllFields(const Bytes& data) {
  return Gzip(data, {6, Z_DEFAULT_STRATEGY, 0, true});
}

std::vector<Layer> MakeLayers() {
  const Bytes data = SampleData(400000, 1);
  const Bytes tail(data.begin() + 200000, data.end());
  const Bytes head(data.begin(), data.begin() + 200000);
  Bytes members = Gzip(head, {9, Z_DEFAULT_STRATEGY, 0, true});
  Append(&members, Gzip(tail));
  Bytes many;
  for (size_t at = 0; at < data.size(); at += 4000) {
    Append(&many,
           Gzip(Bytes(data.begin() + static_cast<ptrdiff_t>(at),
                      data.begin() + static_cast<ptrdiff_t>(at + 4000))));
  }
  Bytes empty;
  Append(&empty, Gzip({}));
  Append(&empty, Gzip({}));
  Append(&empty, Gzip(data, {6, Z_DEFAULT_STRATEGY, 1000, true}));
  Append(&empty, Gzip({}));
  return {
      {"plain", Gzip(data)},
      {"empty", Gzip({})},
      {"one byte", Gzip({7})},
      {"all fields", AllFields(data)},
      {"stored", Gzip(data, {0, Z_DEFAULT_STRATEGY, 0, false})},
      {"fixed codes", Gzip(data, {6, Z_FIXED, 0, false})},
      {"huffman only", Gzip(data, {6, Z_HUFFMAN_ONLY, 5000, false})},
      {"flushed", Gzip(data, {1, Z_DEFAULT_STRATEGY, 700, false})},
      {"zeros", Gzip(Bytes(3000000))},
      {"members", members},
      {"small members", many},
      {"empty members", empty},
  };
}

const std::vector<Layer>& Layers() {
  static const std::vector<Layer> layers = MakeLayers();
  return layers;
}

void TestRule() {
  for (const auto& [name, gzip] : Layers()) {
    for (const uint64_t span : {1u, 10000u, 65536u, 1000000u}) {
      Bytes output;
      const std::vector<Point> points = Zran(gzip, span, &output);
      const Indexed whole = Index(gzip, Rule(span), gzip.size());
      CHECK(whole.status.ok());
      CHECK(whole.output == output);
      CHECK(whole.points == points);
      CHECK_EQ(whole.consumed, gzip.size());
      if (failed > 0) std::fprintf(stderr, "  layer: %s\n", name);

      // Every span's digest, from its definition.
      CHECK_EQ(whole.digests.size(), points.size() * 32);
      for (size_t i = 0; i < points.size(); i++) {
        const uint64_t from = points[i].in - (points[i].bits > 0 ? 1 : 0);
        const uint64_t to =
            i + 1 < points.size() ? points[i + 1].in : gzip.size();
        Sha256 hash;
        hash.Update(gzip.data() + from, static_cast<size_t>(to - from));
        uint8_t digest[32];
        hash.Final(digest);
        CHECK(std::equal(digest, digest + 32, &whole.digests[i * 32]));
      }
    }
  }
}

void TestChunkings() {
  for (const auto& [name, gzip] : Layers()) {
    const Indexed whole = Index(gzip, Rule(30000), gzip.size());
    for (const size_t chunk : {1u, 2u, 13u, 1000u, 70000u}) {
      for (const uint64_t max_out : {uint64_t{1000}, UINT64_MAX}) {
        const Indexed chunked = Index(gzip, Rule(30000), chunk, max_out);
        CHECK(chunked.status.ok());
        CHECK(chunked.output == whole.output);
        CHECK(chunked.points == whole.points);
        CHECK(chunked.digests == whole.digests);
      }
    }
  }
}

void TestExpected() {
  for (const auto& [name, gzip] : Layers()) {
    const Indexed whole = Index(gzip, Rule(20000), gzip.size());
    std::vector<CheckpointPosition> positions;
    for (const Point& point : whole.points) {
      positions.push_back({point.in, point.out, point.bits});
    }
    GzipIndexer::Options options = Rule(20000);
    options.expected = positions.data();
    options.expected_count = positions.size();
    const Indexed again = Index(gzip, options, 3000);
    CHECK(again.status.ok());
    CHECK(again.points == whole.points);
    CHECK(again.digests == whole.digests);

    for (size_t i = 0; i < positions.size(); i += 1 + positions.size() / 5) {
      for (const int field : {0, 1, 2}) {
        std::vector<CheckpointPosition> wrong = positions;
        if (field == 0) wrong[i].in++;
        if (field == 1) wrong[i].out++;
        if (field == 2) wrong[i].bits ^= 1;
        options.expected = wrong.data();
        const Indexed refused = Index(gzip, options, 3000);
        CHECK(refused.status.code == Code::kCheckpointMiss);
        CHECK_EQ(refused.status.offset, wrong[i].in);
      }
    }
  }
}

// A version 1 blob says nothing of checkpoint 0: it is taken to be at byte 10,
// even where the header is longer.
void TestImpliedFirst() {
  const Bytes gzip = AllFields(SampleData(400000, 1));
  const Indexed whole = Index(gzip, Rule(100000), gzip.size());
  CHECK(whole.points[0].in > 10);
  std::vector<CheckpointPosition> positions = {CheckpointList::kImpliedFirst};
  for (size_t i = 1; i < whole.points.size(); i++) {
    positions.push_back(
        {whole.points[i].in, whole.points[i].out, whole.points[i].bits});
  }
  GzipIndexer::Options options = Rule(100000);
  options.expected = positions.data();
  options.expected_count = positions.size();
  options.expected_first_implied = true;
  for (const size_t chunk : {size_t{1}, size_t{10}, gzip.size()}) {
    const Indexed implied = Index(gzip, options, chunk);
    CHECK(implied.status.ok());
    CHECK_EQ(implied.points[0].in, 10u);
    CHECK(implied.points[0].window == Bytes(kWindowSize));
    CHECK_EQ(implied.points.size(), whole.points.size());
    Sha256 hash;
    hash.Update(gzip.data() + 10, positions[1].in - 10);
    uint8_t digest[32];
    hash.Final(digest);
    CHECK(std::equal(digest, digest + 32, implied.digests.begin()));
    CHECK(Bytes(implied.digests.begin() + 32, implied.digests.end()) ==
          Bytes(whole.digests.begin() + 32, whole.digests.end()));
  }
}

void ExpectRefused(const Bytes& gzip, Code code, uint64_t offset) {
  for (const size_t chunk : {size_t{1}, size_t{1000}, gzip.size() + 1}) {
    const Indexed result = Index(gzip, Rule(65536), chunk);
    CHECK(result.status.code == code);
    CHECK_EQ(result.status.offset, offset);
  }
}

void TestRefusals() {
  const Bytes data = SampleData(30000, 3);
  const Bytes good = Gzip(data);
  const size_t size = good.size();

  for (size_t cut = 0; cut < size; cut += cut < 40 ? 1 : 1 + size / 50) {
    ExpectRefused(Bytes(good.begin(), good.begin() + static_cast<long>(cut)),
                  Code::kTruncated, cut);
  }
  for (size_t cut = size - 9; cut < size; cut++) {
    ExpectRefused(Bytes(good.begin(), good.begin() + static_cast<long>(cut)),
                  Code::kTruncated, cut);
  }
  for (const uint8_t junk : Bytes{0, 'x', 0x1e}) {
    Bytes trailing = good;
    trailing.insert(trailing.end(), 100, junk);
    ExpectRefused(trailing, Code::kTrailingData, size);
  }
  Bytes half_magic = good;
  Append(&half_magic, {0x1f, 0x8b, 0});
  ExpectRefused(half_magic, Code::kTrailingData, size);
  Bytes half_header = good;
  for (size_t length = 1; length < 10; length++) {
    half_header.push_back(good[length - 1]);
    ExpectRefused(half_header, Code::kTrailingData, size);
  }

  Bytes bad_crc = good;
  bad_crc[size - 8] ^= 1;
  ExpectRefused(bad_crc, Code::kGzipChecksum, size - 8);
  Bytes bad_size = good;
  bad_size[size - 1] ^= 1;
  ExpectRefused(bad_size, Code::kGzipChecksum, size - 4);

  Bytes bad_block = good;
  bad_block[10] = 0xff;  // a final block of the reserved type
  const Indexed result = Index(bad_block, Rule(1), 7);
  CHECK(result.status.code == Code::kDeflateData);

  // A distance that reaches back into the member before.
  Bytes reaches_back = Gzip(Bytes(1000, 'a'));
  const size_t first = reaches_back.size();
  Append(&reaches_back, {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x03, 0x02, 0x00});
  const Indexed reached = Index(reaches_back, Rule(1), 100);
  CHECK(reached.status.code == Code::kDeflateData);
  CHECK(reached.status.offset > first + 10);

  ExpectRefused({'P', 'K', 3, 4}, Code::kGzipHeader, 0);
  // zlib's own header, which zlib would take where gzip is expected
  ExpectRefused({0x78, 0x9c, 3, 0, 0, 0, 0, 1}, Code::kGzipHeader, 0);
}

void TestLimitsAndMisuse() {
  const Bytes gzip = Gzip(SampleData(100000, 4), {6, Z_FIXED, 1000, false});
  GzipIndexer::Options options = Rule(5000);
  options.max_checkpoints = 3;
  const Indexed limited = Index(gzip, options, 100);
  CHECK(limited.status.code == Code::kLimit);
  CHECK_EQ(limited.points.size(), 3u);

  CHECK(Index(gzip, Rule(0), 100).status.code == Code::kMisuse);

  Collector sink;
  GzipIndexer indexer;
  SpanCuts cuts;
  size_t consumed = 1;
  CHECK(indexer.Feed(gzip.data(), 10, 1, nullptr, &consumed, &cuts).code ==
        Code::kMisuse);
  CHECK_EQ(consumed, 0u);
  CHECK(indexer.Init(Rule(5000), &sink).ok());
  CHECK(indexer.Init(Rule(5000), &sink).code == Code::kMisuse);
  const std::atomic<bool> abort{true};
  CHECK(indexer.Feed(gzip.data(), gzip.size(), 1, &abort, &consumed, &cuts)
            .code == Code::kAborted);
  CHECK_EQ(consumed, 0u);
  // Errors stay.
  CHECK(indexer.Feed(gzip.data(), 10, 1, nullptr, &consumed, &cuts).code ==
        Code::kAborted);
  CHECK(indexer.Finish().code == Code::kAborted);
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  for (const soci::Engine each : {soci::Engine::kZlib, soci::Engine::kFast}) {
    engine = each;
    TestRule();
    TestChunkings();
    TestExpected();
    TestImpliedFirst();
    TestRefusals();
    TestLimitsAndMisuse();
  }
  return Report("gzip_indexer");
}
