// Writes a tree beneath a directory: executes batches of operations
// (tree_operations.h), whose contents are in the blocks of a tar. What may be
// executed beside what is decided by whoever sends the batches; that nothing is
// written outside of the directory is decided here.
//
// Thread safety: any; Open and Close by one thread while no batch is under way.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/tree/beneath.h"
#include "core/tree/entry_attributes.h"
#include "core/tree/file_descriptor.h"
#include "core/tree/open_files.h"
#include "core/tree/tar_blocks.h"
#include "core/tree/tree_failure.h"

namespace soci {

struct BatchResult {
  TreeFailure failure;
  size_t operation = 0;  // that failed: its number in the batch
  LeftOut left_out;
};

class TreeWriter {
 public:
  struct Options {
    bool owners = true;      // whether to set any
    bool privileged = true;  // whether what is refused is a failure
    Beneath::Resolver resolver = Beneath::Resolver::kWholePaths;
  };

  TreeWriter(const Options& options, std::shared_ptr<TarBlocks> blocks)
      : attributes_(options.owners, options.privileged),
        beneath_(options.resolver),
        blocks_(std::move(blocks)) {}

  // Writes beneath the directory that `root` is open at, of which it takes a
  // descriptor of its own.
  TreeFailure Open(int root);
  bool open() const { return root_.open(); }

  // Executes the operations in their order, up to the first that fails. A batch
  // that is malformed anywhere fails as a whole: "parse", EINVAL. `aborted` may
  // be nullptr and is polled: ECANCELED.
  void Run(const uint8_t* batch, size_t size, const std::atomic<bool>* aborted,
           BatchResult* result);

  // Closes the files that were begun and not ended.
  void CloseFiles() { files_.CloseAll(); }
  // And the root.
  void Close();

 private:
  friend class BatchRun;

  const EntryAttributes attributes_;
  Beneath beneath_;
  const std::shared_ptr<TarBlocks> blocks_;
  FileDescriptor root_;
  OpenFiles files_;
};

}  // namespace soci
