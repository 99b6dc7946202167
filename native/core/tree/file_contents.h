// Writes a part of the tar into a file, straight from the blocks that it lies
// in.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/tree/tar_blocks.h"
#include "core/tree/tree_failure.h"

namespace soci {

struct FileContents {
  uint64_t tar_offset;
  uint64_t length;
  uint64_t file_offset;
};

// ENODATA: the tar is not held there. `aborted` may be nullptr and is polled:
// ECANCELED.
TreeFailure WriteContents(int fd, FileContents contents, TarBlocks* blocks,
                          const std::atomic<bool>* aborted);

}  // namespace soci
