// Directories beneath a root, whatever links are on their paths: none is
// followed, not even one that stays beneath, and not one that somebody puts in
// while the path is walked. The kernel does that in one call (openat2(2), Linux
// 5.6); where it does not, or a filter of system calls forbids that one, each
// name is opened in the directory before it, which is as strong.
//
// Mount points are crossed: whoever mounted something there means it.
//
// Thread safety: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "core/tree/file_descriptor.h"
#include "core/tree/tree_failure.h"

namespace soci {

class Beneath {
 public:
  enum class Resolver : uint8_t { kWholePaths, kNameByName };
  enum class Missing : uint8_t { kFail, kMake };

  // `first`: what is tried first.
  explicit Beneath(Resolver first)
      : whole_paths_(first == Resolver::kWholePaths) {}

  // Opens a directory without access (open_entry.h). `path` is relative to the
  // directory `from`, checked (tree_operations.h) and not empty. Directories
  // that are missing are made with mode 0755, if they are to be.
  TreeFailure OpenDirectory(int from, std::string_view path, Missing missing,
                            FileDescriptor* directory);

 private:
  static TreeFailure OpenNameByName(int from, std::string_view path,
                                    Missing missing, FileDescriptor* directory);

  std::atomic<bool> whole_paths_;
};

}  // namespace soci
