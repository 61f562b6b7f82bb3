// The snapshots of a running service: one is loaded at the start, one is saved at the stop, and
// others at intervals or on request. At most one is saved or loaded at a time.
//
//   start   the file is opened, and removed unless an interval is set: no crash can bring old
//           values back then. It is loaded while requests are served
//   stop    a load that is still under way may take half of the time; then all is saved
//
// Thread-safety: configured(), make(), loading(), loaded_percent() and report() may be called by
//   any thread at any time; the others by the owner's.
// Ownership: borrows the cache and the tagger, and owns its threads.
// Errors: outcomes; only the constructor, start_loading() and remove_loaded() throw, and that
//   std::bad_alloc only.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "api/entity_tagger.hpp"
#include "api/snapshot_maker.hpp"
#include "eviction/managed_cache.hpp"
#include "snapshot/file_source.hpp"
#include "snapshot/loader.hpp"
#include "snapshot/options.hpp"
#include "snapshot/saver.hpp"
#include "snapshot/status.hpp"

namespace kvcache::snapshot {

class snapshot_service final : public http::snapshot_maker {
public:
  // `changed` is called, on any thread, when a load or a save has ended.
  snapshot_service(options settings, managed_cache& cached, std::function<void()> changed);
  ~snapshot_service() override;

  // Opens the file, and loads it on so many threads. Returns a warning, or "". REQUIRES: no entry
  // has been written yet.
  std::string start_loading(const http::entity_tagger& tags, unsigned threads);
  // Without an interval, removes the file that is being loaded. Returns a warning, or "".
  std::string remove_loaded();
  bool loading() const noexcept { return loading_.load(std::memory_order_acquire); }
  unsigned loaded_percent() const noexcept; // of the file

  // On a thread of its own, if the interval has passed since the last one.
  void save_if_due(std::chrono::steady_clock::time_point now) noexcept;

  bool configured() const noexcept override { return !options_.file.empty(); }
  http::snapshot_outcome make() noexcept override;

  // What an interval or a request has begun is aborted: the last one will replace it.
  void on_stopping() noexcept { stopping_ = true; }

  // ---- at the stop: no entry is written any more --------------------------------------------
  void begin_last() noexcept;
  // True once it has ended, within so long.
  bool await_last(std::chrono::milliseconds at_most) noexcept;
  void abort_last() noexcept; // the previous file stays

  status report() const;

private:
  using clock = std::chrono::steady_clock;

  std::string try_to_load(const http::entity_tagger& tags, unsigned threads);
  std::string refuse(load_state why, const std::string& cause);
  void on_loaded() noexcept;
  moment now() const noexcept;
  bool try_claim() noexcept;
  bool start_saver() noexcept;
  void save_while_serving() noexcept;
  save_result save_claimed(const std::function<save_request::verdict()>& verdict_now) noexcept;
  void note_save(const save_result& result, std::uint64_t begun_ms, clock::duration took) noexcept;
  void save_last(clock::time_point begun) noexcept;

  const options options_;
  managed_cache& cache_;
  store& store_;
  const std::function<void()> changed_;

  std::unique_ptr<file_source> file_;
  std::unique_ptr<block_reader> reader_;
  std::unique_ptr<loader> loader_; // null: nothing has been loaded
  std::atomic<bool> loading_{false};
  clock::time_point load_begun_{};

  std::atomic<bool> saving_{false}; // claimed
  std::atomic<bool> stopping_{false};
  std::atomic<bool> aborts_last_{false};
  std::thread saver_; // belongs to whoever has the claim
  std::thread last_saver_;
  clock::time_point last_due_;

  mutable std::mutex mutex_; // guards what follows
  std::condition_variable ended_;
  status status_;
  std::uint64_t file_written_at_ms_ = 0; // 0: there is none
  std::optional<save_result> made_;      // the last one, since make() began
  bool last_has_ended_ = false;
};

} // namespace kvcache::snapshot
