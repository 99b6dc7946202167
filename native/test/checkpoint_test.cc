// The zinfo blob: both versions there and back, and what must be refused.
#include "../core/checkpoint.h"

#include "../core/bytes.h"
#include "check.h"

namespace soci::test {
namespace {

using Version = CheckpointList::Version;

Bytes Blob(const CheckpointList& list, Version version) {
  Bytes blob(list.BlobSize(version));
  list.Serialize(version, blob.data());
  return blob;
}

void Fill(CheckpointList* list, size_t count) {
  list->set_span_size(4 << 20);
  Bytes window(kWindowSize);
  for (size_t i = 0; i < count; i++) {
    const CheckpointPosition position = {10 + 100 * i, 1000 * i,
                                         static_cast<uint8_t>(i % 8)};
    CHECK(list->Append(position, window.data()).ok());
    window.assign(kWindowSize, static_cast<uint8_t>(i + 1));
  }
}

void TestRoundTrip() {
  for (const size_t count : {1u, 2u, 9u}) {
    CheckpointList list;
    Fill(&list, count);
    CHECK(list.FitsV1());
    for (const Version version : {Version::kV1, Version::kV2}) {
      const Bytes blob = Blob(list, version);
      const size_t present = version == Version::kV2 ? count : count - 1;
      CHECK_EQ(blob.size(), 12 + present * 32785);
      CheckpointList parsed;
      Version seen = Version::kV2;
      CHECK(parsed.Parse(blob.data(), blob.size(), &seen).ok());
      CHECK(seen == version);
      CHECK_EQ(parsed.size(), count);
      CHECK_EQ(parsed.span_size(), uint64_t{4 << 20});
      for (size_t i = 0; i < count; i++) {
        CHECK_EQ(parsed[i].in, 10 + 100 * i);
        CHECK_EQ(parsed[i].out, 1000 * i);
        CHECK_EQ(parsed[i].bits, i % 8);
        CHECK_EQ(parsed[i].window[kWindowSize - 1], i);
      }
      CHECK(Blob(parsed, version) == blob);
    }
  }
}

void TestEdits() {
  CheckpointList list;
  CHECK(!list.FitsV1());
  Fill(&list, 3);
  list.RemoveLast();
  CHECK_EQ(list.size(), 2u);
  list.Clear();
  CHECK_EQ(list.size(), 0u);
  const Bytes window(kWindowSize, 1);
  CHECK(list.Append(CheckpointList::kImpliedFirst, window.data()).ok());
  CHECK(!list.FitsV1());
}

Status Parse(const Bytes& blob) {
  CheckpointList list;
  Version version = Version::kV2;
  const Status status = list.Parse(blob.data(), blob.size(), &version);
  CHECK_EQ(list.size() == 0, !status.ok());
  return status;
}

void TestRefused() {
  CheckpointList list;
  Fill(&list, 3);
  const Bytes good = Blob(list, Version::kV2);
  for (const size_t len : {size_t{0}, size_t{11}, size_t{13}, good.size() - 1,
                           good.size() + 1, good.size() - 2 * 32785}) {
    Bytes blob = good;
    blob.resize(len);
    CHECK(Parse(blob).code == Code::kCheckpointBlob);
  }
  // Counts of which 32-bit arithmetic makes a length that fits.
  for (const uint32_t count : {0u, 1u, 5u, 0x80000003u, 0xffffffffu}) {
    Bytes blob = good;
    StoreLe32(blob.data(), count);
    CHECK(Parse(blob).code == Code::kCheckpointBlob);
  }
  const auto refused_at = [&good](size_t at, uint64_t value) {
    Bytes blob = good;
    StoreLe64(&blob[at], value);
    const Status status = Parse(blob);
    return status.code == Code::kCheckpointBlob ? status.offset : 0;
  };
  const size_t second = 12 + 32785;
  CHECK_EQ(refused_at(4, uint64_t{1} << 63), 4u);  // span size
  CHECK_EQ(refused_at(12, 0), 12u);                // in
  CHECK_EQ(refused_at(second, 10), second);        // in does not rise
  CHECK_EQ(refused_at(second + 8, uint64_t{1} << 63), second);
  CHECK_EQ(refused_at(12 + 8, 1001), second);  // out falls
  Bytes bits = good;
  bits[second + 16] = 8;
  CHECK_EQ(Parse(bits).offset, second);
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  TestRoundTrip();
  TestEdits();
  TestRefused();
  return Report("checkpoint");
}
