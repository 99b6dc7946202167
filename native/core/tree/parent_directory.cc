#include "core/tree/parent_directory.h"

#include <utility>

namespace soci {

TreeFailure ParentDirectory::Open(std::string_view path,
                                  Beneath::Missing missing, int* directory,
                                  std::string_view* name) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) {
    Enter({}, FileDescriptor());
    *directory = root_;
    *name = path.empty() ? std::string_view(".") : path;
    return TreeFailure::None();
  }
  *name = path.substr(slash + 1);
  const std::string_view parent = path.substr(0, slash);
  if (!directory_.open() || parent != path_) {
    const bool below = directory_.open() && parent.size() > path_.size() &&
                       parent[path_.size()] == '/' &&
                       parent.substr(0, path_.size()) == path_;
    FileDescriptor opened;
    const TreeFailure failure =
        below ? beneath_->OpenDirectory(directory_.get(),
                                        parent.substr(path_.size() + 1),
                                        missing, &opened)
              : beneath_->OpenDirectory(root_, parent, missing, &opened);
    if (!failure.ok()) return failure;
    Enter(parent, std::move(opened));
  }
  *directory = directory_.get();
  return TreeFailure::None();
}

void ParentDirectory::Enter(std::string_view path, FileDescriptor directory) {
  path_ = path;
  directory_ = std::move(directory);
}

}  // namespace soci
