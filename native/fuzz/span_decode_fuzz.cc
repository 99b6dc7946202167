// A span of hostile bytes, bits and window: at once, in slices, with a skip,
// and by both engines the same bytes come out, and it ends. So they do of the
// verified span, from memory and from a file, unless the digest is another.
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "../core/span_decoder.h"
#include "../core/verified_span.h"
#include "../test/unwritten.h"
#include "fuzz_input.h"

namespace {

using namespace soci;
using Bytes = std::vector<uint8_t>;

// Decodes in slices what lies behind `skip` bytes; returns what came out.
Status InSlices(const SpanDecoder::Options& options, const Bytes& input,
                fuzz::Chunks chunks, uint64_t skip, Bytes* output) {
  SpanDecoder decoder;
  Status status = decoder.Start(options);
  fuzz::Require(status.ok());
  size_t in_at = 0;
  size_t out_at = 0;
  for (;;) {
    const size_t in_len = chunks.Next(input.size() - in_at);
    const size_t out_len = chunks.Next(output->size() - out_at);
    const Bytes in(input.begin() + static_cast<long>(in_at),
                   input.begin() + static_cast<long>(in_at + in_len));
    Bytes out(out_len);
    test::MarkUnwritten(out.data(), out.size());
    const SpanDecoder::Progress progress =
        decoder.Run(in.data(), in_len, out.data(), out_len, skip, nullptr);
    fuzz::Require(progress.consumed <= in_len && progress.skipped <= skip &&
                  progress.produced <= out_len);
    fuzz::Require(progress.skipped == skip || progress.produced == 0);
    std::copy_n(out.begin(), progress.produced,
                output->begin() + static_cast<long>(out_at));
    in_at += progress.consumed;
    out_at += progress.produced;
    skip -= progress.skipped;
    if (!progress.status.ok()) {
      output->resize(out_at);
      return progress.status;
    }
    const bool moved =
        progress.consumed + progress.skipped + progress.produced > 0;
    fuzz::Require(moved || in_at == input.size() || out_len == 0);
    if (!moved || (skip == 0 && out_at == output->size())) break;
  }
  output->resize(out_at);
  return Status::Ok();
}

// One file for all runs.
int FileOf(const Bytes& bytes) {
  static std::FILE* const file = std::tmpfile();
  fuzz::Require(file != nullptr);
  const int fd = fileno(file);
  fuzz::Require(ftruncate(fd, 0) == 0 &&
                pwrite(fd, bytes.data(), bytes.size(), 0) ==
                    static_cast<ssize_t>(bytes.size()));
  return fd;
}

void Verified(const SpanDecoder::Options& options, const Bytes& input,
              const Status& expected, const Bytes& whole) {
  VerifiedSpan span;
  span.start = options;
  span.checked = true;
  Sha256 hash;
  hash.Update(input.data(), input.size());
  hash.Final(span.digest);
  Bytes room(input.size());
  for (const auto& stored :
       {StoredBytes::InMemory(input.data(), input.size()),
        StoredBytes::InFile(FileOf(input), 0, input.size())}) {
    span.stored = stored;
    Bytes output(whole.size());
    const Status status =
        span.Decode(room.data(), output.data(), output.size(), nullptr);
    fuzz::Require(status.code == expected.code &&
                  status.offset == expected.offset);
    fuzz::Require(!status.ok() || output == whole);
    VerifiedSpan other = span;
    other.digest[0] ^= 1;
    fuzz::Require(
        other.Decode(room.data(), output.data(), output.size(), nullptr).code ==
        Code::kDigest);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
  fuzz::Input input(data, len);
  const uint8_t choices = input.Byte();
  const Bytes window(kWindowSize, input.Byte());
  SpanDecoder::Options options;
  options.gzip_header = (choices & 1) != 0;
  if (!options.gzip_header) {
    options.bits = (choices >> 1) % 8;
    if ((choices & 16) != 0) options.window = window.data();
  }
  const size_t wanted = size_t{input.Byte()} * 300;
  const uint64_t skip = size_t{input.Byte()} * 50;
  fuzz::Chunks chunks(&input);
  const Bytes in(input.data(), input.data() + input.size());

  Bytes whole(wanted, 0xa5);
  test::MarkUnwritten(whole.data(), whole.size());
  const Status status = DecodeSpan(options, in.data(), in.size(), whole.data(),
                                   whole.size(), nullptr);
  fuzz::Require(wanted > 0 || status.ok());
  if (!in.empty()) Verified(options, in, status, whole);

  for (const Engine engine : {Engine::kZlib, Engine::kFast}) {
    options.engine = engine;
    Bytes sliced(wanted);
    const Status slices = InSlices(options, in, chunks, 0, &sliced);
    if (status.ok()) {
      fuzz::Require(slices.ok() && sliced == whole);
    } else if (status.code == Code::kOutputLength) {
      fuzz::Require(slices.ok() && sliced.size() < wanted);
    } else {
      // What is invalid may lie behind the last byte wanted.
      fuzz::Require(slices.code == status.code ||
                    (slices.ok() && sliced.size() == wanted));
    }
    if (!status.ok() || skip > wanted) continue;
    Bytes rest(static_cast<size_t>(wanted - skip));
    fuzz::Require(InSlices(options, in, chunks, skip, &rest).ok());
    fuzz::Require(std::equal(rest.begin(), rest.end(),
                             whole.begin() + static_cast<long>(skip)));
  }
  return 0;
}
