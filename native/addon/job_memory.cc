#include "addon/job_memory.h"

namespace soci::addon {

bool JobMemory::Reserve(size_t size) {
  if (data_ != nullptr && size <= capacity_) return true;
  data_.reset();  // The old bytes are of no use, so nothing is copied.
  capacity_ = 0;
  data_.reset(static_cast<uint8_t*>(malloc(size == 0 ? 1 : size)));
  if (data_ == nullptr) return false;
  capacity_ = size;
  return true;
}

}  // namespace soci::addon
