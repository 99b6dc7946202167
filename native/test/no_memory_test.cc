// Makes the n-th allocation fail, for every n until nothing fails any more:
// each time the answer must be kNoMemory, and nothing may leak (which the
// sanitizer build sees). The idea is that of zlib's infcover. Linked with
// --wrap, so that zlib's allocations count like our own.
#include <algorithm>
#include <new>

#include "../core/layer_indexer.h"
#include "../core/marked_blocks.h"
#include "../core/span_decoder.h"
#include "feed.h"
#include "gzip_data.h"
#include "tar_data.h"

namespace {

long allocations_left = -1;  // until one fails; negative: none does

bool Fails() { return allocations_left >= 0 && allocations_left-- == 0; }

}  // namespace

extern "C" {
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* old, size_t size);
void* __wrap_malloc(size_t size);
void* __wrap_calloc(size_t count, size_t size);
void* __wrap_realloc(void* old, size_t size);

void* __wrap_malloc(size_t size) {
  return Fails() ? nullptr : __real_malloc(size);
}
void* __wrap_calloc(size_t count, size_t size) {
  return Fails() ? nullptr : __real_calloc(count, size);
}
void* __wrap_realloc(void* old, size_t size) {
  return Fails() ? nullptr : __real_realloc(old, size);
}

// operator new and new[] of size_t and nothrow_t, the only forms that the core
// allocates objects with. Wrapped, not replaced: the runtime of clang's
// MemorySanitizer has them too, and the linker refuses a second definition.
void* __real__ZnwmRKSt9nothrow_t(size_t size, const std::nothrow_t& tag);
void* __real__ZnamRKSt9nothrow_t(size_t size, const std::nothrow_t& tag);
void* __wrap__ZnwmRKSt9nothrow_t(size_t size, const std::nothrow_t& tag);
void* __wrap__ZnamRKSt9nothrow_t(size_t size, const std::nothrow_t& tag);

void* __wrap__ZnwmRKSt9nothrow_t(size_t size, const std::nothrow_t& tag) {
  return Fails() ? nullptr : __real__ZnwmRKSt9nothrow_t(size, tag);
}
void* __wrap__ZnamRKSt9nothrow_t(size_t size, const std::nothrow_t& tag) {
  return Fails() ? nullptr : __real__ZnamRKSt9nothrow_t(size, tag);
}
}

namespace soci::test {
namespace {

// Runs `work` with failing allocations until it succeeds without one; returns
// how often it failed.
template <typename Work>
int FailEverywhere(const Work& work) {
  for (int n = 0; n < 1000; n++) {
    allocations_left = n;
    const Status status = work();
    const bool reached = allocations_left < 0;
    allocations_left = -1;
    if (!reached) {
      CHECK(status.ok());
      return n;
    }
    CHECK(status.code == Code::kNoMemory);
  }
  CHECK(false && "an end of the allocations");
  return 0;
}

Status IndexLayer(const Bytes& layer, const LayerIndexer::Options& options) {
  LayerIndexer indexer;
  Status status = indexer.Init(options);
  size_t at = 0;
  while (status.ok() && at < layer.size()) {
    size_t consumed = 0;
    status =
        Feed(&indexer, &layer[at], std::min<size_t>(700, layer.size() - at),
             100000, nullptr, &consumed);
    at += consumed;
  }
  return status.ok() ? indexer.Finish() : status;
}

void TestIndexer(Engine engine) {
  TarBuilder tar;
  for (size_t i = 0; i < 20; i++) {
    tar.Extension('x', PaxRecord("comment", std::string(3000, 'c')));
    tar.Entry('0', "file", SampleData(3000, i));
  }
  tar.End();
  LayerIndexer::Options options;
  options.engine = engine;
  options.span_size = 5000;
  options.max_checkpoints = 1000;
  options.compression = Compression::kGzip;
  const Bytes gzip = Gzip(tar.bytes, {6, Z_FIXED, 1000, true});
  CHECK(FailEverywhere([&] { return IndexLayer(gzip, options); }) > 5);
  options.compression = Compression::kUncompressed;
  CHECK(FailEverywhere([&] { return IndexLayer(tar.bytes, options); }) > 3);
}

void TestSpanDecoder(Engine engine) {
  const Bytes data = SampleData(200000, 1);
  const Bytes gzip = Gzip(data);
  const Bytes window(kWindowSize);
  SpanDecoder::Options options;
  options.engine = engine;
  options.window = window.data();
  Bytes output(data.size());
  CHECK(FailEverywhere([&] {
          return DecodeSpan(options, gzip.data() + 10, gzip.size() - 10,
                            output.data(), output.size(), nullptr);
        }) > 1);
  CHECK(output == data);
}

// Nothing is decoded ahead then, or less; the next time it is.
void TestMarkedBlocks() {
  const std::atomic<bool> go_on{false};
  const Bytes gzip = Gzip(SampleData(300000, 4));
  int failures = 0;
  for (bool reached = false; !reached; failures++) {
    MarkedBlocks marked;
    allocations_left = failures;
    const bool found = marked.Decode(gzip.data(), gzip.size(), &go_on);
    reached = allocations_left >= 0;
    allocations_left = -1;
    CHECK(found || !reached);
    CHECK(marked.Decode(gzip.data(), gzip.size(), &go_on));
  }
  CHECK(failures > 3);
}

void TestCheckpoints() {
  CheckpointList list;
  const Bytes window(kWindowSize);
  CHECK(list.Append(CheckpointList::kImpliedFirst, window.data()).ok());
  for (const auto version :
       {CheckpointList::Version::kV1, CheckpointList::Version::kV2}) {
    Bytes blob(list.BlobSize(version));
    list.Serialize(version, blob.data());
    CHECK(FailEverywhere([&] {
            CheckpointList parsed;
            CheckpointList::Version seen;
            return parsed.Parse(blob.data(), blob.size(), &seen);
          }) > 0);
  }
}

}  // namespace
}  // namespace soci::test

int main() {
  using soci::Engine;
  for (const Engine engine : {Engine::kZlib, Engine::kFast}) {
    soci::test::TestIndexer(engine);
    soci::test::TestSpanDecoder(engine);
  }
  soci::test::TestMarkedBlocks();
  soci::test::TestCheckpoints();
  return soci::test::Report("no_memory");
}
