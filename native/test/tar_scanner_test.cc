// Which records the scanner keeps and where it says the tar ends, after the
// rules of Go's archive/tar, in any chunking.
#include "../core/tar_scanner.h"

#include "../core/bytes.h"
#include "tar_data.h"

namespace soci::test {
namespace {

struct Scan {
  Status status;
  uint64_t end = 0;
  std::vector<uint64_t> offsets;
  std::vector<size_t> lengths;
  Bytes records;
};

Scan ScanIn(const Bytes& tar, size_t chunk) {
  TarScanner scanner;
  Scan scan;
  bool written = true;
  for (size_t at = 0; at < tar.size(); at += chunk) {
    const size_t len = std::min(chunk, tar.size() - at);
    written &= scanner.Write(tar.data() + at, len).ok();
    GrowableBuffer records;
    scanner.TakeRecords(&records);
    scan.records.insert(scan.records.end(), records.data(),
                        records.data() + records.size());
  }
  CHECK(written);
  scan.status = scanner.Finish();
  scan.end = scanner.end();
  for (size_t at = 0; at < scan.records.size();) {
    const uint64_t offset = LoadLe64(&scan.records[at]);
    const size_t len = LoadLe32(&scan.records[at + 8]);
    scan.offsets.push_back(offset);
    scan.lengths.push_back(len);
    const bool inside = offset + len <= tar.size();
    CHECK(inside &&
          std::equal(tar.begin() + static_cast<long>(offset),
                     tar.begin() + static_cast<long>(offset + len),
                     scan.records.begin() + static_cast<long>(at) + 12));
    at += 12 + len;
  }
  return scan;
}

Scan ScanAll(const Bytes& tar) {
  const Scan whole = ScanIn(tar, tar.size() + 1);
  for (const size_t chunk : {1u, 100u, 511u, 512u, 513u, 4096u}) {
    const Scan chunked = ScanIn(tar, chunk);
    CHECK(chunked.status.code == whole.status.code);
    CHECK_EQ(chunked.status.offset, whole.status.offset);
    CHECK_EQ(chunked.end, whole.end);
    CHECK(chunked.records == whole.records);
  }
  return whole;
}

using Offsets = std::vector<uint64_t>;

// The header behind `entry` is found where it is, or it is not.
bool WalksTo(const TarBuilder& tar, uint64_t next) {
  const Scan scan = ScanAll(tar.bytes);
  return scan.status.ok() && !scan.offsets.empty() &&
         scan.offsets.back() == next;
}

// GNU's old sparse files: blocks of the map stand between the header, whose
// size does not count them, and the data.
void TestSparseMaps() {
  for (const size_t blocks : {0u, 1u, 3u}) {
    TarBuilder tar;
    Bytes header = TarHeaderBlock('S', "holes", Octal(700));
    header[482] = blocks > 0;
    SetChecksum(header.data());
    Offsets expected = {tar.Block(header)};
    for (size_t i = 0; i < blocks; i++) {
      Bytes map(512, 2);
      map[504] = i + 1 < blocks;
      expected.push_back(tar.Block(map));
    }
    tar.Contents(Bytes(700, 1));
    expected.push_back(tar.Entry('0', "next", Bytes(1)));
    tar.End();
    const Scan scan = ScanAll(tar.bytes);
    CHECK(scan.status.ok());
    CHECK(scan.offsets == expected);
    tar.bytes.resize(512 + blocks * 512 - 1);
    CHECK(ScanAll(tar.bytes).status.code == Code::kTarHeader);
  }
}

void TestWalk() {
  TarBuilder tar;
  Offsets expected;
  expected.push_back(tar.Entry('5', "d/", {}));
  expected.push_back(tar.Entry('0', "d/a", Bytes(1)));
  expected.push_back(tar.Entry('0', "d/b", Bytes(512)));
  expected.push_back(tar.Entry('0', "d/c", Bytes(513, 1)));
  expected.push_back(tar.Entry('7', "contiguous", Bytes(700, 1)));
  tar.End();
  const uint64_t end = tar.bytes.size();
  tar.bytes.resize(10240, 7);  // behind the end anything may follow
  const Scan scan = ScanAll(tar.bytes);
  CHECK(scan.status.ok());
  CHECK(scan.offsets == expected);
  CHECK_EQ(scan.end, end);
}

void TestEnds() {
  TarBuilder tar;
  tar.Entry('0', "a", Bytes(513, 1));
  const uint64_t size = tar.bytes.size();
  const auto cut = [&](uint64_t len) {
    Bytes bytes = tar.bytes;
    bytes.resize(len);
    return ScanAll(bytes);
  };
  // Without an end of archive, after one zero block, and inside of padding.
  for (const uint64_t len :
       {uint64_t{0}, size, size + 512, size - 1, size - 511}) {
    CHECK(cut(len).status.ok());
    CHECK_EQ(cut(len).end, len);
  }
  // Inside of a header, of contents, of the second zero block.
  for (const uint64_t len : {uint64_t{1}, uint64_t{511}, uint64_t{512},
                             size - 512, size + 100, size + 513}) {
    CHECK(cut(len).status.code == Code::kTarHeader);
    CHECK_EQ(cut(len).status.offset, len);
  }
  // An extension that nothing follows, whole or cut.
  TarBuilder dangling;
  dangling.Extension('x', PaxRecord("path", "b"));
  CHECK(ScanAll(dangling.bytes).status.ok());
  dangling.bytes.resize(600 - 80);
  CHECK(ScanAll(dangling.bytes).status.code == Code::kTarHeader);
}

void TestMalformed() {
  TarBuilder tar;
  tar.Entry('0', "a", {1});
  const uint64_t bad = tar.Block(Bytes(512, 'x'));
  tar.Entry('0', "b", {1});
  Scan scan = ScanAll(tar.bytes);
  CHECK(scan.status.code == Code::kTarHeader);
  CHECK_EQ(scan.status.offset, bad);
  CHECK(scan.offsets == (Offsets{0, bad}));

  // A lone zero block between headers: it is the record that tells.
  TarBuilder zero;
  zero.Block(Bytes(512));
  zero.Entry('0', "a", {});
  scan = ScanAll(zero.bytes);
  CHECK(scan.status.code == Code::kTarHeader);
  CHECK(scan.offsets == Offsets{0});

  for (const char* size : {"0000000000x", "-1", "1 1", "8"}) {
    TarBuilder number;
    number.Block(TarHeaderBlock('0', "a", size));
    CHECK(ScanAll(number.bytes).status.code == Code::kTarHeader);
  }
}

void TestSizes() {
  const auto walks = [](const std::string& size, size_t contents) {
    TarBuilder tar;
    tar.Block(TarHeaderBlock('0', "a", size));
    tar.Contents(Bytes(contents, 1));
    const uint64_t next = tar.Entry('0', "b", {});
    return WalksTo(tar, next);
  };
  CHECK(walks("00000001750 ", 1000));
  CHECK(walks(" 1750", 1000));
  CHECK(walks("", 0));
  CHECK(walks(std::string("\x80\0\0\0\0\0\0\0\0\0\x03\xe8", 12), 1000));
  CHECK(!walks(
      std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12), 0));
  CHECK(!walks(
      std::string("\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12), 0));

  // 5 GiB are stepped over, and so is a size that ends beyond the stream.
  TarBuilder huge;
  huge.Block(TarHeaderBlock('0', "a", "50000000000"));
  TarScanner scanner;
  CHECK(scanner.Write(huge.bytes.data(), 512).ok());
  const Bytes zeros(1 << 20);
  for (int i = 0; i < 5 * 1024; i++) {
    if (!scanner.Write(zeros.data(), zeros.size()).ok()) CHECK(false);
  }
  CHECK(scanner.Finish().ok());
  CHECK_EQ(scanner.end(), (uint64_t{5} << 30) + 512);

  // The old signed checksum.
  Bytes block = TarHeaderBlock('0', "\xff\xfe", Octal(0));
  int sum = 0;
  std::memset(&block[148], ' ', 8);
  for (const uint8_t byte : block) sum += static_cast<int8_t>(byte);
  std::snprintf(reinterpret_cast<char*>(&block[148]), 8, "%06o",
                static_cast<unsigned>(sum));
  CHECK(ScanAll(block).status.ok());
}

void TestHeaderOnly() {
  for (const char type : {'1', '2', '3', '4', '5', '6'}) {
    TarBuilder tar;
    tar.Block(TarHeaderBlock(type, "a", Octal(1000)));
    CHECK(WalksTo(tar, tar.Entry('0', "b", {})));
  }
  // Type NUL: a name that ends in a slash, wherever it comes from.
  const auto is_directory = [](TarBuilder tar, Bytes block) {
    SetChecksum(block.data());
    tar.Block(block);
    return WalksTo(tar, tar.Entry('0', "b", {}));
  };
  const Bytes file = TarHeaderBlock('\0', "a", Octal(1000));
  const Bytes directory = TarHeaderBlock('\0', "a/", Octal(1000));
  CHECK(!is_directory({}, file));
  CHECK(is_directory({}, directory));
  TarBuilder named;
  named.Extension('x', PaxRecord("path", "long/"));
  CHECK(is_directory(named, file));
  named.Extension('L', std::string("longer\0/", 8));
  CHECK(!is_directory(named, directory));
  named.Extension('x', "");
  CHECK(!is_directory(named, directory));  // L survives an x
  named.Extension('L', std::string("\0", 1));
  CHECK(is_directory(named, directory));  // an empty long name is none
  Bytes prefixed = TarHeaderBlock('\0', "", Octal(1000));
  prefixed[345] = 'p';
  CHECK(is_directory({}, prefixed));
  std::memcpy(&prefixed[257], "ustar  ", 8);  // GNU has times there, not names
  prefixed[345] = '1';
  CHECK(!is_directory({}, prefixed));
  prefixed[345] = 'p';  // unless they are no numbers
  CHECK(is_directory({}, prefixed));
}

void TestPaxSize() {
  const auto walks = [](const std::string& pax, size_t contents) {
    TarBuilder tar;
    tar.Extension('x', pax);
    // Not for the extensions in between.
    tar.Extension('L', "name");
    tar.Block(TarHeaderBlock('0', "a", Octal(0)));
    tar.Contents(Bytes(contents, 1));
    return WalksTo(tar, tar.Entry('0', "b", {}));
  };
  CHECK(walks(PaxRecord("size", "1000"), 1000));
  CHECK(walks(PaxRecord("size", "+1000"), 1000));
  CHECK(walks(PaxRecord("size", "7") + PaxRecord("size", "1000"), 1000));
  CHECK(walks(PaxRecord("size", "1000") + PaxRecord("size", ""), 0));
  CHECK(!walks(PaxRecord("size", "-1"), 0));
  CHECK(!walks(PaxRecord("size", "9223372036854775808"), 0));
  CHECK(!walks(PaxRecord("size", "1_0"), 10));
  CHECK(walks("5 a=\n", 0));
  for (const char* bad : {"4 a=\n", "6 a=\n", "5 a=x", "7 =ab\n", "5 abc\n",
                          "99 a=b\n", " a=b\n", "5a=b\n", "-5 a=\n"}) {
    CHECK(!walks(bad, 0));
  }
  CHECK(!walks(PaxRecord("path", std::string("a\0b", 3)), 0));
  CHECK(!walks(PaxRecord(std::string("k\0", 2), "v"), 0));
  CHECK(walks(PaxRecord("SCHILY.xattr.user.a", std::string("a\0b", 3)), 0));

  // A later x replaces an earlier one; a global header forgets both.
  for (const char type : {'x', 'g'}) {
    TarBuilder tar;
    tar.Extension('x', PaxRecord("size", "1000"));
    tar.Extension(type, PaxRecord("comment", "c"));
    tar.Block(TarHeaderBlock('0', "a", Octal(0)));
    CHECK(WalksTo(tar, tar.Entry('0', "b", {})));
  }
}

void TestExtensions() {
  // Their bodies are records of their own, without padding; empty ones too.
  TarBuilder tar;
  tar.Extension('K', "target");
  tar.Extension('x', "");
  tar.Entry('2', "a", {});
  tar.End();
  const Scan scan = ScanAll(tar.bytes);
  CHECK(scan.status.ok());
  CHECK(scan.offsets == (Offsets{0, 512, 1024, 1536, 1536}));
  CHECK(scan.lengths == (std::vector<size_t>{512, 6, 512, 0, 512}));

  TarBuilder largest;
  largest.Extension('L', std::string(TarScanner::kMaxExtensionSize, 'n'));
  CHECK(WalksTo(largest, largest.Entry('0', "a", {})));
  TarBuilder larger;
  larger.Extension('L', std::string(TarScanner::kMaxExtensionSize + 1, 'n'));
  CHECK(ScanIn(larger.bytes, 4096).status.code == Code::kTarHeader);
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  TestWalk();
  TestSparseMaps();
  TestEnds();
  TestMalformed();
  TestSizes();
  TestHeaderOnly();
  TestPaxSize();
  TestExtensions();
  return Report("tar_scanner");
}
