// The directory that the last operation of a batch was in, kept open: the next
// one is in the same, as a rule, or below it. An operation removes nothing
// above its own directory, so what is kept is never stale. One batch's own.
#pragma once

#include <string_view>

#include "core/tree/beneath.h"
#include "core/tree/file_descriptor.h"
#include "core/tree/tree_failure.h"

namespace soci {

class ParentDirectory {
 public:
  // `root` stays open meanwhile, as do the bytes of all paths.
  ParentDirectory(int root, Beneath* beneath)
      : root_(root), beneath_(beneath) {}

  // The directory that `path` is in, until the next call, and its name there;
  // "." of the root itself.
  TreeFailure Open(std::string_view path, Beneath::Missing missing,
                   int* directory, std::string_view* name);

  // `directory` is the one at `path`: what follows may be in it.
  void Enter(std::string_view path, FileDescriptor directory);

 private:
  int root_;
  Beneath* beneath_;
  std::string_view path_;
  FileDescriptor directory_;  // none: of the root
};

}  // namespace soci
