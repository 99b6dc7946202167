#include "layer_indexer.h"

#include <algorithm>

namespace soci {
namespace {

constexpr size_t kStepSize = 65536;  // between two looks at the abort flag

}  // namespace

Status LayerIndexer::Init(const Options& options) {
  if (options.span_size == 0) return Status::At(Code::kMisuse, 0);
  options_ = options;
  if (options.compression == Compression::kUncompressed) return Status::Ok();
  return gzip_.Init(options, this);
}

Status LayerIndexer::Scan(const uint8_t* in, size_t len, uint64_t max_out,
                          const std::atomic<bool>* abort, size_t* consumed,
                          SpanCuts* cuts) {
  *consumed = 0;
  cuts->Clear();
  if (!failure_.ok()) return failure_;
  if (options_.span_size == 0 || finished_) {
    return Status::At(Code::kMisuse, compressed_size_);
  }
  failure_ = options_.compression == Compression::kGzip
                 ? gzip_.Feed(in, len, max_out, abort, consumed, cuts)
                 : ScanPlain(in, len, max_out, abort, consumed, cuts);
  compressed_size_ += *consumed;
  return failure_;
}

Status LayerIndexer::ScanPlain(const uint8_t* in, size_t len, uint64_t max_out,
                               const std::atomic<bool>* abort, size_t* consumed,
                               SpanCuts* cuts) {
  const size_t wanted = static_cast<size_t>(std::min<uint64_t>(len, max_out));
  while (*consumed < wanted) {
    const uint64_t offset = compressed_size_ + *consumed;
    if (abort != nullptr && abort->load(std::memory_order_relaxed)) {
      return Status::At(Code::kAborted, offset);
    }
    // A span begins with its first byte: an exact multiple has no empty last.
    const uint64_t span_left = options_.span_size - offset % options_.span_size;
    if (span_left == options_.span_size) {
      if (offset / options_.span_size == options_.max_checkpoints) {
        return Status::At(Code::kLimit, offset);
      }
      if (!cuts->Append({offset, false, false})) {
        return Status::At(Code::kNoMemory, offset);
      }
    }
    const uint8_t* piece = in + *consumed;
    const size_t piece_len = static_cast<size_t>(
        std::min<uint64_t>(std::min(wanted - *consumed, kStepSize), span_left));
    const Status scanned = Write(piece, piece_len);
    if (!scanned.ok()) return scanned;
    *consumed += piece_len;
  }
  return Status::Ok();
}

Status LayerIndexer::Write(const uint8_t* data, size_t len) {
  if (options_.output != nullptr) {
    const Status status = options_.output->Write(data, len);
    if (!status.ok()) return status;
  }
  return scanner_.Write(data, len);
}

Status LayerIndexer::Finish() {
  if (!failure_.ok()) return failure_;
  Status status;
  if (options_.span_size == 0 || finished_) {
    status = Status::At(Code::kMisuse, compressed_size_);
  } else if (options_.compression == Compression::kGzip) {
    status = gzip_.Finish();
  }
  if (status.ok()) status = digests_.Finish();
  if (status.ok()) status = scanner_.Finish();
  failure_ = status;
  if (!status.ok()) return status;
  finished_ = true;
  return status;
}

uint64_t LayerIndexer::uncompressed_size() const {
  return options_.compression == Compression::kGzip ? gzip_.total_out()
                                                    : compressed_size_;
}

const uint8_t* LayerIndexer::diff_id() const {
  if (!options_.diff_id) return nullptr;
  return options_.compression == Compression::kGzip ? gzip_.output_digest()
                                                    : layer_digest();
}

}  // namespace soci
