#include "core/tree/beneath.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/tree/open_entry.h"
#include "core/tree/terminated_text.h"

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace soci {
namespace {

constexpr mode_t kMadeMode = 0755;

#if defined(__linux__)

// struct open_how and RESOLVE_… of linux/openat2.h, which older headers lack.
struct OpenHow {
  uint64_t flags;
  uint64_t mode;
  uint64_t resolve;
};
constexpr long kOpenAt2 = 437;  // on every architecture
constexpr uint64_t kNoMagicLinks = 2;
constexpr uint64_t kNoSymbolicLinks = 4;
constexpr uint64_t kBeneath = 8;

int OpenWholePath(int from, const char* path) {
  const OpenHow how = {kOpenDirectoryWithoutAccess, 0,
                       kNoMagicLinks | kNoSymbolicLinks | kBeneath};
  return static_cast<int>(syscall(kOpenAt2, from, path, &how, sizeof how));
}

#else

int OpenWholePath(int /*from*/, const char* /*path*/) {
  errno = ENOSYS;
  return -1;
}

#endif

// What the process's umask took away is given back: other threads use the umask
// meanwhile, so it stays.
TreeFailure GiveMode(int fd) {
  const OpenEntry entry(fd, OpenEntry::Access::kNone);
  struct stat found;
  if (entry.Stat(&found) != 0) return TreeFailure::Of("stat");
  if ((found.st_mode & 0777) == kMadeMode) return TreeFailure::None();
  return entry.SetMode((found.st_mode & 07000) | kMadeMode) == 0
             ? TreeFailure::None()
             : TreeFailure::Of("chmod");
}

}  // namespace

TreeFailure Beneath::OpenDirectory(int from, std::string_view path,
                                   Missing missing, FileDescriptor* directory) {
  if (whole_paths_.load(std::memory_order_relaxed) &&
      TerminatedText::Fits(path)) {
    FileDescriptor found(OpenWholePath(from, TerminatedText(path).get()));
    if (found.open()) {
      *directory = std::move(found);
      return TreeFailure::None();
    }
    if (errno == ENOSYS || errno == EPERM) {
      whole_paths_.store(false, std::memory_order_relaxed);
    } else if (errno != ENOENT || missing == Missing::kFail) {
      return TreeFailure::Of("open");
    }
  }
  return OpenNameByName(from, path, missing, directory);
}

TreeFailure Beneath::OpenNameByName(int from, std::string_view path,
                                    Missing missing,
                                    FileDescriptor* directory) {
  FileDescriptor current;
  for (size_t at = 0; at < path.size();) {
    const size_t slash = path.find('/', at);
    const TerminatedText name(path.substr(at, slash - at));
    if (!name.fits()) return {"open", ENAMETOOLONG};
    const int parent = current.open() ? current.get() : from;
    FileDescriptor next(
        openat(parent, name.get(), kOpenDirectoryWithoutAccess));
    if (!next.open() && errno == ENOENT && missing == Missing::kMake) {
      const bool made = mkdirat(parent, name.get(), kMadeMode) == 0;
      if (!made && errno != EEXIST) return TreeFailure::Of("mkdir");
      next = FileDescriptor(
          openat(parent, name.get(), kOpenDirectoryWithoutAccess));
      if (made && next.open()) {
        const TreeFailure failure = GiveMode(next.get());
        if (!failure.ok()) return failure;
      }
    }
    if (!next.open()) return TreeFailure::Of("open");
    current = std::move(next);
    at = slash == std::string_view::npos ? path.size() : slash + 1;
  }
  *directory = std::move(current);
  return TreeFailure::None();
}

}  // namespace soci
