#include "core/tree/tree_removal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/tree/directory_clearing.h"

namespace soci {
namespace {

// Somebody else may go on adding entries, but not for ever.
constexpr int kMaxRounds = 16;

bool IsDirectory(int parent, const char* name) {
  struct stat found;
  return fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(found.st_mode);
}

}  // namespace

TreeFailure TreeRemoval::Remove(int parent, const char* name,
                                Directories directories,
                                bool* directory) const {
  *directory = false;
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) {
    return TreeFailure::None();
  }
  // Of a directory: EISDIR in Linux, EPERM in POSIX.
  const TreeFailure refusal = TreeFailure::Of("unlink");
  if ((errno != EISDIR && errno != EPERM) || !IsDirectory(parent, name)) {
    return refusal;
  }
  *directory = true;
  if (directories == Directories::kKeep) return TreeFailure::None();
  for (int round = 0; round < kMaxRounds; round++) {
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
      return TreeFailure::None();
    }
    if (errno != ENOTEMPTY && errno != EEXIST) return TreeFailure::Of("rmdir");
    const TreeFailure failure =
        DirectoryClearing(privileged_, aborted_)
            .Run(parent, name, DirectoryClearing::First::kGoes);
    if (!failure.ok()) return failure;
  }
  return {"rmdir", ENOTEMPTY};
}

TreeFailure TreeRemoval::Clear(int parent, const char* name) const {
  return DirectoryClearing(privileged_, aborted_)
      .Run(parent, name, DirectoryClearing::First::kStays);
}

}  // namespace soci
