#include "core/tree/open_entry.h"

#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/growable_buffer.h"
#include "core/tree/terminated_text.h"

namespace soci {
namespace {

#if defined(__linux__)

// /proc/self/fd/N leads to what the descriptor holds, and no further, even if
// that is a symbolic link.
class DescriptorPath {
 public:
  explicit DescriptorPath(int fd) {
    std::snprintf(text_, sizeof text_, "/proc/self/fd/%d", fd);
  }
  const char* get() const { return text_; }

 private:
  char text_[32];
};

#endif

// The labels of security modules are theirs.
bool IsRemovable(const char* name) {
  return std::strncmp(name, "security.", 9) != 0 ||
         std::strcmp(name, "security.capability") == 0;
}

}  // namespace

#if defined(__linux__)

int OpenEntry::SetOwner(uint32_t uid, uint32_t gid) const {
  return access_ == Access::kFile ? fchown(fd_, uid, gid)
                                  : fchownat(fd_, "", uid, gid, AT_EMPTY_PATH);
}

int OpenEntry::SetMode(uint32_t mode) const {
  return access_ == Access::kFile ? fchmod(fd_, mode)
                                  : chmod(DescriptorPath(fd_).get(), mode);
}

int OpenEntry::SetTimes(const timespec times[2]) const {
  if (access_ == Access::kFile) return futimens(fd_, times);
  if (utimensat(fd_, "", times, AT_EMPTY_PATH) == 0) return 0;
  if (errno != EINVAL) return -1;
  // Linux before 5.8 does not know AT_EMPTY_PATH there.
  return utimensat(AT_FDCWD, DescriptorPath(fd_).get(), times, 0);
}

int OpenEntry::SetXattr(const TreeXattr& xattr) const {
  const TerminatedText name(xattr.name);
  if (!name.fits()) {
    errno = ERANGE;
    return -1;
  }
  const char* const value = xattr.value.data();
  const size_t size = xattr.value.size();
  return access_ == Access::kFile
             ? fsetxattr(fd_, name.get(), value, size, 0)
             : setxattr(DescriptorPath(fd_).get(), name.get(), value, size, 0);
}

ssize_t OpenEntry::ListXattrs(char* list, size_t size) const {
  return listxattr(DescriptorPath(fd_).get(), list, size);
}

int OpenEntry::RemoveXattr(const char* name) const {
  return removexattr(DescriptorPath(fd_).get(), name);
}

#else

int OpenEntry::SetOwner(uint32_t uid, uint32_t gid) const {
  return fchown(fd_, uid, gid);
}

int OpenEntry::SetMode(uint32_t mode) const {
  return fchmod(fd_, static_cast<mode_t>(mode));
}

int OpenEntry::SetTimes(const timespec times[2]) const {
  return futimens(fd_, times);
}

int OpenEntry::SetXattr(const TreeXattr& xattr) const {
  const TerminatedText name(xattr.name);
  if (!name.fits()) {
    errno = ERANGE;
    return -1;
  }
  return fsetxattr(fd_, name.get(), xattr.value.data(), xattr.value.size(), 0,
                   0);
}

ssize_t OpenEntry::ListXattrs(char* list, size_t size) const {
  return flistxattr(fd_, list, size, 0);
}

int OpenEntry::RemoveXattr(const char* name) const {
  return fremovexattr(fd_, name, 0);
}

#endif

int OpenEntry::RemoveXattrs() const {
  const ssize_t size = ListXattrs(nullptr, 0);
  if (size <= 0) return size == 0 || errno == ENOTSUP ? 0 : -1;
  GrowableBuffer names;
  char* const list =
      reinterpret_cast<char*>(names.Extend(static_cast<size_t>(size) + 1));
  if (list == nullptr) {
    errno = ENOMEM;
    return -1;
  }
  const ssize_t found = ListXattrs(list, static_cast<size_t>(size));
  if (found < 0) return -1;
  list[found] = '\0';
  for (const char* name = list; name < list + found;
       name += std::strlen(name) + 1) {
    if (IsRemovable(name) && RemoveXattr(name) != 0) return -1;
  }
  return 0;
}

}  // namespace soci
