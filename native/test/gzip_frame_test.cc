// Gzip headers field by field and byte by byte; trailers across chunks.
#include "../core/gzip_frame.h"

#include <algorithm>

#include "../core/gzip_crc32.h"
#include "check.h"

namespace soci::test {
namespace {

// Flags: 2 header CRC, 4 extra, 8 name, 16 comment.
Bytes Header(uint8_t flags) {
  Bytes header = {0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255};
  const auto add = [&header](const Bytes& field) {
    header.insert(header.end(), field.begin(), field.end());
  };
  if ((flags & 4) != 0) add({3, 0, 'a', 0, 'b'});
  if ((flags & 8) != 0) add({'n', 0});
  if ((flags & 16) != 0) add({'c', 'c', 0});
  if ((flags & 2) != 0) {
    const uint32_t crc = Crc32(0, header.data(), header.size());
    add({static_cast<uint8_t>(crc), static_cast<uint8_t>(crc >> 8)});
  }
  return header;
}

Status Parse(const Bytes& bytes, size_t chunk, GzipHeader* header,
             size_t* total) {
  *total = 0;
  while (*total < bytes.size() && !header->done()) {
    size_t consumed = 0;
    const Status status =
        header->Feed(bytes.data() + *total,
                     std::min(chunk, bytes.size() - *total), &consumed);
    *total += consumed;
    if (!status.ok()) return status;
  }
  return Status::Ok();
}

void TestEveryFlag() {
  for (uint8_t flags = 0; flags < 32; flags++) {
    const Bytes bytes = Header(flags);
    Bytes followed = bytes;
    followed.insert(followed.end(), 5, 0xaa);
    for (size_t chunk = 1; chunk <= followed.size(); chunk++) {
      GzipHeader header;
      size_t total = 0;
      CHECK(Parse(followed, chunk, &header, &total).ok());
      CHECK(header.done());
      CHECK_EQ(total, bytes.size());
      CHECK_EQ(header.size(), bytes.size());
    }
    GzipHeader cut;
    size_t total = 0;
    CHECK(Parse(Bytes(bytes.begin(), bytes.end() - 1), 3, &cut, &total).ok());
    CHECK(!cut.done());
    cut.Reset();
    CHECK(Parse(bytes, 4, &cut, &total).ok() && cut.done());
  }
}

void TestEmptyExtra() {
  GzipHeader header;
  size_t total = 0;
  CHECK(Parse({0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0, 0, 0}, 1, &header, &total)
            .ok());
  CHECK(header.done());
}

void TestBad() {
  const auto fails_at = [](size_t at, uint8_t value) {
    Bytes bytes = Header(2);
    bytes[at] = value;
    GzipHeader header;
    size_t total = 0;
    const Status status = Parse(bytes, 100, &header, &total);
    CHECK_EQ(header.recognized(), at > 2);
    return status.code == Code::kGzipHeader ? static_cast<int>(status.offset)
                                            : -1;
  };
  CHECK_EQ(fails_at(0, 0), 0);
  CHECK_EQ(fails_at(1, 0x1f), 1);
  CHECK_EQ(fails_at(2, 7), 2);
  CHECK_EQ(fails_at(3, 0x20), 3);
  CHECK_EQ(fails_at(3, 0x80), 3);
  CHECK_EQ(fails_at(4, 0xee), 10);  // where the header CRC is
}

void TestTrailer() {
  const Bytes bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (size_t chunk = 1; chunk <= bytes.size(); chunk++) {
    GzipTrailer trailer;
    size_t at = 0;
    while (!trailer.done()) {
      at += trailer.Feed(&bytes[at], std::min(chunk, bytes.size() - at));
    }
    CHECK_EQ(at, 8u);
    CHECK_EQ(trailer.crc32(), 0x04030201u);
    CHECK_EQ(trailer.isize(), 0x08070605u);
  }
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  TestEveryFlag();
  TestEmptyExtra();
  TestBad();
  TestTrailer();
  return Report("gzip_frame");
}
