// Passing file descriptors to another process: SCM_RIGHTS, unix(7).
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "addon/arguments.h"
#include "addon/posix.h"

namespace soci::addon::posix {
namespace {

constexpr size_t kMaxDescriptors = 253;  // SCM_MAX_FD of the kernel

struct Message {
  msghdr header = {};
  iovec data = {};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];

  explicit Message(const Bytes& bytes) {
    data = {bytes.data, bytes.size};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
  }
};

}  // namespace

Napi::Value SocketPair(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ResultOf(env, -1);
  }
  Napi::Array pair = Napi::Array::New(env, 2);
  pair.Set(0u, Napi::Number::New(env, ends[0]));
  pair.Set(1u, Napi::Number::New(env, ends[1]));
  return pair;
}

Napi::Value SendDescriptors(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  const Bytes bytes = read.ReadBytes(info[1], "data");
  if (!info[2].IsArray() ||
      info[2].As<Napi::Array>().Length() > kMaxDescriptors) {
    read.Refuse("expected an array of at most 253 descriptors");
  }
  if (!read.ok()) return {};
  const auto descriptors = info[2].As<Napi::Array>();
  const size_t count = descriptors.Length();
  Message message(bytes);
  if (count > 0) {
    memset(message.control, 0, sizeof message.control);
    message.header.msg_control = message.control;
    message.header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* const control = CMSG_FIRSTHDR(&message.header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (size_t i = 0; i < count; i++) {
      const int fd = ReadDescriptor(descriptors.Get(static_cast<uint32_t>(i)));
      memcpy(CMSG_DATA(control) + i * sizeof fd, &fd, sizeof fd);
    }
  }
  return ResultOf(env, sendmsg(ReadDescriptor(info[0]), &message.header,
                               MSG_DONTWAIT | MSG_NOSIGNAL));
}

Napi::Value ReceiveDescriptors(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments read(env);
  const Bytes bytes = read.ReadBytes(info[1], "buffer");
  if (!read.ok()) return {};
  Message message(bytes);
  message.header.msg_control = message.control;
  message.header.msg_controllen = sizeof message.control;
  const ssize_t size = recvmsg(ReadDescriptor(info[0]), &message.header,
                               MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) return ResultOf(env, -1);
  Napi::Array result = Napi::Array::New(env);
  // Of a message that was cut nobody can use the rest, and the descriptors that
  // did arrive would leak.
  const bool cut = (message.header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  uint32_t at = 0;
  result.Set(at++, Napi::Number::New(env, static_cast<double>(size)));
  for (cmsghdr* control = CMSG_FIRSTHDR(&message.header); control != nullptr;
       control = CMSG_NXTHDR(&message.header, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
      if (cut) {
        close(fd);
      } else {
        result.Set(at++, Napi::Number::New(env, fd));
      }
    }
  }
  if (!cut) return result;
  errno = EMSGSIZE;
  return ResultOf(env, -1);
}

}  // namespace soci::addon::posix
