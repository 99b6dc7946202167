// Open file description locks, fcntl(2): they belong to the open file, not to
// the process, so they are not lost when another part of the process closes the
// same file, and they end with the last descriptor, even of a killed process.
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "addon/posix.h"

namespace soci::addon::posix {

Napi::Value Lock(const Napi::CallbackInfo& info) {
  const std::string mode = info[1].ToString().Utf8Value();
  struct flock lock = {};  // l_start and l_len of 0: the whole file
  lock.l_whence = SEEK_SET;
  lock.l_type = static_cast<short>(mode == "exclusive" ? F_WRLCK
                                   : mode == "shared"  ? F_RDLCK
                                                       : F_UNLCK);
  return ResultOf(info.Env(),
                  fcntl(ReadDescriptor(info[0]), F_OFD_SETLK, &lock));
}

}  // namespace soci::addon::posix
