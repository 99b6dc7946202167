// Every span of layers of all shapes decodes from its own bytes to exactly the
// bytes of a whole inflate, at once and in slices; forged input ends in an
// error.
#include "../core/span_decoder.h"

#include <algorithm>

#include "../core/gzip_indexer.h"
#include "collector.h"
#include "gzip_data.h"
#include "unwritten.h"

namespace soci::test {
namespace {

Engine engine = Engine::kZlib;  // every test runs with each

struct Layer {
  Bytes gzip;
  Collector output;
  GzipIndexer indexer;

  Layer(Bytes bytes, uint64_t span_size) : gzip(std::move(bytes)) {
    GzipIndexer::Options options;
    options.span_size = span_size;
    options.max_checkpoints = 100000;
    options.engine = engine;
    size_t consumed = 0;
    CHECK(indexer.Init(options, &output).ok());
    SpanCuts cuts;
    CHECK(indexer
              .Feed(gzip.data(), gzip.size(), UINT64_MAX, nullptr, &consumed,
                    &cuts)
              .ok());
    CHECK(indexer.Finish().ok());
  }

  size_t spans() const { return indexer.checkpoints().size(); }
  SpanDecoder::Options Start(size_t i) const {
    const Checkpoint point = indexer.checkpoints()[i];
    SpanDecoder::Options options;
    options.engine = engine;
    options.bits = point.bits;
    options.window = point.window;
    return options;
  }
  Bytes Input(size_t i) const {
    const CheckpointList& points = indexer.checkpoints();
    const uint64_t from = points[i].in - (points[i].bits > 0 ? 1 : 0);
    const uint64_t to = i + 1 < spans() ? points[i + 1].in : gzip.size();
    return Bytes(gzip.begin() + static_cast<long>(from),
                 gzip.begin() + static_cast<long>(to));
  }
  Bytes Expected(size_t i) const {
    const CheckpointList& points = indexer.checkpoints();
    const uint64_t to =
        i + 1 < spans() ? points[i + 1].out : output.bytes.size();
    return Bytes(output.bytes.begin() + static_cast<long>(points[i].out),
                 output.bytes.begin() + static_cast<long>(to));
  }
};

Bytes ManyMembers(const Bytes& data, size_t size) {
  Bytes gzip;
  for (size_t at = 0; at < data.size(); at += size) {
    const size_t end = std::min(at + size, data.size());
    Append(&gzip, Gzip(Bytes(data.begin() + static_cast<long>(at),
                             data.begin() + static_cast<long>(end)),
                       {6, Z_DEFAULT_STRATEGY, 500, at == 0}));
    if (at % 3 == 0) Append(&gzip, Gzip({}));
  }
  return gzip;
}

std::vector<Bytes> Layers() {
  const Bytes data = SampleData(300000, 5);
  return {Gzip(data),
          Gzip(data, {6, Z_FIXED, 3000, true}),
          Gzip(data, {0, Z_DEFAULT_STRATEGY, 0, false}),
          Gzip(Bytes(2000000)),
          Gzip({}),
          ManyMembers(data, 7000),
          ManyMembers(data, 100000)};
}

Bytes DecodeInSlices(const SpanDecoder::Options& options, const Bytes& input,
                     size_t skip, size_t len, size_t in_slice,
                     size_t out_slice) {
  SpanDecoder decoder;
  CHECK(decoder.Start(options).ok());
  Bytes output(len);
  size_t in_at = 0;
  size_t out_at = 0;
  for (;;) {
    // Fresh memory every time: the decoder may rely on nothing but its own.
    Bytes in(input.begin() + static_cast<long>(in_at),
             input.begin() +
                 static_cast<long>(std::min(in_at + in_slice, input.size())));
    Bytes out(std::min(out_slice, len - out_at));
    MarkUnwritten(out.data(), out.size());
    const SpanDecoder::Progress progress = decoder.Run(
        in.data(), in.size(), out.data(), out.size(), skip, nullptr);
    if (!progress.status.ok()) return {};
    in_at += progress.consumed;
    skip -= progress.skipped;
    std::copy_n(out.begin(), progress.produced,
                output.begin() + static_cast<long>(out_at));
    out_at += progress.produced;
    if (out_at == len && skip == 0) return output;
    if (progress.consumed + progress.skipped + progress.produced == 0) {
      return {};  // stuck
    }
  }
}

void TestEverySpan() {
  Random random(6);
  for (const Bytes& gzip : Layers()) {
    const Layer layer(gzip, 20000);
    for (size_t i = 0; i < layer.spans(); i++) {
      const Bytes input = layer.Input(i);
      const Bytes expected = layer.Expected(i);
      Bytes output(expected.size());
      MarkUnwritten(output.data(), output.size());
      CHECK(DecodeSpan(layer.Start(i), input.data(), input.size(),
                       output.data(), output.size(), nullptr)
                .ok());
      CHECK(output == expected);
      for (const size_t slice : {1u, 17u, 5000u, 100000u}) {
        if (slice == 1 && expected.size() > 100000) continue;
        CHECK(DecodeInSlices(layer.Start(i), input, 0, expected.size(), slice,
                             1 + random.Below(2 * slice)) == expected);
      }
      if (expected.empty()) continue;
      const size_t from = random.Below(expected.size());
      const size_t len = random.Below(expected.size() - from) + 1;
      CHECK(DecodeInSlices(layer.Start(i), input, from, len, 3000, 70000) ==
            Bytes(expected.begin() + static_cast<long>(from),
                  expected.begin() + static_cast<long>(from + len)));
    }
  }
}

void TestFromHeader() {
  const Bytes data = SampleData(50000, 7);
  const Bytes gzip = ManyMembers(data, 9000);
  SpanDecoder::Options options;
  options.engine = engine;
  options.gzip_header = true;
  Bytes output(data.size());
  CHECK(DecodeSpan(options, gzip.data(), gzip.size(), output.data(),
                   output.size(), nullptr)
            .ok());
  CHECK(output == data);
  CHECK(DecodeInSlices(options, gzip, 0, data.size(), 1, 3) == data);

  // Seen whole, a member's checksum counts ...
  Bytes bad = Gzip(data);
  bad[bad.size() - 5] ^= 1;
  Append(&bad, Gzip({1}));
  output.resize(data.size() + 1);
  const Status status = DecodeSpan(options, bad.data(), bad.size(),
                                   output.data(), output.size(), nullptr);
  CHECK(status.code == Code::kGzipChecksum);
  CHECK_EQ(status.offset, Gzip(data).size() - 8);
  // ... entered behind its header, it covers bytes that were never seen.
  SpanDecoder::Options raw;
  raw.engine = engine;
  CHECK(DecodeSpan(raw, bad.data() + 10, bad.size() - 10, output.data(),
                   output.size(), nullptr)
            .ok());
}

void TestEnd() {
  const Bytes gzip = Gzip(SampleData(1000, 8));
  SpanDecoder::Options options;
  options.engine = engine;
  options.gzip_header = true;
  SpanDecoder decoder;
  Bytes output(2000);
  CHECK(decoder.Start(options).ok());
  SpanDecoder::Progress progress = decoder.Run(gzip.data(), gzip.size() - 1,
                                               output.data(), 2000, 0, nullptr);
  CHECK(progress.status.ok() && !progress.ended);
  CHECK_EQ(progress.produced, 1000u);
  progress =
      decoder.Run(&gzip[gzip.size() - 1], 1, output.data(), 1000, 0, nullptr);
  CHECK(progress.status.ok() && progress.ended);
  const uint8_t junk[] = {0};
  progress = decoder.Run(junk, 1, output.data(), 1000, 0, nullptr);
  CHECK(progress.status.code == Code::kTrailingData);
  CHECK_EQ(progress.status.offset, gzip.size());
  progress = decoder.Run(junk, 1, output.data(), 1000, 0, nullptr);
  CHECK(progress.status.code == Code::kMisuse);
}

void TestHostile() {
  const Bytes data = SampleData(20000, 9);
  const Bytes gzip = Gzip(data);
  SpanDecoder::Options raw;
  raw.engine = engine;
  Bytes output(data.size() + 1);
  const auto decode = [&](const Bytes& in, size_t len) {
    return DecodeSpan(raw, in.data(), in.size(), output.data(), len, nullptr);
  };
  const Bytes deflate(gzip.begin() + 10, gzip.end());

  // Promises of more than there is.
  CHECK(decode(deflate, data.size() + 1).code == Code::kOutputLength);
  for (size_t cut = 0; cut < deflate.size() - 8; cut += 101) {
    const Bytes head(deflate.begin(), deflate.begin() + static_cast<long>(cut));
    CHECK(decode(head, data.size()).code == Code::kOutputLength);
  }
  // Nothing wanted, nothing read: not even what cannot be decoded.
  CHECK(decode(Bytes(100, 0xff), 0).ok());
  CHECK(decode({}, 0).ok());
  CHECK(decode({}, 1).code == Code::kOutputLength);
  CHECK(decode(Bytes(100, 0xff), 1).code == Code::kDeflateData);

  // Blocks and members that never yield anything end with the input.
  Bytes empty_blocks;
  for (int i = 0; i < 200000; i++) Append(&empty_blocks, {0, 0, 0, 0xff, 0xff});
  CHECK(decode(empty_blocks, 1).code == Code::kOutputLength);
  Bytes empty_members;
  for (int i = 0; i < 20000; i++) Append(&empty_members, Gzip({}));
  raw.gzip_header = true;
  const Status status = decode(empty_members, 1);
  CHECK(status.code == Code::kOutputLength);
  CHECK_EQ(status.offset, empty_members.size());
  raw.gzip_header = false;

  // Without a window no distance reaches before the span; with one it may.
  const Bytes reaches_back = {0x03, 0x02, 0x00};
  CHECK(decode(reaches_back, 3).code == Code::kDeflateData);
  const Bytes window(kWindowSize, 'w');
  raw.window = window.data();
  CHECK(decode(reaches_back, 3).ok());
  CHECK(Bytes(output.begin(), output.begin() + 3) == Bytes(3, 'w'));

  SpanDecoder decoder;
  SpanDecoder::Options bad;
  bad.bits = 8;
  CHECK(decoder.Start(bad).code == Code::kMisuse);
  bad.bits = 1;
  bad.gzip_header = true;
  CHECK(decoder.Start(bad).code == Code::kMisuse);

  const std::atomic<bool> abort{true};
  CHECK(DecodeSpan(raw, deflate.data(), deflate.size(), output.data(), 100,
                   &abort)
            .code == Code::kAborted);
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  for (const soci::Engine each : {soci::Engine::kZlib, soci::Engine::kFast}) {
    engine = each;
    TestEverySpan();
    TestFromHeader();
    TestEnd();
    TestHostile();
  }
  return Report("span_decoder");
}
