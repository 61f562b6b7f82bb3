#include "snapshot/snapshot_service.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <random>
#include <system_error>
#include <utility>

#include "cache/cache_internals.hpp"
#include "snapshot/priority.hpp"

namespace kvcache::snapshot {

namespace {

// Of the smallest entry, with its place in the index.
constexpr std::uint64_t least_bytes_per_entry = 24;

std::uint64_t unix_ms_now() noexcept {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

double in_seconds(std::chrono::steady_clock::duration time) noexcept {
  return std::chrono::duration<double>(time).count();
}

// Whether something other than a snapshot is there, such as a file of another program: it must not
// be overwritten.
bool is_occupied(const std::string& path) {
  file_source file;
  bool missing = false;
  if (!file.open(path, missing).empty()) return file.is_special();
  if (missing || file.bytes() == 0) return false;
  block_reader reader{file};
  return reader.read_header().fault == header_fault::not_a_snapshot;
}

std::string text_of(const decoded_header& read) {
  switch (read.fault) {
  case header_fault::not_a_snapshot:
    return "it is not a snapshot";
  case header_fault::newer_version:
    return "its format is version " + std::to_string(read.version) +
           ", which this program does not know";
  default:
    return "its header is damaged";
  }
}

} // namespace

snapshot_service::snapshot_service(options settings, managed_cache& cached,
                                   std::function<void()> changed)
    : options_(std::move(settings)),
      cache_(cached),
      store_(cache_internals::store_of(cached.entries())),
      changed_(std::move(changed)),
      last_due_(clock::now()) {
  status_.configured = configured();
}

snapshot_service::~snapshot_service() {
  if (loader_) {
    loader_->stop();
    loader_->join(); // its threads use the members below
  }
  stopping_ = aborts_last_ = true;
  if (interval_saver_.joinable()) interval_saver_.join();
  if (last_saver_.joinable()) last_saver_.join();
}

moment snapshot_service::now() const noexcept { return {unix_ms_now(), cache_.clock().now()}; }

// ---- loading ------------------------------------------------------------------------------------

std::string snapshot_service::start_loading(const http::entity_tagger& tags, unsigned threads) {
  if (!configured())
    return options_.interval_s == 0 ? std::string{}
                                    : "--snapshot-interval-s has no effect without --snapshot-file";
  file_ = std::make_unique<file_source>();
  bool missing = false;
  if (const std::string fault = file_->open(options_.file, missing); missing || !fault.empty())
    return missing ? std::string{} : refuse(load_state::refused, fault);
  reader_ = std::make_unique<block_reader>(*file_);
  const decoded_header read = reader_->read_header();
  if (reader_->error() != 0)
    return refuse(load_state::refused, std::generic_category().message(reader_->error()));
  if (read.fault != header_fault::none) return refuse(load_state::refused, text_of(read));
  const moment begun = now();
  if (const std::uint64_t written = read.header.written_at_ms;
      options_.max_age_s != 0 && begun.unix_ms > written &&
      begun.unix_ms - written > std::uint64_t{options_.max_age_s} * 1000)
    return refuse(load_state::too_old, "it is older than --snapshot-max-age-s");
  const std::uint64_t most = cache_.room_to_mark_bytes() / least_bytes_per_entry;
  if (!store_.begin_loading(std::min(read.header.entries, most)))
    return refuse(load_state::refused, "there is no memory for loading it");
  status_.last_load = {.state = load_state::loading, .unix_ms = begun.unix_ms};
  loader_ = std::make_unique<loader>(
      load_environment{store_, tags, begun, [this] { return cache_.room_to_mark_bytes(); },
                       [this](const hit_density::experience& earlier) { cache_.adopt(earlier); }},
      *reader_);
  load_begun_ = clock::now();
  loading_ = true;
  loader_->start(threads, [this] { on_loaded(); });
  if (options_.interval_s == 0)
    ::unlink(options_.file.c_str());
  else
    file_written_at_ms_ = read.header.written_at_ms;
  return {};
}

std::string snapshot_service::refuse(load_state why, const std::string& cause) {
  status_.last_load = {.state = why, .unix_ms = unix_ms_now()};
  reader_.reset();
  file_.reset();
  return "nothing is loaded from " + options_.file + ": " + cause;
}

// On the last of the loader's threads.
void snapshot_service::on_loaded() noexcept {
  store_.end_loading();
  file_->close();
  {
    const std::lock_guard lock{mutex_};
    load_status& done = status_.last_load;
    done.state = loader_->result();
    done.entries = loader_->entries();
    done.bytes = loader_->bytes_read();
    done.skipped_blocks = loader_->skipped_blocks();
    done.seconds = in_seconds(clock::now() - load_begun_);
    loading_ = false;
  }
  ended_.notify_all();
  changed_();
}

unsigned snapshot_service::loaded_percent() const noexcept {
  if (!loader_ || file_->bytes() == 0) return 0;
  return static_cast<unsigned>(
      std::min<std::uint64_t>(100 * loader_->bytes_read() / file_->bytes(), 100));
}

// ---- saving -------------------------------------------------------------------------------------

bool snapshot_service::try_claim() noexcept {
  return !loading() && !saving_.exchange(true, std::memory_order_acquire);
}

// REQUIRES: claimed; gives the claim back.
save_result
snapshot_service::save_claimed(const std::function<save_request::verdict()>& verdict_now) noexcept {
  const clock::time_point begun = clock::now();
  const moment at = now();
  {
    const std::lock_guard lock{mutex_};
    status_.last_save = {.state = save_state::saving, .unix_ms = at.unix_ms};
  }
  save_result result;
  try {
    std::random_device random;
    const std::uint64_t sync = std::uint64_t{random()} << 32U | random();
    if (is_occupied(options_.file)) {
      result.error = EEXIST;
    } else {
      atomic_file file{options_.file};
      result = save(store_, file,
                    {cache_.eviction_ranks(), cache_.eviction_experience(), at, sync, verdict_now});
    }
  } catch (const std::bad_alloc&) {
    result.error = ENOMEM;
  } catch (const std::exception&) { // no random numbers
    result.error = EIO;
  }
  note_save(result, at.unix_ms, clock::now() - begun);
  saving_.store(false, std::memory_order_release);
  changed_();
  return result;
}

void snapshot_service::note_save(const save_result& result, std::uint64_t begun_ms,
                                 clock::duration took) noexcept {
  const std::lock_guard lock{mutex_};
  save_status& done = status_.last_save;
  done.state = result.error != 0 ? save_state::failed
               : result.complete ? save_state::saved
                                 : save_state::shortened;
  done.entries = result.entries;
  done.bytes = result.bytes;
  done.seconds = in_seconds(took);
  done.error = result.error;
  if (result.error == 0)
    file_written_at_ms_ = begun_ms;
  else
    ++status_.failed_saves;
}

http::snapshot_outcome snapshot_service::make() noexcept {
  if (!try_claim()) return {.error = EBUSY};
  save_result made;
  try {
    std::thread{[this, &made] { made = save_while_serving(); }}.join();
  } catch (const std::exception&) { // no thread
    saving_ = false;
    made.error = EAGAIN;
  }
  return {made.error, made.entries, made.bytes};
}

// REQUIRES: claimed; called on a thread that ends afterwards.
save_result snapshot_service::save_while_serving() noexcept {
  lower_priority();
  return save_claimed(
      [this] { return stopping_ ? save_request::verdict::abort : save_request::verdict::go_on; });
}

void snapshot_service::save_if_due(clock::time_point now) noexcept {
  if (!configured() || options_.interval_s == 0 ||
      now - last_due_ < std::chrono::seconds{options_.interval_s} || !try_claim())
    return;
  last_due_ = now;
  if (interval_saver_.joinable()) interval_saver_.join(); // it has ended
  try {
    interval_saver_ = std::thread{[this] { save_while_serving(); }};
  } catch (const std::exception&) { // no thread: the next time there may be one
    saving_ = false;
    const std::lock_guard lock{mutex_};
    ++status_.failed_saves;
  }
}

void snapshot_service::begin_last() noexcept {
  if (!configured()) {
    last_has_ended_ = true;
    return;
  }
  on_stopping();
  try {
    last_saver_ = std::thread{[this, begun = clock::now()] { save_last(begun); }};
  } catch (const std::exception&) { // on this thread
    save_last(clock::now());
  }
}

void snapshot_service::save_last(clock::time_point begun) noexcept {
  const std::chrono::milliseconds time{options_.timeout_ms};
  {
    std::unique_lock lock{mutex_};
    ended_.wait_until(lock, begun + time / 2, [this] { return !loading(); });
  }
  if (interval_saver_.joinable()) interval_saver_.join();
  if (loader_) {
    loader_->stop();
    loader_->join();
  }
  if (try_claim())
    save_claimed([this, end = begun + time] {
      if (aborts_last_) return save_request::verdict::abort;
      return clock::now() < end ? save_request::verdict::go_on : save_request::verdict::out_of_time;
    });
  {
    const std::lock_guard lock{mutex_};
    last_has_ended_ = true;
  }
  ended_.notify_all();
  changed_();
}

bool snapshot_service::await_last(std::chrono::milliseconds at_most) noexcept {
  std::unique_lock lock{mutex_};
  return ended_.wait_for(lock, at_most, [this] { return last_has_ended_; });
}

status snapshot_service::report() const {
  const std::lock_guard lock{mutex_};
  status now = status_;
  if (loading()) {
    now.last_load.entries = loader_->entries();
    now.last_load.bytes = loader_->bytes_read();
    now.last_load.seconds = in_seconds(clock::now() - load_begun_);
  }
  if (file_written_at_ms_ != 0)
    now.file_age_ms = std::max(unix_ms_now(), file_written_at_ms_) - file_written_at_ms_;
  return now;
}

} // namespace kvcache::snapshot
