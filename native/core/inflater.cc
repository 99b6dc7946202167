// Chooses the engine behind an Inflater.
#include "inflater.h"

#include <new>

#include "fast_inflater.h"
#include "zlib_inflater.h"

namespace soci {

std::unique_ptr<Inflater> MakeInflater(Engine engine) {
  switch (engine) {
    case Engine::kZlib:
      return MakeZlibInflater();
    case Engine::kFast:
      return std::unique_ptr<Inflater>(new (std::nothrow) FastInflater);
  }
  return nullptr;
}

void RunFastPair(Inflater::Call* a, Inflater::Call* b) {
  FastInflater::RunPair(a, b);
}

}  // namespace soci
