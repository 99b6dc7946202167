// A batch of operations on a tree, as script sends it: records one after the
// other, whose layout lib/native-tree.ts describes. Script has decided all of
// them, from what an image says; here every length is held against the batch
// and every path against the rules again, for what is executed is what would
// write outside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace soci {

enum class TreeOperationKind : uint8_t {
  kDirectory = 1,
  kFile = 2,
  kBeginFile = 3,
  kPiece = 4,
  kEndFile = 5,
  kSymbolicLink = 6,
  kHardLink = 7,
  kNode = 8,
  kRemove = 9,
  kClearDirectory = 10,
  kSetAttributes = 11,
  kSync = 12,
};

struct TreeFlag {
  static constexpr uint8_t kOwner = 1;
  static constexpr uint8_t kMode = 2;
  static constexpr uint8_t kTimes = 4;
  // Whatever is at the path goes first.
  static constexpr uint8_t kReplace = 8;
  // That something is there is no failure, and leaves it as it is.
  static constexpr uint8_t kOnlyIfMissing = 16;
  static constexpr uint8_t kXattrsRequired = 32;
  // Of what kReplace would remove, directories stay.
  static constexpr uint8_t kKeepDirectory = 64;
  // The extended attributes that it has go first.
  static constexpr uint8_t kOnlyTheseXattrs = 128;
};

struct TreeXattr {
  std::string_view name;
  std::string_view value;
};

// Of a record that was checked.
class TreeXattrs {
 public:
  TreeXattrs() = default;
  TreeXattrs(const uint8_t* data, size_t count) : data_(data), count_(count) {}

  bool empty() const { return count_ == 0; }
  // The next one; false at the end.
  bool Next(TreeXattr* xattr);

 private:
  const uint8_t* data_ = nullptr;
  size_t count_ = 0;
};

// Views into the batch. Fields that a kind has no use for say nothing.
struct TreeOperation {
  TreeOperationKind kind = TreeOperationKind::kRemove;
  uint8_t flags = 0;
  std::string_view path;  // relative to the root; empty: the root itself
  std::string_view link;
  uint32_t mode = 0;  // of nodes with the type
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t seconds = 0;  // of the modification time
  uint32_t nanoseconds = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint32_t file_id = 0;
  uint64_t tar_offset = 0;
  uint64_t length = 0;
  uint64_t file_offset = 0;  // kEndFile: the file's size
  TreeXattrs xattrs;

  bool has(uint8_t flag) const { return (flags & flag) != 0; }
};

class TreeOperationReader {
 public:
  static constexpr size_t kHeaderSize = 80;

  // The bytes stay as they are meanwhile.
  TreeOperationReader(const uint8_t* batch, size_t size)
      : at_(batch), left_(size) {}

  bool AtEnd() const { return left_ == 0; }
  // Reads the next record. False if it is malformed: then there is no next one.
  bool Next(TreeOperation* operation);

 private:
  const uint8_t* at_;
  size_t left_;
};

}  // namespace soci
