// What every fallible call in the core returns: a code that lib/errors.ts maps
// to an ERR_SOCI_… code, and the offset in the input where the fault was
// noticed. The core throws nothing and allocates no messages; wording belongs
// to the callers, which know the name of the layer.
#pragma once

#include <cstdint>

namespace soci {

enum class Code : uint8_t {
  kOk = 0,
  kAborted,         // the abort flag was raised
  kGzipHeader,      // RFC 1952 §2.3: bad magic, method, flags or header CRC
  kGzipChecksum,    // RFC 1952 §2.3.1: CRC32 or ISIZE differs from the data
  kDeflateData,     // RFC 1951: invalid block, code or distance
  kTruncated,       // the input ends inside a member, a span or a header
  kTrailingData,    // bytes after the last member that start no member
  kOutputLength,    // a span yields fewer bytes than its table promises
  kCheckpointBlob,  // a zinfo blob of impossible length, count or order
  kCheckpointMiss,  // a stream has no block boundary where one was promised
  kTarHeader,       // a tar block that is no header or has an impossible size;
                    // at the stream's end: the tar ends inside of an entry
  kLimit,           // a configured cap was reached before the data ended
  kDigest,          // SHA-256 differs from the expected digest
  kInputShort,      // the file that holds the input ends too early
  kInputRead,       // the file that holds the input cannot be read
  kInputChanged,    // the file that holds the input is not as it was opened
  kNoMemory,        // an allocation failed
  kMisuse,          // a call in the wrong state
};

struct [[nodiscard]] Status {
  Code code = Code::kOk;
  int system_error = 0;  // errno where the system refused, 0 elsewhere
  uint64_t offset =
      0;  // input offset of the fault, in the callee's input space

  bool ok() const { return code == Code::kOk; }
  static Status Ok() { return {}; }
  static Status At(Code code, uint64_t offset) { return {code, 0, offset}; }
  static Status System(Code code, int error, uint64_t offset) {
    return {code, error, offset};
  }
};

}  // namespace soci
