#include "core/tree/entry_attributes.h"

#include <sys/stat.h>

#include <cerrno>
#include <ctime>

namespace soci {
namespace {

constexpr uint32_t kPermissions = 07777;
constexpr uint32_t kSetIdBits = S_ISUID | S_ISGID;
// chown(2) takes it for "as it is".
constexpr uint32_t kNoId = UINT32_MAX;

}  // namespace

bool EntryAttributes::Any(const TreeOperation& operation) {
  return operation.has(TreeFlag::kOwner | TreeFlag::kMode | TreeFlag::kTimes |
                       TreeFlag::kOnlyTheseXattrs) ||
         !operation.xattrs.empty();
}

uint32_t EntryAttributes::FirstMode(const TreeOperation& operation,
                                    uint32_t otherwise) {
  return operation.has(TreeFlag::kMode) ? operation.mode & 0777 : otherwise;
}

TreeFailure EntryAttributes::Set(const TreeOperation& operation,
                                 const OpenEntry& entry,
                                 LeftOut* left_out) const {
  struct stat found;
  if (entry.Stat(&found) != 0) return TreeFailure::Of("stat");
  const mode_t type = found.st_mode & S_IFMT;
  uint32_t mode = operation.mode & kPermissions;
  bool mode_changed = !operation.xattrs.empty();  // by an ACL
  if (operation.has(TreeFlag::kOwner)) {
    const TreeFailure failure = SetOwner(operation, entry, &found, left_out);
    if (!failure.ok()) return failure;
    // A program that runs as its owner must not run as somebody else.
    if (type != S_IFDIR && found.st_uid != operation.uid)
      mode &= ~uint32_t{S_ISUID};
    if (type != S_IFDIR && found.st_gid != operation.gid)
      mode &= ~uint32_t{S_ISGID};
    if ((mode & kSetIdBits) != 0) mode_changed = true;
  }
  const TreeFailure failure = SetXattrs(operation, entry, type, left_out);
  if (!failure.ok()) return failure;
  if (operation.has(TreeFlag::kMode) && type != S_IFLNK &&
      (mode_changed || (found.st_mode & kPermissions) != mode) &&
      entry.SetMode(mode) != 0) {
    return TreeFailure::Of("chmod");
  }
  if (operation.has(TreeFlag::kTimes)) {
    timespec time = {};
    time.tv_sec = static_cast<time_t>(operation.seconds);
    time.tv_nsec = static_cast<long>(operation.nanoseconds);
    const timespec times[2] = {time, time};
    if (entry.SetTimes(times) != 0) return TreeFailure::Of("utimens");
  }
  return TreeFailure::None();
}

// `found` says afterwards whose it is.
TreeFailure EntryAttributes::SetOwner(const TreeOperation& operation,
                                      const OpenEntry& entry,
                                      struct stat* found,
                                      LeftOut* left_out) const {
  if (found->st_uid == operation.uid && found->st_gid == operation.gid) {
    return TreeFailure::None();
  }
  if (owners_) {
    if (operation.uid == kNoId || operation.gid == kNoId) {
      errno = EINVAL;
    } else if (entry.SetOwner(operation.uid, operation.gid) == 0) {
      found->st_uid = operation.uid;
      found->st_gid = operation.gid;
      return TreeFailure::None();
    }
    // EINVAL: the user namespace has no such id.
    if (privileged_ || (errno != EPERM && errno != EINVAL)) {
      return TreeFailure::Of("chown");
    }
  }
  left_out->owners++;
  return TreeFailure::None();
}

TreeFailure EntryAttributes::SetXattrs(const TreeOperation& operation,
                                       const OpenEntry& entry, uint32_t type,
                                       LeftOut* left_out) const {
  if (operation.has(TreeFlag::kOnlyTheseXattrs) && entry.RemoveXattrs() != 0 &&
      (privileged_ || (errno != EPERM && errno != EACCES))) {
    return TreeFailure::Of("removexattr");
  }
  // Linux has attributes "user." of nothing else, for nobody (xattr(7)).
  const bool all_names = type == S_IFREG || type == S_IFDIR;
  TreeXattrs xattrs = operation.xattrs;
  for (TreeXattr xattr; xattrs.Next(&xattr);) {
    if (entry.SetXattr(xattr) == 0) continue;
    const bool user = xattr.name.substr(0, 5) == "user.";
    const bool refused = errno == EPERM || errno == EACCES;
    const bool optional =
        errno == ENOTSUP || (refused && (!privileged_ || (user && !all_names)));
    if (operation.has(TreeFlag::kXattrsRequired) || !optional) {
      return TreeFailure::Of("setxattr");
    }
    left_out->xattrs++;
  }
  return TreeFailure::None();
}

}  // namespace soci
