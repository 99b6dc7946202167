// An entry of a tree that is held by a descriptor, so that whatever becomes of
// its name meanwhile, calls act on that very entry. A file that was just made
// has an ordinary descriptor; anything else is held by one that was opened
// without access (O_PATH), which neither waits for a fifo's other end, nor
// wakes a device, nor needs permission to read. The kernel refuses many calls
// on such a descriptor and offers detours, which are here.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string_view>

#include "core/tree/tree_operations.h"

namespace soci {

#if defined(__linux__)
constexpr int kOpenWithoutAccess = O_PATH | O_NOFOLLOW | O_CLOEXEC;
#else
// macOS: O_SYMLINK opens a symbolic link itself.
constexpr int kOpenWithoutAccess =
    O_RDONLY | O_NONBLOCK | O_NOCTTY | O_SYMLINK | O_CLOEXEC;
#endif
constexpr int kOpenDirectoryWithoutAccess =
#if defined(__linux__)
    kOpenWithoutAccess | O_DIRECTORY;
#else
    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
#endif

class OpenEntry {
 public:
  // How `fd` was opened.
  enum class Access : uint8_t { kNone, kFile };

  OpenEntry(int fd, Access access) : fd_(fd), access_(access) {}

  // All of these return 0 or set errno.
  int Stat(struct stat* found) const { return fstat(fd_, found); }
  int SetOwner(uint32_t uid, uint32_t gid) const;
  // Not of symbolic links, which have none.
  int SetMode(uint32_t mode) const;
  int SetTimes(const timespec times[2]) const;
  int SetXattr(const TreeXattr& xattr) const;
  // Of all that it has, those that the system keeps for itself excepted.
  int RemoveXattrs() const;

 private:
  ssize_t ListXattrs(char* list, size_t size) const;
  int RemoveXattr(const char* name) const;

  int fd_;
  Access access_;
};

}  // namespace soci
