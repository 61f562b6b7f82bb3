#include "snapshot/snapshot_service.hpp"

#include <fcntl.h>
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

// 0, or an errno.
int remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return errno;
  const auto slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int opened = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return errno;
  ::fsync(opened); // fails on file systems that do not know it
  ::close(opened);
  return 0;
}

std::uint64_t unix_ms_now() noexcept {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

double in_seconds(std::chrono::steady_clock::duration time) noexcept {
  return std::chrono::duration<double>(time).count();
}

// 0 if the path may be overwritten: nothing is there, or a snapshot. EEXIST for a file of another
// program; or why that cannot be found out.
int find_occupied(const std::string& path) {
  file_source file;
  bool missing = false;
  if (!file.open(path, missing).empty()) return file.is_special() ? EEXIST : file.open_error();
  if (missing || file.bytes() == 0) return 0;
  block_reader reader{file};
  const bool is_other = reader.read_header().fault == header_fault::not_a_snapshot;
  return reader.error() == 0 && is_other ? EEXIST : 0;
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
  if (saver_.joinable()) saver_.join();
  if (last_saver_.joinable()) last_saver_.join();
}

moment snapshot_service::now() const noexcept { return {unix_ms_now(), cache_.clock().now()}; }

// ---- loading ------------------------------------------------------------------------------------

std::string snapshot_service::start_loading(const http::entity_tagger& tags, unsigned threads) {
  if (!configured())
    return options_.interval_s == 0 ? std::string{}
                                    : "--snapshot-interval-s has no effect without --snapshot-file";
  try {
    return try_to_load(tags, threads);
  } catch (const std::exception&) { // bad_alloc; or system_error, for lack of a thread
    loading_ = false;
    store_.end_loading();
    loader_.reset();
    return refuse(load_state::refused, "there is no memory or no thread for loading it");
  }
}

std::string snapshot_service::try_to_load(const http::entity_tagger& tags, unsigned threads) {
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
  if (!store_.begin_loading(
          std::min({read.header.entries, most, std::uint64_t{store_.max_entries()}})))
    return refuse(load_state::refused, "there is no memory for loading it");
  status_.last_load = {.state = load_state::loading, .unix_ms = begun.unix_ms};
  loader_ = std::make_unique<loader>(
      load_environment{store_, tags, begun, [this] { return cache_.room_to_mark_bytes(); },
                       [this](const hit_density::experience& earlier) { cache_.adopt(earlier); }},
      *reader_);
  load_begun_ = clock::now();
  loading_ = true;
  loader_->start(threads, [this] { on_loaded(); });
  if (options_.interval_s != 0) file_written_at_ms_ = read.header.written_at_ms;
  return {};
}

// On the disk, too: it must not come back after a power failure.
std::string snapshot_service::remove_loaded() {
  if (!loader_ || options_.interval_s != 0) return {};
  const int error = remove_file(options_.file);
  if (error == 0) return {};
  return "the snapshot file cannot be removed, so that a crash would bring its values back: " +
         std::generic_category().message(error);
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
    result.error = find_occupied(options_.file);
    if (result.error == 0) {
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
  ended_.notify_all();
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
  made_ = result;
  if (result.error == 0)
    file_written_at_ms_ = begun_ms;
  else if (result.error != ECANCELED)
    ++status_.failed_saves;
  saving_.store(false, std::memory_order_release);
}

// Does not wait for a disk that does not respond once the program stops.
http::snapshot_outcome snapshot_service::make() noexcept {
  constexpr std::chrono::milliseconds patience{500};
  if (!try_claim()) return {.error = EBUSY};
  {
    const std::lock_guard lock{mutex_};
    made_.reset();
  }
  if (!start_saver()) return {.error = EAGAIN};
  std::unique_lock lock{mutex_};
  for (bool stopped = false; !made_;) {
    if (stopped) return {.error = ECANCELED};
    stopped = !ended_.wait_for(lock, patience, [this] { return made_.has_value(); }) && stopping_;
  }
  return {made_->error, made_->entries, made_->bytes};
}

void snapshot_service::save_if_due(clock::time_point now) noexcept {
  if (!configured() || options_.interval_s == 0 || stopping_ ||
      now - last_due_ < std::chrono::seconds{options_.interval_s} || !try_claim())
    return;
  last_due_ = now;
  start_saver();
}

// REQUIRES: claimed; the claim is given back when the saver, or the attempt to start it, has ended.
bool snapshot_service::start_saver() noexcept {
  if (saver_.joinable()) saver_.join(); // whoever had the claim before: it has ended
  try {
    saver_ = std::thread{[this] { save_while_serving(); }};
    return true;
  } catch (const std::exception&) { // no thread: the next time there may be one
    {
      const std::lock_guard lock{mutex_};
      ++status_.failed_saves;
    }
    saving_ = false;
    return false;
  }
}

void snapshot_service::save_while_serving() noexcept {
  lower_priority();
  save_claimed(
      [this] { return stopping_ ? save_request::verdict::abort : save_request::verdict::go_on; });
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
    ended_.wait_until(lock, begun + time / 2, [this] { return !loading() || aborts_last_; });
  }
  if (saver_.joinable()) saver_.join();
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

void snapshot_service::abort_last() noexcept {
  {
    const std::lock_guard lock{mutex_}; // or save_last() might miss it
    aborts_last_ = true;
  }
  ended_.notify_all();
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
