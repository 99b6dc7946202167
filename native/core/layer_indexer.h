// Everything a ztoc says about a layer, from one pass over its bytes: the
// checkpoints (gzip) or fixed spans (plain tar), the digest of every span, the
// tar headers, the layer's digest and, on request, its diffID.
//
// Thread safety: none; a Feed may run on another thread than the last.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "gzip_indexer.h"
#include "layer_digests.h"
#include "output_sink.h"
#include "status.h"
#include "tar_scanner.h"

namespace soci {

enum class Compression : uint8_t { kGzip, kUncompressed };

class LayerIndexer final : private OutputSink {
 public:
  struct Options : GzipIndexer::Options {
    Compression compression = Compression::kGzip;
  };

  // kMisuse for a span size of 0, kNoMemory. For plain tars max_checkpoints
  // caps the number of spans.
  Status Init(const Options& options);

  // As GzipIndexer::Feed. A malformed tar is not reported here but by Finish:
  // headers() holds the block, and its reader can say what is wrong with it.
  Status Feed(const uint8_t* in, size_t len, uint64_t max_out,
              const std::atomic<bool>* abort, size_t* consumed);

  // The layer ends here; the results below are valid if this returns kOk. As
  // GzipIndexer::Finish, then as TarScanner::Finish, whose kTarHeader has an
  // offset in the tar stream. Completes no header records.
  Status Finish();

  // Header records (see TarScanner) since the last ClearHeaders.
  const GrowableBuffer& headers() const { return scanner_.records(); }
  void ClearHeaders() { scanner_.ClearRecords(); }

  uint64_t compressed_size() const { return compressed_size_; }
  uint64_t uncompressed_size() const;
  uint64_t tar_end() const { return scanner_.end(); }
  const uint8_t* layer_digest() const;  // 32 bytes
  // 32 bytes; nullptr unless asked for.
  const uint8_t* diff_id() const;
  // Empty for plain tars.
  const CheckpointList& checkpoints() const { return gzip_.checkpoints(); }
  // 32 bytes per span.
  const GrowableBuffer& span_digests() const;

 private:
  Status Write(const uint8_t* data, size_t len) override;
  Status FeedPlain(const uint8_t* in, size_t len, uint64_t max_out,
                   const std::atomic<bool>* abort, size_t* consumed);
  const LayerDigests& digests() const;

  Options options_;
  GzipIndexer gzip_;
  TarScanner scanner_;
  LayerDigests plain_digests_;
  Status failure_;
  bool finished_ = false;
  uint64_t compressed_size_ = 0;
};

}  // namespace soci
