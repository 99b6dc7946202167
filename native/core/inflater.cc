// Chooses the engine behind an Inflater.
#include "inflater.h"

#include "zlib_inflater.h"

namespace soci {

std::unique_ptr<Inflater> MakeInflater(Engine engine) {
  switch (engine) {
    case Engine::kZlib:
      return MakeZlibInflater();
  }
  return nullptr;
}

}  // namespace soci
