#include "core/tree/open_files.h"

#include <cerrno>
#include <utility>

namespace soci {

int OpenFiles::Add(uint32_t id, FileDescriptor* file) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (Find(id) != nullptr) return EBUSY;
  for (File& place : files_) {
    if (place.descriptor.open()) continue;
    place.descriptor = std::move(*file);
    place.id = id;
    place.uses = 0;
    return 0;
  }
  return EMFILE;
}

int OpenFiles::Use(uint32_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  File* const file = Find(id);
  if (file == nullptr) return -1;
  file->uses++;
  return file->descriptor.get();
}

void OpenFiles::Done(uint32_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  File* const file = Find(id);
  if (file != nullptr) file->uses--;
}

int OpenFiles::Take(uint32_t id, FileDescriptor* taken) {
  const std::lock_guard<std::mutex> lock(mutex_);
  File* const file = Find(id);
  if (file == nullptr) return EBADF;
  if (file->uses > 0) return EBUSY;
  *taken = std::move(file->descriptor);
  return 0;
}

void OpenFiles::CloseAll() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (File& file : files_) file.descriptor.Close();
}

OpenFiles::File* OpenFiles::Find(uint32_t id) {
  for (File& file : files_) {
    if (file.descriptor.open() && file.id == id) return &file;
  }
  return nullptr;
}

}  // namespace soci
