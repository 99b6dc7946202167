// Walks a tar stream, fed in any chunking, and keeps only what describes
// entries: the 512-byte header blocks, the blocks of GNU's old sparse maps
// behind them, and the bodies of x, g, L and K extensions. File contents are
// stepped over, so they never enter JavaScript.
//
// It reads headers exactly as far as walking needs: checksum, size (octal,
// base-256, PAX), type, and whether a name ends in '/'. The rules are those of
// Go's archive/tar, because the reference's table of contents is what that
// reader sees. lib/tar parses the same blocks in full and words the errors.
//
// Thread safety: none.
#pragma once

#include <cstddef>
#include <cstdint>

#include "growable_buffer.h"
#include "output_sink.h"
#include "status.h"
#include "tar_header.h"

namespace soci {

class TarScanner final : public OutputSink {
 public:
  // What Go's reader takes as the body of an extension at most.
  static constexpr int64_t kMaxExtensionSize = int64_t{1} << 20;

  // The next bytes of the stream. A malformed tar is no error here: the block
  // that is no header is recorded (of a zero block before a header, the zero
  // block), the rest of the stream is ignored, and Finish fails. kNoMemory is
  // the only failure here.
  Status Write(const uint8_t* data, size_t len) override;

  // The stream ends here. kTarHeader at the malformed block's offset, or at the
  // stream's end if that lies inside a header, an extension or contents. Like
  // Go's reader it accepts an end inside of padding and a missing end of
  // archive.
  Status Finish();

  // {uint64 LE offset of the first byte in the stream, uint32 LE length,
  // bytes}, concatenated: puts the records completed since the last call in the
  // place of what `records` held.
  void TakeRecords(GrowableBuffer* records) {
    records->Clear();
    records->Swap(&records_);
  }

  // Where Go's reader stands when it is done: behind two zero blocks, or at the
  // stream's end. Valid after Finish.
  uint64_t end() const { return end_; }

 private:
  enum class State : uint8_t {
    kHeader,
    kZeroBlock,  // behind one zero block
    kExtension,
    kSparseMap,  // before a block that goes on with the map of a sparse file
    kContents,
    kPadding,
    kEnd,
    kMalformed,
  };

  // What the extensions before an entry say about it. A later x replaces an
  // earlier one whole; a long name survives it and wins over PAX.
  struct Extensions {
    bool has_size = false;
    bool bad_size = false;
    int64_t size = 0;
    uint8_t pax_name_end = 0;   // last character of PAX path, 0 if none
    uint8_t long_name_end = 0;  // last character of the GNU name, 0 if none
  };

  size_t TakeWhole(const uint8_t* data, size_t len, size_t size,
                   Status* status);
  Status HandleBlock(const uint8_t* block);
  void HandleHeader(const TarHeader& header, uint64_t offset);
  Status HandleSparseMap(const uint8_t* block);
  Status HandleExtension(const uint8_t* body, size_t len);
  bool ApplyExtension(const uint8_t* body, size_t len);
  bool ApplyPax(const uint8_t* body, size_t len);
  void Malformed(uint64_t offset);
  void StepOver(uint64_t contents);
  void BeginPadding();
  Status Record(uint64_t offset, const uint8_t* bytes, size_t len);

  State state_ = State::kHeader;
  uint64_t position_ = 0;  // bytes taken
  uint64_t end_ = 0;
  uint64_t malformed_at_ = 0;
  uint64_t left_ = 0;  // of contents or padding
  uint64_t padding_ = 0;
  uint64_t sparse_contents_ = 0;  // that follow behind the map
  uint8_t extension_type_ = 0;
  size_t extension_size_ = 0;
  Extensions extensions_;
  GrowableBuffer partial_;  // of a block or an extension across chunks
  GrowableBuffer records_;
};

}  // namespace soci
