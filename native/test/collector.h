// Keeps the output of an indexer, up to a bound: then it fails with kLimit.
#pragma once

#include <cstdint>
#include <vector>

#include "../core/output_sink.h"

namespace soci::test {

class Collector final : public OutputSink {
 public:
  explicit Collector(size_t limit = SIZE_MAX) : limit_(limit) {}

  Status Write(const uint8_t* data, size_t len) override {
    bytes.insert(bytes.end(), data, data + len);
    return bytes.size() > limit_ ? Status::At(Code::kLimit, 0) : Status::Ok();
  }

  std::vector<uint8_t> bytes;

 private:
  const size_t limit_;
};

}  // namespace soci::test
