#include "core/tree/file_contents.h"

#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace soci {
namespace {

// In one call, of up to 16 MiB: the abort flag is polled between calls.
constexpr size_t kMostPieces = 4;

}  // namespace

TreeFailure WriteContents(int fd, FileContents contents, TarBlocks* blocks,
                          const std::atomic<bool>* aborted) {
  while (contents.length > 0) {
    if (aborted != nullptr && aborted->load(std::memory_order_relaxed)) {
      return {"write", ECANCELED};
    }
    TarBlocks::Piece pieces[kMostPieces];
    const size_t count =
        blocks->Pin(contents.tar_offset, contents.length, pieces, kMostPieces);
    if (count == 0) return {"write", ENODATA};
    iovec parts[kMostPieces];
    for (size_t i = 0; i < count; i++) {
      parts[i] = {const_cast<uint8_t*>(pieces[i].data), pieces[i].size};
    }
    const ssize_t written = pwritev(fd, parts, static_cast<int>(count),
                                    static_cast<off_t>(contents.file_offset));
    const int error = written < 0 ? errno : EIO;
    blocks->Unpin(pieces, count);
    if (written < 0 && error == EINTR) continue;
    if (written <= 0) return {"write", error};
    contents.tar_offset += static_cast<uint64_t>(written);
    contents.file_offset += static_cast<uint64_t>(written);
    contents.length -= static_cast<uint64_t>(written);
  }
  return TreeFailure::None();
}

}  // namespace soci
