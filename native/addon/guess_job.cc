#include "addon/guess_job.h"

namespace soci::addon {

GuessJob::GuessJob(Indexer* indexer)
    : PoolJob(&indexer->guesses_, &indexer->aborted_),
      indexer_(indexer),
      ahead_(indexer->ahead_) {}

Status GuessJob::Execute(const std::atomic<bool>* /*aborted*/) {
  ahead_->Guess();
  return Status::Ok();
}

void GuessJob::Executed(napi_env env, Status /*status*/) {
  indexer_->GuessFurther(env, Held(env, 0));
}

napi_value GuessJob::Result(napi_env /*env*/, Status* /*status*/) {
  return nullptr;
}

}  // namespace soci::addon
