#include "addon/early_copies.h"

#include "addon/decode_job.h"

namespace soci::addon {

void EarlyCopies::Add(DecodeJob* job) {
  job->early_ = &first_;
  job->next_early_ = first_;
  if (first_ != nullptr) first_->early_ = &job->next_early_;
  first_ = job;
}

void EarlyCopies::Remove(DecodeJob* job) {
  if (job->early_ == nullptr) return;
  *job->early_ = job->next_early_;
  if (job->next_early_ != nullptr) job->next_early_->early_ = job->early_;
  job->early_ = nullptr;
}

void EarlyCopies::Copy(napi_env env) {
  for (DecodeJob* job = first_; job != nullptr; job = job->next_early_) {
    // An array that has become shorter is noticed again in the end.
    static_cast<void>(job->CopyFilled(env));
  }
}

}  // namespace soci::addon
