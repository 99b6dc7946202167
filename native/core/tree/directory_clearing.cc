#include "core/tree/directory_clearing.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/tree/file_descriptor.h"
#include "core/tree/open_entry.h"

namespace soci {
namespace {

constexpr int kReadDirectory =
    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

// Somebody else may go on adding entries, but not for ever.
constexpr int kMaxReadings = 16;

constexpr uint32_t kUnlocked = 0700;

bool IsDots(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

bool IsNotEmpty(int error) { return error == ENOTEMPTY || error == EEXIST; }

// Lets the owner, who alone may, read and change a directory.
void Unlock(int parent, const char* name) {
  const FileDescriptor directory(
      openat(parent, name, kOpenDirectoryWithoutAccess));
  if (!directory.open()) return;
  const OpenEntry entry(directory.get(), OpenEntry::Access::kNone);
  // What it was for says whether it was of use.
  static_cast<void>(entry.SetMode(kUnlocked));
}

}  // namespace

DirectoryClearing::~DirectoryClearing() {
  while (depth_ > 0) closedir(levels_[--depth_].entries);
}

TreeFailure DirectoryClearing::Run(int parent, const char* name, First first) {
  TreeFailure failure = Enter(parent, name, first == First::kGoes);
  while (failure.ok() && depth_ > 0) {
    if (aborted_ != nullptr && aborted_->load(std::memory_order_relaxed)) {
      return {"unlink", ECANCELED};
    }
    failure = Step();
  }
  return failure;
}

// Opens a directory as the next level.
TreeFailure DirectoryClearing::Enter(int parent, const char* name,
                                     bool unlock) {
  Level* const level = &levels_[depth_];
  const size_t length = std::strlen(name);
  if (length >= sizeof level->name) return {"open", ENAMETOOLONG};
  if (unlock && !privileged_) Unlock(parent, name);
  FileDescriptor opened(openat(parent, name, kReadDirectory));
  if (!opened.open()) return TreeFailure::Of("open");
  level->entries = fdopendir(opened.get());
  if (level->entries == nullptr) return TreeFailure::Of("open");
  opened.Take();
  level->readings = 1;
  level->met = false;
  std::memcpy(level->name, name, length + 1);
  depth_++;
  return TreeFailure::None();
}

// Removes the next entry, or goes into it, or leaves where there is none.
TreeFailure DirectoryClearing::Step() {
  errno = 0;
  const dirent* const entry = readdir(top()->entries);
  if (entry == nullptr) {
    return errno == 0 ? Leave() : TreeFailure::Of("readdir");
  }
  const char* const name = entry->d_name;
  if (IsDots(name)) return TreeFailure::None();
  top()->met = true;
  if (unlinkat(fd(depth_), name, 0) == 0 || errno == ENOENT) {
    return TreeFailure::None();
  }
  // Of a directory: EISDIR in Linux, EPERM in POSIX.
  if (errno != EISDIR && errno != EPERM) return TreeFailure::Of("unlink");
  const int refusal = errno;
  if (unlinkat(fd(depth_), name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
    return TreeFailure::None();
  }
  if (errno == ENOTDIR) return {"unlink", refusal};
  if (!IsNotEmpty(errno)) return TreeFailure::Of("rmdir");
  return depth_ < kMaxDepth ? Enter(fd(depth_), name, true) : MoveUp(name);
}

// A reading has ended. What is below the first level is removed. There may be
// entries yet: some that were added or moved here meanwhile, or that the system
// left out as others went while it listed them.
TreeFailure DirectoryClearing::Leave() {
  Level* const level = top();
  bool empty = !level->met;
  if (depth_ > 1) {
    empty = unlinkat(fd(depth_ - 1), level->name, AT_REMOVEDIR) == 0 ||
            errno == ENOENT;
    if (!empty && !IsNotEmpty(errno)) return TreeFailure::Of("rmdir");
  }
  if (empty) {
    closedir(level->entries);
    depth_--;
    return TreeFailure::None();
  }
  if (level->readings++ == kMaxReadings) return {"rmdir", ENOTEMPTY};
  level->met = false;
  rewinddir(level->entries);
  return TreeFailure::None();
}

// Makes a directory that is too deep one of the first level, where names that
// are taken are of entries that go, too.
TreeFailure DirectoryClearing::MoveUp(const char* name) {
  if (!privileged_) Unlock(fd(depth_), name);
  for (;;) {
    char moved[32];
    snprintf(moved, sizeof moved, ".removed-%u", moved_++);
    if (renameat(fd(depth_), name, fd(1), moved) == 0) break;
    if (!IsNotEmpty(errno) && errno != ENOTDIR) {
      return TreeFailure::Of("rename");
    }
  }
  levels_[0].readings = 1;
  return TreeFailure::None();
}

}  // namespace soci
