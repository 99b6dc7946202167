// A part of a file as read-only memory. The mapping belongs to its ArrayBuffer:
// it ends when nothing refers to that any more, or soon after it is detached.
// Never sooner: a call under way may still read it.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "addon/arguments.h"
#include "addon/posix.h"

namespace soci::addon::posix {

Napi::Value Map(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  const uint64_t offset = read.ReadOffset(info[1], "offset");
  const uint64_t length = read.ReadOffset(info[2], "length");
  if (!read.ok()) return {};
  const int fd = ReadDescriptor(info[0]);
  struct stat file;
  if (fstat(fd, &file) != 0) return ResultOf(env, -1);
  // Memory behind the end of the file would end the process with SIGBUS.
  const auto size = static_cast<uint64_t>(file.st_size);
  if (length == 0 || offset > size || length > size - offset) {
    errno = EINVAL;
    return ResultOf(env, -1);
  }
  const uint64_t into_page = offset % static_cast<uint64_t>(getpagesize());
  const size_t mapped = static_cast<size_t>(length + into_page);
  void* const pages = mmap(nullptr, mapped, PROT_READ, MAP_SHARED, fd,
                           static_cast<off_t>(offset - into_page));
  if (pages == MAP_FAILED) return ResultOf(env, -1);
  uint8_t* const data = static_cast<uint8_t*>(pages) + into_page;
  napi_value buffer = nullptr;
  // Raw Node-API: a runtime without external buffers refuses them, which is to
  // be an error like others. The finalizer needs only the length.
  const napi_status status = napi_create_external_arraybuffer(
      env, data, static_cast<size_t>(length),
      [](napi_env, void* start, void* hint) {
        const auto size = reinterpret_cast<uintptr_t>(hint);
        auto address = reinterpret_cast<uintptr_t>(start);
        const uintptr_t before =
            address % static_cast<uintptr_t>(getpagesize());
        munmap(reinterpret_cast<void*>(address - before), size);
      },
      reinterpret_cast<void*>(mapped), &buffer);
  if (status == napi_ok) return {env, buffer};
  munmap(pages, mapped);
  errno = ENOTSUP;
  return ResultOf(env, -1);
}

Napi::Value Unmap(const Napi::CallbackInfo& info) {
  if (info[0].IsArrayBuffer()) info[0].As<Napi::ArrayBuffer>().Detach();
  return info.Env().Undefined();
}

}  // namespace soci::addon::posix
