// Decoding jobs whose output is copied to script's arrays while they run, so
// that little is left to be copied when they end: the JS thread has nothing
// else to do then, and a copy in the end would take a tenth as long as the job.
//
// JS thread.
#pragma once

#include <node_api.h>

namespace soci::addon {

class DecodeJob;

class EarlyCopies {
 public:
  void Add(DecodeJob* job);
  // Does nothing for a job that was not added.
  void Remove(DecodeJob* job);

  // Copies what there is of all outputs.
  void Copy(napi_env env);

 private:
  DecodeJob* first_ = nullptr;
};

}  // namespace soci::addon
