// The reference's own results for layers of many gzip writers: checkpoints,
// windows and span digests must be identical. Needs the golden corpus.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "../core/layer_indexer.h"
#include "../core/look_ahead.h"
#include "../core/verified_span.h"
#include "check.h"
#include "feed.h"

namespace soci::test {
namespace {

// Empty if there is no such file.
std::string ReadFile(const std::string& path) {
  std::string contents;
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return contents;
  char piece[4096];
  for (size_t n; (n = std::fread(piece, 1, sizeof piece, file)) > 0;)
    contents.append(piece, n);
  std::fclose(file);
  return contents;
}

// What lies before each `end`.
std::vector<std::string> Split(const std::string& text, char end) {
  std::vector<std::string> parts;
  size_t from = 0;
  for (size_t at; (at = text.find(end, from)) != std::string::npos;
       from = at + 1) {
    parts.push_back(text.substr(from, at - from));
  }
  return parts;
}

// The values of `"key": value` in a dump, in order.
std::vector<std::string> Values(const std::string& json,
                                const std::string& key) {
  std::vector<std::string> values;
  const std::string mark = '"' + key + "\": ";
  for (size_t at = json.find(mark); at != std::string::npos;
       at = json.find(mark, at + 1)) {
    const size_t from = at + mark.size();
    std::string value =
        json.substr(from, json.find_first_of(",}\n", from) - from);
    value.erase(std::remove(value.begin(), value.end(), '"'), value.end());
    values.push_back(value);
  }
  return values;
}

std::string Sha256Hex(const uint8_t* data, size_t len) {
  Sha256 hash;
  hash.Update(data, len);
  uint8_t digest[Sha256::kDigestSize];
  hash.Final(digest);
  return Hex(digest, sizeof digest);
}

// With more than one thread, chunks are decoded ahead, in turn with the scan.
Status Index(const std::string& layer, uint64_t span_size, Engine engine,
             size_t threads, LayerIndexer* indexer) {
  LookAhead ahead(threads, 100);
  LayerIndexer::Options options;
  options.compression = Compression::kGzip;
  options.span_size = span_size;
  options.max_checkpoints = 1 << 20;
  options.engine = engine;
  options.diff_id = true;
  if (threads > 1) options.ahead = &ahead;
  const Status status = indexer->Init(options);
  if (!status.ok()) return status;
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(layer.data());
  constexpr size_t kChunk = 100000;
  size_t added = 0;
  for (size_t at = 0, number = 0; at < layer.size(); number++) {
    for (; added < layer.size() && added < at + 4 * kChunk; added += kChunk) {
      ahead.Add(bytes + added, std::min(kChunk, layer.size() - added));
    }
    while (ahead.Wanted()) ahead.Guess();
    ahead.Enter(number, at);
    const size_t end = std::min(layer.size(), at + kChunk);
    while (at < end) {
      size_t consumed = 0;
      const Status fed =
          Feed(indexer, bytes + at, end - at, 4 << 20, nullptr, &consumed);
      if (!fed.ok()) return fed;
      at += consumed;
    }
    ahead.Leave();
  }
  return indexer->Finish();
}

void CompareWithDump(const LayerIndexer& indexer, const std::string& json) {
  const std::vector<std::string> in = Values(json, "RawIn");
  const std::vector<std::string> out = Values(json, "RawOut");
  const std::vector<std::string> bits = Values(json, "Bits");
  const std::vector<std::string> windows = Values(json, "WindowSHA256");
  const std::vector<std::string> digests = Values(json, "Digest");
  const CheckpointList& points = indexer.checkpoints();
  // Of several checkpoints at output 0 the reference writes all.
  size_t skipped = 0;
  while (skipped + 1 < out.size() && out[skipped + 1] == "0") skipped++;
  if (!CHECK_EQ(points.size(), in.size() - skipped)) return;
  for (size_t i = 0; i < points.size(); i++) {
    const size_t row = i + skipped;
    CHECK_EQ(std::to_string(points[i].in), in[row]);
    CHECK_EQ(std::to_string(points[i].out), out[row]);
    CHECK_EQ(std::to_string(points[i].bits), bits[row]);
    CHECK_EQ(Sha256Hex(points[i].window, kWindowSize), windows[row]);
    const uint8_t* digest = indexer.span_digests().data() + 32 * i;
    CHECK_EQ("sha256:" + Hex(digest, 32), digests[row]);
  }
  CHECK_EQ(std::to_string(indexer.tar_end()),
           Values(json, "uncompressedSize").at(0));
  CHECK_EQ(std::to_string(indexer.compressed_size()),
           Values(json, "compressedSize").at(0));
}

// A ztoc holds the blob and the digests as they are.
void CompareWithZtoc(const LayerIndexer& indexer, const std::string& ztoc) {
  const CheckpointList& points = indexer.checkpoints();
  std::string blob(points.BlobSize(CheckpointList::Version::kV2), '\0');
  points.Serialize(CheckpointList::Version::kV2,
                   reinterpret_cast<uint8_t*>(&blob[0]));
  CHECK(ztoc.find(blob) != std::string::npos);
  for (size_t i = 0; i < points.size(); i++) {
    const uint8_t* digest = indexer.span_digests().data() + 32 * i;
    CHECK(ztoc.find("sha256:" + Hex(digest, 32)) != std::string::npos);
  }
}

struct Span {
  VerifiedSpan stored;
  Bytes plain;
};

// Two of them at once, `distance` apart.
void DecodeInPairs(const std::vector<Span>& spans, size_t distance) {
  for (size_t i = 0; i < spans.size(); i++) {
    const Span& a = spans[i];
    const Span& b = spans[(i + distance) % spans.size()];
    Bytes first(a.plain.size()), second(b.plain.size());
    VerifiedSpan::Call one = {&a.stored,    nullptr, first.data(),
                              first.size(), nullptr, {}};
    VerifiedSpan::Call other = {&b.stored,     nullptr, second.data(),
                                second.size(), nullptr, {}};
    VerifiedSpan::DecodePair(&one, &other);
    CHECK(one.status.ok());
    CHECK(other.status.ok());
    CHECK(first == a.plain);
    CHECK(second == b.plain);
  }
}

// Each span alone, checked, from memory and from the file: together they are
// the tar stream. Then with a near and a far neighbour, in either order.
void DecodeEverySpan(const LayerIndexer& indexer, const std::string& layer,
                     const std::string& path, Engine engine) {
  const CheckpointList& points = indexer.checkpoints();
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  const auto* const bytes = reinterpret_cast<const uint8_t*>(layer.data());
  Sha256 plain;
  std::vector<Span> spans;
  for (size_t i = 0; i < points.size(); i++) {
    const Checkpoint point = points[i];
    const bool last = i + 1 == points.size();
    const uint64_t from = point.in - (point.bits > 0 ? 1 : 0);
    const uint64_t to = last ? layer.size() : points[i + 1].in;
    const uint64_t out_end =
        last ? indexer.uncompressed_size() : points[i + 1].out;
    VerifiedSpan span;
    span.start.engine = engine;
    span.start.bits = point.bits;
    span.start.window = point.window;
    span.checked = true;
    std::memcpy(span.digest, indexer.span_digests().data() + 32 * i, 32);
    Bytes out(out_end - point.out);
    Bytes again(out.size());
    Bytes room(to - from);
    span.stored = StoredBytes::InMemory(bytes + from, to - from);
    CHECK(span.Decode(nullptr, out.data(), out.size(), nullptr).ok());
    span.stored = StoredBytes::InFile(fileno(file), from, to - from);
    CHECK(span.Decode(room.data(), again.data(), again.size(), nullptr).ok());
    CHECK(out == again);
    plain.Update(out.data(), out.size());
    span.stored = StoredBytes::InMemory(bytes + from, to - from);
    spans.push_back({span, std::move(out)});
  }
  for (const size_t distance : {size_t{1}, spans.size() / 2}) {
    DecodeInPairs(spans, distance);
    DecodeInPairs(spans, spans.size() - distance);
  }
  std::fclose(file);
  uint8_t digest[Sha256::kDigestSize];
  plain.Final(digest);
  CHECK_EQ(Hex(digest, sizeof digest), Hex(indexer.diff_id(), sizeof digest));
}

void TestRows(const std::string& corpus, Engine engine, size_t threads) {
  const std::vector<std::string> rows =
      Split(ReadFile(corpus + "/expected.tsv"), '\n');
  CHECK(!rows.empty());
  int indexed = 0;
  int compared = 0;
  for (size_t i = 1; i < rows.size(); i++) {  // row 0 has the column names
    const std::vector<std::string> columns = Split(rows[i], '\t');
    const std::string& blob = columns.at(0);
    const std::string& span_size = columns.at(1);
    const std::string& builds = columns.at(2);
    if (blob.find(".tar.gz") == std::string::npos) continue;
    const std::string layer = ReadFile(corpus + "/blob/" + blob);
    const std::string name = blob + "." + span_size;
    LayerIndexer indexer;
    const Status status =
        Index(layer, std::stoull(span_size), engine, threads, &indexer);
    if (!CHECK_EQ(status.ok(), builds == "yes")) {
      std::fprintf(stderr, "  %s\n", name.c_str());
    }
    if (!status.ok()) continue;
    indexed++;
    if (threads == 1)
      DecodeEverySpan(indexer, layer, corpus + "/blob/" + blob, engine);
    const std::string json = ReadFile(corpus + "/info/" + name + ".json");
    const std::string ztoc = ReadFile(corpus + "/ztoc/" + name + ".ztoc");
    const bool known = blob.find("emptymember") == std::string::npos;
    if (!json.empty()) CompareWithDump(indexer, json);
    if (!ztoc.empty() && known) CompareWithZtoc(indexer, ztoc);
    if (!json.empty() || !ztoc.empty()) compared++;
  }
  std::printf("golden: %d layers indexed, %d compared in full\n", indexed,
              compared);
  CHECK(compared > 0);
}

}  // namespace
}  // namespace soci::test

int main() {
  const char* corpus = std::getenv("SEEKABLE_OCI_CORPUS");
  if (corpus == nullptr) {
    std::printf("golden: skipped, SEEKABLE_OCI_CORPUS is not set\n");
    return 0;
  }
  soci::test::TestRows(corpus, soci::Engine::kZlib, 1);
  for (const size_t threads : {1u, 2u}) {
    soci::test::TestRows(corpus, soci::Engine::kFast, threads);
  }
  return soci::test::Report("golden");
}
