// What Node lacks of POSIX and Linux, for lib/posix.ts; only built on Linux.
// Calls that fail return the negative errno: lib/posix.ts makes the errors. All
// of them run at once on the calling thread, and none waits.
#pragma once

#include <napi.h>

namespace soci::addon::posix {

// openat2(directory, path, flags, mode, resolve): descriptor
Napi::Value OpenAt2(const Napi::CallbackInfo& info);

// lock(fd, 'shared' | 'exclusive' | 'none', start, length): 0
Napi::Value Lock(const Napi::CallbackInfo& info);

// findLock(fd, 'shared' | 'exclusive', start, length): [start, length] of a
// lock in the way, [] when there is none
Napi::Value FindLock(const Napi::CallbackInfo& info);

// socketPair(): [descriptor, descriptor]. Of messages, which do not run
// together.
Napi::Value SocketPair(const Napi::CallbackInfo& info);

// sendDescriptors(socket, data, descriptors): bytes sent
Napi::Value SendDescriptors(const Napi::CallbackInfo& info);

// receiveDescriptors(socket, buffer): [bytes received, descriptor, …]
Napi::Value ReceiveDescriptors(const Napi::CallbackInfo& info);

// sendDatagram(path, data): bytes sent. A path that begins with @ is of the
// abstract namespace.
Napi::Value SendDatagram(const Napi::CallbackInfo& info);

// map(fd, offset, length): ArrayBuffer
Napi::Value Map(const Napi::CallbackInfo& info);

// unmap(buffer): undefined
Napi::Value Unmap(const Napi::CallbackInfo& info);

// What a call gave, or the negative errno if that is less than 0.
Napi::Value ResultOf(Napi::Env env, int64_t result);

// A file descriptor among the arguments.
int ReadDescriptor(Napi::Value value);

Napi::Object Define(Napi::Env env);

}  // namespace soci::addon::posix
