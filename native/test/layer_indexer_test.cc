// A layer's digests, spans, tar end and header records from one pass, for
// gzip and plain tars.
#include "../core/layer_indexer.h"

#include <algorithm>
#include <memory>

#include "feed.h"
#include "gzip_data.h"
#include "tar_data.h"

namespace soci::test {
namespace {

Bytes Sum(const uint8_t* data, size_t len) {
  Sha256 hash;
  hash.Update(data, len);
  Bytes digest(Sha256::kDigestSize);
  hash.Final(digest.data());
  return digest;
}

Bytes SampleTar() {
  TarBuilder tar;
  for (size_t i = 0; i < 40; i++) {
    tar.Entry('0', "file", SampleData(i * 700, i));
  }
  tar.End();
  tar.bytes.resize(tar.bytes.size() + 4096);
  return tar.bytes;
}

LayerIndexer::Options For(Compression compression, uint64_t span_size) {
  LayerIndexer::Options options;
  options.compression = compression;
  options.span_size = span_size;
  options.max_checkpoints = 10000;
  options.diff_id = true;
  return options;
}

Status Run(LayerIndexer* indexer, const Bytes& layer, size_t chunk,
           uint64_t max_out, Bytes* headers) {
  GrowableBuffer fresh;
  size_t at = 0;
  while (at < layer.size()) {
    size_t consumed = 0;
    const Status status =
        Feed(indexer, &layer[at], std::min(chunk, layer.size() - at), max_out,
             nullptr, &consumed);
    at += consumed;
    indexer->TakeHeaders(&fresh);
    if (fresh.size() > 0) {
      headers->insert(headers->end(), fresh.data(),
                      fresh.data() + fresh.size());
    }
    if (!status.ok()) return status;
  }
  const Status status = indexer->Finish();
  indexer->TakeHeaders(&fresh);
  CHECK_EQ(fresh.size(), 0u);
  return status;
}

void TestBothForms() {
  const Bytes tar = SampleTar();
  const Bytes gzip = Gzip(tar);
  for (const size_t chunk : {1u, 1000u, 10000000u}) {
    Bytes plain_headers;
    Bytes gzip_headers;
    LayerIndexer plain;
    LayerIndexer packed;
    CHECK(plain.Init(For(Compression::kUncompressed, 9000)).ok());
    CHECK(packed.Init(For(Compression::kGzip, 9000)).ok());
    CHECK(Run(&plain, tar, chunk, 5000, &plain_headers).ok());
    CHECK(Run(&packed, gzip, chunk, 5000, &gzip_headers).ok());
    CHECK_EQ(plain_headers.size(), 40u * (512 + 12));
    CHECK(plain_headers == gzip_headers);
    CHECK_EQ(plain.tar_end(), tar.size() - 4096);
    CHECK_EQ(packed.tar_end(), tar.size() - 4096);
    CHECK_EQ(plain.uncompressed_size(), tar.size());
    CHECK_EQ(packed.uncompressed_size(), tar.size());
    CHECK_EQ(plain.compressed_size(), tar.size());
    CHECK_EQ(packed.compressed_size(), gzip.size());
    const Bytes tar_sum = Sum(tar.data(), tar.size());
    const Bytes gzip_sum = Sum(gzip.data(), gzip.size());
    CHECK(std::equal(tar_sum.begin(), tar_sum.end(), plain.layer_digest()));
    CHECK(std::equal(tar_sum.begin(), tar_sum.end(), plain.diff_id()));
    CHECK(std::equal(gzip_sum.begin(), gzip_sum.end(), packed.layer_digest()));
    CHECK(std::equal(tar_sum.begin(), tar_sum.end(), packed.diff_id()));
    CHECK_EQ(packed.span_digests().size(), 32 * packed.checkpoints().size());
    CHECK_EQ(plain.checkpoints().size(), 0u);
  }
}

// Hashing may lag behind scanning, as far as it likes.
void TestDigestsLater() {
  const Bytes tar = SampleTar();
  for (const Compression compression :
       {Compression::kGzip, Compression::kUncompressed}) {
    const Bytes layer = compression == Compression::kGzip ? Gzip(tar) : tar;
    LayerIndexer at_once;
    Bytes headers;
    CHECK(at_once.Init(For(compression, 9000)).ok());
    CHECK(Run(&at_once, layer, 1000, UINT64_MAX, &headers).ok());

    struct Scanned {
      size_t at, len;
      SpanCuts cuts;
    };
    std::vector<std::unique_ptr<Scanned>> pieces;
    LayerIndexer later;
    CHECK(later.Init(For(compression, 9000)).ok());
    for (size_t at = 0; at < layer.size();) {
      auto piece = std::make_unique<Scanned>();
      piece->at = at;
      CHECK(later
                .Scan(&layer[at], std::min<size_t>(500, layer.size() - at), 777,
                      nullptr, &piece->len, &piece->cuts)
                .ok());
      at += piece->len;
      pieces.push_back(std::move(piece));
    }
    for (const auto& piece : pieces) {
      CHECK(later.Digest(&layer[piece->at], piece->len, piece->cuts).ok());
    }
    CHECK(later.Finish().ok());
    CHECK(std::equal(at_once.layer_digest(), at_once.layer_digest() + 32,
                     later.layer_digest()));
    CHECK_EQ(later.span_digests().size(), at_once.span_digests().size());
    CHECK(std::equal(
        at_once.span_digests().data(),
        at_once.span_digests().data() + at_once.span_digests().size(),
        later.span_digests().data()));
  }
}

void TestPlainSpans() {
  Bytes tar(10000);
  for (const size_t span : {1000u, 999u, 10000u, 20000u, 70000u}) {
    LayerIndexer indexer;
    Bytes headers;
    CHECK(indexer.Init(For(Compression::kUncompressed, span)).ok());
    CHECK(Run(&indexer, tar, 777, UINT64_MAX, &headers).ok());
    const size_t count = (tar.size() + span - 1) / span;
    CHECK_EQ(indexer.span_digests().size(), 32 * count);
    for (size_t i = 0; i < count; i++) {
      const size_t end = std::min(tar.size(), (i + 1) * span);
      const Bytes sum = Sum(&tar[i * span], end - i * span);
      CHECK(std::equal(sum.begin(), sum.end(),
                       indexer.span_digests().data() + 32 * i));
    }
  }
  LayerIndexer empty;
  Bytes headers;
  CHECK(empty.Init(For(Compression::kUncompressed, 1)).ok());
  CHECK(Run(&empty, {}, 1, 1, &headers).ok());
  CHECK_EQ(empty.span_digests().size(), 0u);

  LayerIndexer::Options options = For(Compression::kUncompressed, 100);
  options.max_checkpoints = 3;
  LayerIndexer limited;
  CHECK(limited.Init(options).ok());
  const Status status = Run(&limited, tar, 50, UINT64_MAX, &headers);
  CHECK(status.code == Code::kLimit);
  CHECK_EQ(status.offset, 300u);
}

void TestErrors() {
  for (const Compression compression :
       {Compression::kGzip, Compression::kUncompressed}) {
    LayerIndexer indexer;
    size_t consumed = 0;
    const uint8_t byte = 0x1f;
    CHECK(Feed(&indexer, &byte, 1, 1, nullptr, &consumed).code ==
          Code::kMisuse);
    CHECK(indexer.Init(For(compression, 0)).code == Code::kMisuse);
    CHECK(indexer.Init(For(compression, 5)).ok());
    const std::atomic<bool> abort{true};
    CHECK(Feed(&indexer, &byte, 1, 1, &abort, &consumed).code ==
          Code::kAborted);
    CHECK(indexer.Finish().code == Code::kAborted);
  }
  // A malformed tar comes out at the end, behind the layer's own faults.
  Bytes tar = SampleTar();
  tar[0] ^= 1;
  Bytes gzip = Gzip(tar);
  LayerIndexer malformed;
  Bytes headers;
  CHECK(malformed.Init(For(Compression::kGzip, 9000)).ok());
  const Status status = Run(&malformed, gzip, 1000, UINT64_MAX, &headers);
  CHECK(status.code == Code::kTarHeader);
  CHECK_EQ(status.offset, 0u);
  CHECK_EQ(headers.size(), 512u + 12);
  gzip.pop_back();
  LayerIndexer truncated;
  CHECK(truncated.Init(For(Compression::kGzip, 9000)).ok());
  CHECK(Run(&truncated, gzip, 1000, UINT64_MAX, &headers).code ==
        Code::kTruncated);

  // Finished is finished.
  LayerIndexer done;
  CHECK(done.Init(For(Compression::kUncompressed, 9000)).ok());
  CHECK(Run(&done, SampleTar(), 5000, UINT64_MAX, &headers).ok());
  size_t consumed = 0;
  CHECK(Feed(&done, tar.data(), 1, 1, nullptr, &consumed).code ==
        Code::kMisuse);
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  TestBothForms();
  TestDigestsLater();
  TestPlainSpans();
  TestErrors();
  return Report("layer_indexer");
}
