// Open file description locks, fcntl(2): they belong to the open file, not to
// the process, so they are not lost when another part of the process closes the
// same file, and they end with the last descriptor, even of a killed process.
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "addon/posix.h"

namespace soci::addon::posix {

namespace {

// (fd, mode, start, length); a length of 0 reaches to the end of all files.
struct flock ReadLock(const Napi::CallbackInfo& info) {
  const std::string mode = info[1].ToString().Utf8Value();
  struct flock lock = {};
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(info[2].ToNumber().Int64Value());
  lock.l_len = static_cast<off_t>(info[3].ToNumber().Int64Value());
  lock.l_type = static_cast<short>(mode == "exclusive" ? F_WRLCK
                                   : mode == "shared"  ? F_RDLCK
                                                       : F_UNLCK);
  return lock;
}

}  // namespace

Napi::Value Lock(const Napi::CallbackInfo& info) {
  struct flock lock = ReadLock(info);
  return ResultOf(info.Env(),
                  fcntl(ReadDescriptor(info[0]), F_OFD_SETLK, &lock));
}

// The lock that is in the way as [start, length], [] when there is none.
Napi::Value FindLock(const Napi::CallbackInfo& info) {
  struct flock lock = ReadLock(info);
  const int result = fcntl(ReadDescriptor(info[0]), F_OFD_GETLK, &lock);
  if (result < 0) return ResultOf(info.Env(), result);
  Napi::Array found = Napi::Array::New(info.Env());
  if (lock.l_type == F_UNLCK) return found;
  found.Set(0u,
            Napi::Number::New(info.Env(), static_cast<double>(lock.l_start)));
  found.Set(1u, Napi::Number::New(info.Env(), static_cast<double>(lock.l_len)));
  return found;
}

}  // namespace soci::addon::posix
