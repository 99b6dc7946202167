#include "core/tree/tree_operations.h"

#include <sys/stat.h>

#include "core/bytes.h"

namespace soci {
namespace {

constexpr uint32_t kPermissions = 07777;
constexpr uint32_t kNanosecondsPerSecond = 1000000000;
// Offsets of files are signed.
constexpr uint64_t kMaxOffset = INT64_MAX;

std::string_view TextAt(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

bool HasZero(std::string_view text) {
  return text.find('\0') != std::string_view::npos;
}

// Whether a path names something beneath the root, or the root, and in one way.
bool IsBelowRoot(std::string_view path) {
  if (path.empty()) return true;
  if (HasZero(path)) return false;
  for (size_t at = 0;;) {
    const size_t slash = path.find('/', at);
    const std::string_view name = path.substr(at, slash - at);
    if (name.empty() || name == "." || name == "..") return false;
    if (slash == std::string_view::npos) return true;
    at = slash + 1;
  }
}

bool IsKind(uint8_t kind) {
  return kind >= static_cast<uint8_t>(TreeOperationKind::kDirectory) &&
         kind <= static_cast<uint8_t>(TreeOperationKind::kSync);
}

bool MayBeRoot(TreeOperationKind kind) {
  switch (kind) {
    case TreeOperationKind::kDirectory:
    case TreeOperationKind::kClearDirectory:
    case TreeOperationKind::kSetAttributes:
    case TreeOperationKind::kSync:
    case TreeOperationKind::kPiece:  // These two have an id instead.
    case TreeOperationKind::kEndFile:
      return true;
    default:
      return false;
  }
}

bool IsNodeType(uint32_t type) {
  return type == S_IFCHR || type == S_IFBLK || type == S_IFIFO;
}

bool IsRange(uint64_t offset, uint64_t length) {
  return offset <= kMaxOffset && length <= kMaxOffset - offset;
}

bool IsSound(const TreeOperation& operation) {
  const bool node = operation.kind == TreeOperationKind::kNode;
  const uint32_t type = operation.mode & ~kPermissions;
  if (node ? !IsNodeType(type) : type != 0) return false;
  if (operation.nanoseconds >= kNanosecondsPerSecond) return false;
  if (!IsRange(operation.tar_offset, operation.length)) return false;
  if (!IsRange(operation.file_offset, operation.length)) return false;
  if (!IsBelowRoot(operation.path)) return false;
  if (operation.path.empty() && !MayBeRoot(operation.kind)) return false;
  if (operation.kind == TreeOperationKind::kHardLink) {
    return !operation.link.empty() && IsBelowRoot(operation.link);
  }
  return !HasZero(operation.link);
}

// How long the xattrs are that begin there; false if they do not fit.
bool MeasureXattrs(const uint8_t* data, size_t left, size_t count,
                   size_t* size) {
  size_t used = 0;
  for (; count > 0; count--) {
    if (left - used < 8) return false;
    const size_t name = LoadLe32(data + used);
    const size_t value = LoadLe32(data + used + 4);
    used += 8;
    if (name == 0 || name > left - used || value > left - used - name) {
      return false;
    }
    if (HasZero(TextAt(data + used, name))) return false;
    used += name + value;
  }
  *size = used;
  return true;
}

}  // namespace

bool TreeXattrs::Next(TreeXattr* xattr) {
  if (count_ == 0) return false;
  count_--;
  const size_t name = LoadLe32(data_);
  const size_t value = LoadLe32(data_ + 4);
  xattr->name = TextAt(data_ + 8, name);
  xattr->value = TextAt(data_ + 8 + name, value);
  data_ += 8 + name + value;
  return true;
}

bool TreeOperationReader::Next(TreeOperation* operation) {
  const uint8_t* const record = at_;
  if (left_ < kHeaderSize) return false;
  const size_t length = LoadLe32(record);
  if (length < kHeaderSize || length > left_ || length % 8 != 0) return false;
  const size_t path = LoadLe32(record + 8);
  const size_t link = LoadLe32(record + 12);
  const size_t room = length - kHeaderSize;
  if (path > room || link > room - path) return false;
  const uint8_t* const text = record + kHeaderSize;
  const size_t xattr_count = record[6] | size_t{record[7]} << 8;
  size_t xattrs = 0;
  if (!MeasureXattrs(text + path + link, room - path - link, xattr_count,
                     &xattrs) ||
      room - path - link - xattrs >= 8) {
    return false;
  }
  if (!IsKind(record[4]) || LoadLe32(record + 52) != 0) return false;
  operation->kind = static_cast<TreeOperationKind>(record[4]);
  operation->flags = record[5];
  operation->path = TextAt(text, path);
  operation->link = TextAt(text + path, link);
  operation->mode = LoadLe32(record + 16);
  operation->uid = LoadLe32(record + 20);
  operation->gid = LoadLe32(record + 24);
  operation->nanoseconds = LoadLe32(record + 28);
  operation->seconds = static_cast<int64_t>(LoadLe64(record + 32));
  operation->device_major = LoadLe32(record + 40);
  operation->device_minor = LoadLe32(record + 44);
  operation->file_id = LoadLe32(record + 48);
  operation->tar_offset = LoadLe64(record + 56);
  operation->length = LoadLe64(record + 64);
  operation->file_offset = LoadLe64(record + 72);
  operation->xattrs = TreeXattrs(text + path + link, xattr_count);
  if (!IsSound(*operation)) return false;
  at_ += length;
  left_ -= length;
  return true;
}

}  // namespace soci
