// Everything a ztoc says about a layer, from one pass over its bytes: the
// checkpoints (gzip) or fixed spans (plain tar), the digest of every span, the
// tar headers, the layer's digest and, on request, its diffID.
//
// There are two halves to it: scanning, which must be done in order and on the
// decoded bytes, and hashing of the stored bytes, which only needs to know
// afterwards where spans begin. They may run on two threads.
//
// Thread safety: Scan with what it returns may run beside Digest; otherwise
// none. Each may run on another thread than the last time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "gzip_indexer.h"
#include "layer_digests.h"
#include "output_sink.h"
#include "span_cuts.h"
#include "status.h"
#include "tar_scanner.h"

namespace soci {

enum class Compression : uint8_t { kGzip, kUncompressed };

class LayerIndexer final : private OutputSink {
 public:
  struct Options : GzipIndexer::Options {
    Compression compression = Compression::kGzip;
    // If not null, gets the tar stream, too. Must outlive the last Scan.
    OutputSink* output = nullptr;
  };

  // kMisuse for a span size of 0, kNoMemory. For plain tars max_checkpoints
  // caps the number of spans.
  Status Init(const Options& options);

  // As GzipIndexer::Feed, or what the output returned. A malformed tar is not
  // reported here but by Finish: the header records hold the block, and their
  // reader can say what is wrong with it. Replaces what `cuts` held.
  Status Scan(const uint8_t* in, size_t len, uint64_t max_out,
              const std::atomic<bool>* abort, size_t* consumed, SpanCuts* cuts);

  // Hashes what a Scan consumed, in the order of the scans, with the cuts of
  // that scan. kNoMemory, which Finish returns too.
  Status Digest(const uint8_t* in, size_t len, const SpanCuts& cuts) {
    return digests_.Add(in, len, cuts);
  }

  // The layer ends here; the results below are valid if this returns kOk. As
  // GzipIndexer::Finish, then as TarScanner::Finish, whose kTarHeader has an
  // offset in the tar stream. Completes no header records.
  Status Finish();

  // As TarScanner::TakeRecords.
  void TakeHeaders(GrowableBuffer* headers) { scanner_.TakeRecords(headers); }

  uint64_t compressed_size() const { return compressed_size_; }
  uint64_t uncompressed_size() const;
  uint64_t tar_end() const { return scanner_.end(); }
  const uint8_t* layer_digest() const {  // 32 bytes
    return digests_.layer_digest();
  }
  // 32 bytes; nullptr unless asked for.
  const uint8_t* diff_id() const;
  // Empty for plain tars.
  const CheckpointList& checkpoints() const { return gzip_.checkpoints(); }
  // 32 bytes per span.
  const GrowableBuffer& span_digests() const { return digests_.span_digests(); }

 private:
  Status Write(const uint8_t* data, size_t len) override;
  Status ScanPlain(const uint8_t* in, size_t len, uint64_t max_out,
                   const std::atomic<bool>* abort, size_t* consumed,
                   SpanCuts* cuts);

  Options options_;
  GzipIndexer gzip_;
  TarScanner scanner_;
  LayerDigests digests_;
  Status failure_;
  bool finished_ = false;
  uint64_t compressed_size_ = 0;
};

}  // namespace soci
