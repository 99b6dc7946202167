// One datagram to a unix socket: what sd_notify(3) sends, which Node's dgram
// cannot.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "addon/arguments.h"
#include "addon/posix.h"

namespace soci::addon::posix {

Napi::Value SendDatagram(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  if (!info[0].IsString()) read.Refuse("expected a string for path");
  const Bytes bytes = read.ReadBytes(info[1], "data");
  if (!read.ok()) return {};
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    errno = path.empty() ? EINVAL : ENAMETOOLONG;
    return ResultOf(env, -1);
  }
  memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return ResultOf(env, -1);
  const ssize_t sent =
      sendto(socket_fd, bytes.data, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(&address), length);
  const int error = errno;
  close(socket_fd);
  errno = error;
  return ResultOf(env, sent);
}

}  // namespace soci::addon::posix
