// Whatever a batch is, nothing is read outside of it, and what is executed
// makes nothing outside of its root: that is in another directory, which must
// have nothing else in it.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "../core/bytes.h"
#include "../core/tree/file_descriptor.h"
#include "../core/tree/tree_operations.h"
#include "../core/tree/tree_removal.h"
#include "../core/tree/tree_writer.h"
#include "fuzz_input.h"

namespace {

using namespace soci;

// Reading everything that was found shows sanitizers where it is.
uint8_t SumOf(std::string_view text) {
  uint8_t sum = 0;
  for (const char c : text) sum = static_cast<uint8_t>(sum + c);
  return sum;
}

// How many records are sound.
size_t Parse(const uint8_t* data, size_t size) {
  TreeOperationReader reader(data, size);
  TreeOperation operation;
  size_t count = 0;
  volatile uint8_t sum = 0;
  while (!reader.AtEnd() && reader.Next(&operation)) {
    count++;
    sum = static_cast<uint8_t>(sum + SumOf(operation.path) +
                               SumOf(operation.link));
    TreeXattrs xattrs = operation.xattrs;
    for (TreeXattr xattr; xattrs.Next(&xattr);) {
      sum = static_cast<uint8_t>(sum + SumOf(xattr.name) + SumOf(xattr.value));
    }
  }
  return count;
}

char outer_path[32];

void RemoveOuter() { rmdir(outer_path); }

// A directory for all inputs.
int Outer() {
  static const int outer = [] {
    // Disks take much longer, and say nothing more.
    const bool memory = access("/dev/shm", W_OK) == 0;
    std::snprintf(outer_path, sizeof outer_path, "%s/soci-fuzz-XXXXXX",
                  memory ? "/dev/shm" : "/tmp");
    fuzz::Require(mkdtemp(outer_path) != nullptr);
    fuzz::Require(std::atexit(RemoveOuter) == 0);
    return open(outer_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }();
  return outer;
}

bool IsEmpty(int outer) {
  DIR* const entries = fdopendir(openat(outer, ".", O_RDONLY | O_CLOEXEC));
  fuzz::Require(entries != nullptr);
  size_t count = 0;
  while (readdir(entries) != nullptr) count++;
  closedir(entries);
  return count == 2;  // "." and ".."
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
  fuzz::Input input(data, len);
  TreeWriter::Options options;
  options.privileged = (input.Byte() & 1) != 0;
  options.resolver = (input.Byte() & 1) != 0 ? Beneath::Resolver::kWholePaths
                                             : Beneath::Resolver::kNameByName;
  const size_t records = Parse(input.data(), input.size());

  const int outer = Outer();
  fuzz::Require(mkdirat(outer, "root", 0755) == 0);
  const auto blocks = std::make_shared<TarBlocks>();
  fuzz::Require(blocks->Write(data, len).ok());
  {
    TreeWriter writer(options, blocks);
    const FileDescriptor root(
        openat(outer, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    fuzz::Require(writer.Open(root.get()).ok());
    BatchResult result;
    writer.Run(input.data(), input.size(), nullptr, &result);
    fuzz::Require(result.operation <= records);
    fuzz::Require(result.failure.ok() || result.failure.call != nullptr);
  }
  bool directory = false;
  const TreeFailure removed =
      TreeRemoval(true, nullptr)
          .Remove(outer, "root", TreeRemoval::Directories::kRemove, &directory);
  fuzz::Require(removed.ok() && directory);
  fuzz::Require(IsEmpty(outer));
  return 0;
}
