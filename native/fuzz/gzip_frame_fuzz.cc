// A gzip header means the same in any chunking.
#include "../core/gzip_frame.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
  using namespace soci;
  fuzz::Input input(data, len);
  fuzz::Chunks chunks(&input);

  GzipHeader whole;
  size_t whole_consumed = 0;
  const Status expected =
      whole.Feed(input.data(), input.size(), &whole_consumed);

  GzipHeader header;
  Status status;
  size_t at = 0;
  while (status.ok() && !header.done() && at < input.size()) {
    size_t consumed = 0;
    const size_t chunk = chunks.Next(input.size() - at);
    status = header.Feed(input.data() + at, chunk, &consumed);
    fuzz::Require(consumed <= chunk);
    fuzz::Require(consumed == chunk || header.done() || !status.ok());
    at += consumed;
  }
  fuzz::Require(at == whole_consumed && header.size() == whole.size());
  fuzz::Require(status.code == expected.code);
  fuzz::Require(status.offset == expected.offset);
  fuzz::Require(header.done() == whole.done());
  fuzz::Require(header.recognized() == whole.recognized());
  return 0;
}
