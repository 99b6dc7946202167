// Walks a tar stream, fed in any chunking, and keeps only what describes
// entries: the 512-byte header blocks and the bodies of x, g, L and K
// extensions. File contents are stepped over, so they never enter JavaScript.
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

namespace soci {

class TarScanner final : public OutputSink {
 public:
  static constexpr size_t kBlockSize = 512;
  // What Go's reader takes as the body of an extension at most.
  static constexpr uint64_t kMaxExtensionSize = uint64_t{1} << 20;

  // The next bytes of the stream. A malformed tar is no error here: the block
  // that is no header is recorded, malformed() says so, and the rest of the
  // stream is ignored. kNoMemory is the only failure.
  Status Write(const uint8_t* data, size_t len) override;

  // The stream ends here. kTarHeader at the malformed block's offset;
  // kTruncated where the tar ends inside a header, an extension or contents.
  // Like Go's reader it accepts an end inside of padding and a missing end of
  // archive.
  Status Finish();

  // {uint64 LE offset of the first byte in the stream, uint32 LE length,
  // bytes}, concatenated: the records completed since the last ClearRecords.
  const GrowableBuffer& records() const { return records_; }
  void ClearRecords() { records_.Clear(); }

  // Where Go's reader stands when it is done: behind two zero blocks, or at the
  // stream's end. Valid after Finish.
  uint64_t end() const { return end_; }

 private:
  enum class State : uint8_t {
    kHeader,
    kZeroBlock,  // one zero block was seen
    kExtension,
    kContents,
    kPadding,
    kEnd,
    kMalformed,
  };

  Status TakeBlock(const uint8_t* block);
  Status TakeExtension();
  Status Malformed(uint64_t offset);
  Status Record(uint64_t offset, const uint8_t* bytes, size_t len);
  void ForgetExtensions();
  void StepOver(uint64_t contents);

  State state_ = State::kHeader;
  uint64_t position_ = 0;  // bytes seen
  uint64_t end_ = 0;
  uint64_t malformed_at_ = 0;
  uint64_t left_ = 0;     // of contents, extension or padding
  uint16_t padding_ = 0;  // behind them
  uint8_t extension_type_ = 0;
  GrowableBuffer partial_;  // of a block or an extension across chunks
  GrowableBuffer records_;

  // What the extensions before an entry say about it. A later x replaces an
  // earlier one whole; L survives.
  bool has_pax_size_ = false;
  int64_t pax_size_ = 0;
  char pax_name_end_ = 0;   // last character of PAX path, 0 if none
  char long_name_end_ = 0;  // last character of the GNU long name, 0 if none
};

}  // namespace soci
