// The reference Inflater: zlib's raw inflate, stopped at block starts with
// Z_BLOCK. It is the definition of where a checkpoint may lie, since ztocs in
// the field were made by zlib; another engine is right if it agrees with it.
#pragma once

#include <memory>

#include "inflater.h"

namespace soci {

// nullptr when memory is short.
std::unique_ptr<Inflater> MakeZlibInflater();

}  // namespace soci
