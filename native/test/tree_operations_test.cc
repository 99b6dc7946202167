// Batches are read as they were written, and refused wherever they are
// malformed, whatever was cut off or changed.
#include "../core/tree/tree_operations.h"

#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "tree_batch.h"

namespace soci::test {
namespace {

// How many records are read before the end or the first that is malformed.
// From memory of exactly that size, so that sanitizers see what is read behind.
size_t Count(const Bytes& batch, bool* malformed) {
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[batch.size()]);
  std::copy(batch.begin(), batch.end(), exact.get());
  TreeOperationReader reader(exact.get(), batch.size());
  TreeOperation operation;
  size_t count = 0;
  size_t sum = 0;
  while (!reader.AtEnd() && reader.Next(&operation)) {
    count++;
    for (const char c : operation.path) sum += static_cast<uint8_t>(c);
    for (const char c : operation.link) sum += static_cast<uint8_t>(c);
    TreeXattrs xattrs = operation.xattrs;
    for (TreeXattr xattr; xattrs.Next(&xattr);) {
      for (const char c : xattr.name) sum += static_cast<uint8_t>(c);
      for (const char c : xattr.value) sum += static_cast<uint8_t>(c);
    }
  }
  CHECK(sum < SIZE_MAX);
  *malformed = !reader.AtEnd();
  return count;
}

bool IsMalformed(const Bytes& batch) {
  bool malformed = false;
  Count(batch, &malformed);
  return malformed;
}

bool IsMalformed(const Record& record) {
  return IsMalformed(BatchOf({record}));
}

Record Full() {
  Record record{Kind::kSymbolicLink, "dir/name", "../target"};
  record.flags = 0xff;
  record.mode = 07777;
  record.uid = 70000;
  record.gid = 0xffffffff;
  record.seconds = -5;
  record.nanoseconds = 999999999;
  record.major = 8;
  record.minor = 1 << 19;
  record.id = 12;
  record.tar_offset = uint64_t{1} << 40;
  record.length = uint64_t{1} << 33;
  record.file_offset = 3;
  record.xattrs = {{"user.a", std::string("v\0w", 3)}, {"security.b", ""}};
  return record;
}

void ReadsWhatWasWritten() {
  const Bytes batch = BatchOf({Full(), {Kind::kDirectory, ""}});
  TreeOperationReader reader(batch.data(), batch.size());
  TreeOperation operation;
  CHECK(reader.Next(&operation));
  CHECK(operation.kind == Kind::kSymbolicLink);
  CHECK(operation.path == "dir/name" && operation.link == "../target");
  CHECK(operation.flags == 0xff && operation.mode == 07777);
  CHECK(operation.uid == 70000 && operation.gid == 0xffffffff);
  CHECK(operation.seconds == -5 && operation.nanoseconds == 999999999);
  CHECK(operation.device_major == 8 && operation.device_minor == 1 << 19);
  CHECK_EQ(operation.file_id, 12u);
  CHECK_EQ(operation.tar_offset, uint64_t{1} << 40);
  CHECK_EQ(operation.length, uint64_t{1} << 33);
  CHECK_EQ(operation.file_offset, 3u);
  TreeXattr xattr;
  CHECK(operation.xattrs.Next(&xattr));
  CHECK(xattr.name == "user.a" && xattr.value.size() == 3);
  CHECK(operation.xattrs.Next(&xattr));
  CHECK(xattr.name == "security.b" && xattr.value.empty());
  CHECK(!operation.xattrs.Next(&xattr));
  CHECK(!reader.AtEnd() && reader.Next(&operation));
  CHECK(operation.path.empty() && operation.xattrs.empty());
  CHECK(reader.AtEnd());
}

void RefusesWhatIsCutOff() {
  const Bytes whole = BatchOf({Full(), Full()});
  for (size_t size = 0; size < whole.size(); size++) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<long>(size));
    bool malformed = false;
    const size_t count = Count(cut, &malformed);
    CHECK_EQ(count, size < whole.size() / 2 ? 0u : 1u);
    CHECK_EQ(malformed, size != 0 && size != whole.size() / 2);
  }
}

void RefusesWrongLengths() {
  const Bytes sound = BatchOf({Full()});
  // Of the record, its path and link; of an xattr's name and value.
  const size_t xattr = TreeOperationReader::kHeaderSize + 8 + 9;
  for (const size_t at : {size_t{0}, size_t{8}, size_t{12}, xattr, xattr + 4}) {
    const uint32_t right = LoadLe32(&sound[at]);
    for (const uint32_t wrong :
         {uint32_t{0}, right - 8, right + 8, right + 80, uint32_t{0x7fffffff},
          uint32_t{0xfffffff8}, uint32_t{0xffffffff}}) {
      Bytes batch = sound;
      Put32(&batch, at, wrong);
      CHECK(IsMalformed(batch));
    }
  }
  Bytes batch = sound;
  batch[6] = 1;  // one xattr less: too much is left
  CHECK(IsMalformed(batch));
  batch[6] = 3;
  CHECK(IsMalformed(batch));
  batch[7] = 0xff;
  CHECK(IsMalformed(batch));
}

void RefusesWrongFields() {
  for (const int kind : {0, 13, 255}) {
    Bytes batch = BatchOf({Full()});
    batch[4] = static_cast<uint8_t>(kind);
    CHECK(IsMalformed(batch));
  }
  Bytes reserved = BatchOf({Full()});
  reserved[52] = 1;
  CHECK(IsMalformed(reserved));
  Record record = Full();
  record.nanoseconds = 1000000000;
  CHECK(IsMalformed(record));
  record = Full();
  record.mode = S_IFREG | 0644;
  CHECK(IsMalformed(record));
  record = Full();
  record.tar_offset = UINT64_MAX - 5;
  CHECK(IsMalformed(record));
  record = Full();
  record.file_offset = INT64_MAX - 5;
  CHECK(IsMalformed(record));
  record = Full();
  record.xattrs[0].first = "";
  CHECK(IsMalformed(record));
  record.xattrs[0].first = std::string("user.\0", 6);
  CHECK(IsMalformed(record));
  record = Full();
  record.link = std::string("a\0b", 3);
  CHECK(IsMalformed(record));
}

void RefusesWrongNodes() {
  Record record{Kind::kNode, "n"};
  for (const uint32_t mode :
       {uint32_t{0}, uint32_t{0644}, uint32_t{S_IFREG}, uint32_t{S_IFDIR},
        uint32_t{S_IFLNK}, uint32_t{S_IFSOCK}, uint32_t{1} << 31}) {
    record.mode = mode;
    CHECK(IsMalformed(record));
  }
  for (const uint32_t mode :
       {uint32_t{S_IFCHR}, uint32_t{S_IFBLK | 07777}, uint32_t{S_IFIFO}}) {
    record.mode = mode;
    CHECK(!IsMalformed(record));
  }
}

void RefusesPathsThatAreNotBelow() {
  const std::vector<std::string> wrong = {"/",
                                          "/a",
                                          "a/",
                                          "a//b",
                                          ".",
                                          "..",
                                          "./a",
                                          "../a",
                                          "a/..",
                                          "a/.",
                                          "a/./b",
                                          "a/../b",
                                          "//",
                                          std::string("\0", 1),
                                          std::string("a\0", 2),
                                          std::string("a/\0b", 4)};
  for (const std::string& path : wrong) {
    CHECK(IsMalformed({Kind::kFile, path}));
    CHECK(IsMalformed({Kind::kPiece, path}));
    CHECK(IsMalformed({Kind::kHardLink, "a", path}));
  }
  for (const char* path : {"a", "a/b", "...", ".a", "a./..b", "a b", "\xff"}) {
    CHECK(!IsMalformed({Kind::kFile, path}));
    CHECK(!IsMalformed({Kind::kHardLink, "a", path}));
  }
  CHECK(!IsMalformed({Kind::kFile, std::string(100000, 'a')}));
  // The root can be had, not replaced.
  for (int kind = 1; kind <= 12; kind++) {
    const bool root = kind == 1 || kind == 4 || kind == 5 || kind >= 10;
    Record record{static_cast<Kind>(kind), "", "target"};
    if (record.kind == Kind::kNode) record.mode = S_IFIFO;
    CHECK_EQ(IsMalformed(record), !root);
  }
  CHECK(IsMalformed({Kind::kHardLink, "a", ""}));
}

}  // namespace
}  // namespace soci::test

int main() {
  using namespace soci::test;
  ReadsWhatWasWritten();
  RefusesWhatIsCutOff();
  RefusesWrongLengths();
  RefusesWrongFields();
  RefusesWrongNodes();
  RefusesPathsThatAreNotBelow();
  return Report("tree_operations_test");
}
