// openat2(2): opening a path that must not leave a directory, whatever links
// are on it. glibc has no wrapper, and older kernel headers no struct.
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "addon/arguments.h"
#include "addon/posix.h"

namespace soci::addon::posix {
namespace {

// struct open_how of linux/openat2.h, Linux 5.6.
struct OpenHow {
  uint64_t flags;
  uint64_t mode;
  uint64_t resolve;
};

constexpr long kOpenAt2 = 437;  // on every architecture

}  // namespace

Napi::Value OpenAt2(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  if (!info[1].IsString()) read.Refuse("expected a string for path");
  OpenHow how = {};
  how.flags = read.ReadOffset(info[2], "flags");
  how.mode = read.ReadOffset(info[3], "mode");
  how.resolve = read.ReadOffset(info[4], "resolve");
  if (!read.ok()) return {};
  const std::string path = info[1].As<Napi::String>().Utf8Value();
  const int directory = ReadDescriptor(info[0]);
  return ResultOf(env,
                  syscall(kOpenAt2, directory, path.c_str(), &how, sizeof how));
}

}  // namespace soci::addon::posix
