#include "snapshot/loader.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <system_error>
#include <utility>

#include "api/value_format.hpp"
#include "http/media_type.hpp"
#include "snapshot/priority.hpp"

namespace kvcache::snapshot {

namespace {

constexpr std::uint64_t ms_per_tick = 1000 / ticks_per_second;

// Longer keys do not exist: the limit of --max-key-chars, in UTF-8.
constexpr std::uint64_t key_bytes_most = 4'000'000;

// Room that stays free: the program itself takes memory while it loads, which the next reading
// shows.
constexpr std::uint64_t spared_bytes = std::uint64_t{1} << 20U;

// What a value is stored with: its trailer, and its mark.
struct stored_form {
  http::value_format format;
  std::uint8_t mark;
  std::string_view suffix() const noexcept { return format.suffix(); }
};

// A type goes into a field of responses as it is.
bool has_bad_type(const entry_header& header) noexcept {
  return !header.type.empty() && !http::is_media_type(header.type);
}

std::string_view shown_type(const entry_header& header) noexcept {
  return header.type.empty() ? http::unknown_type : header.type;
}

// As POST /put and PUT /kv/{key} do.
stored_form form_of(const entry_header& header, std::uint64_t tag) noexcept {
  const bool is_plain_text = header.is_utf8 && header.type == http::text_type &&
                             header.value_bytes <= http::tagged_above_bytes;
  stored_form form{
      {header.value_bytes, is_plain_text ? std::string_view{} : header.type, header.is_utf8, tag},
      0};
  form.mark =
      is_plain_text ? static_cast<std::uint8_t>(http::value_mark::text) : form.format.mark();
  return form;
}

// `form`: without its tag, if that is not known yet.
older_entry older(const entry_header& header, std::string_view key, const stored_form& form,
                  tick expires_at) noexcept {
  return {key,
          header.value_bytes + form.suffix().size(),
          form.mark,
          expires_at,
          header.references,
          header.uses,
          header.age_epochs};
}

constexpr std::size_t entries_per_batch = 32;

// Advances `payload` to the next one. False if it is malformed.
bool take_entry(std::string_view& payload, loader::short_entry& e) noexcept {
  const auto header = decode_entry_header(payload);
  if (!header || has_bad_type(*header) || header->key_bytes > payload.size() ||
      header->value_bytes > payload.size() - header->key_bytes)
    return false;
  e = {*header, payload.substr(0, header->key_bytes),
       payload.substr(header->key_bytes, header->value_bytes)};
  payload.remove_prefix(e.key.size() + e.value.size());
  return true;
}

} // namespace

loader::loader(load_environment environment, block_reader& from)
    : environment_(std::move(environment)), from_(from) {}

loader::~loader() {
  stop();
  join();
}

void loader::start(unsigned threads, std::function<void()> ended) {
  ended_ = std::move(ended);
  running_ = threads_most_ = threads;
  for (unsigned i = 0; i < threads; ++i) {
    try {
      threads_.emplace_back([this] {
        lower_priority();
        run();
        if (running_.fetch_sub(1) == 1) ended_();
      });
    } catch (const std::system_error&) {
      if (threads_.empty()) throw;
      if (running_.fetch_sub(threads - i) == threads - i) ended_();
      return; // fewer do it, too
    }
  }
}

void loader::stop() noexcept { give_up(load_state::stopped); }

void loader::join() noexcept {
  for (std::thread& each : threads_) each.join();
  threads_.clear();
}

void loader::give_up(load_state why) noexcept {
  load_state still = load_state::loading;
  given_up_.compare_exchange_strong(still, why, std::memory_order_relaxed);
}

// The other threads may be loading a block each.
std::uint64_t loader::needed_bytes(std::uint64_t of_this_thread) const noexcept {
  return of_this_thread + (threads_most_ * payload_bytes_most) + spared_bytes;
}

void loader::run() noexcept {
  try {
    std::vector<char> payload;
    payload.reserve(payload_bytes_most);
    while (!gives_up() && load_next(payload) == step::again) {
    }
  } catch (const std::bad_alloc&) {
    give_up(load_state::full);
  }
}

loader::step loader::load_next(std::vector<char>& payload) {
  std::unique_lock lock{reading_};
  for (auto block = read_next(payload); block; block = std::exchange(following_, std::nullopt)) {
    const std::string_view bytes{payload.data(), payload.size()};
    switch (block->kind) {
    case block_kind::entries:
      lock.unlock();
      if (environment_.room_bytes() < needed_bytes(bytes.size()))
        give_up(load_state::full);
      else
        load_entries(bytes);
      return step::again;
    case block_kind::long_entry:
      load_long(payload, block->number);
      break;
    case block_kind::continuation: // the beginning was damaged, or is not loaded
      break;
    case block_kind::experience:
      if (const auto learned = decode_experience(bytes))
        environment_.adopt(*learned);
      else
        ++malformed_;
      break;
    case block_kind::end:
      has_totals_ = decode_totals(bytes).has_value();
      return step::end;
    }
    if (!following_) return step::again;
  }
  return step::end;
}

std::optional<block_reader::block> loader::read_next(std::vector<char>& payload) {
  const auto block = from_.next(payload);
  bytes_.store(from_.bytes_read(), std::memory_order_relaxed);
  return block;
}

// In batches: while one is decoded, the places in the index of its keys are prefetched.
void loader::load_entries(std::string_view payload) noexcept {
  std::array<short_entry, entries_per_batch> batch;
  while (!payload.empty() && !gives_up()) {
    std::size_t count = 0;
    while (count < batch.size() && !payload.empty()) {
      if (!take_entry(payload, batch[count])) {
        ++malformed_;
        payload = {};
        break;
      }
      environment_.entries.prefetch(batch[count++].key);
    }
    for (std::size_t i = 0; i < count; ++i) load_entry(batch[i]);
    std::this_thread::yield();
  }
}

void loader::load_entry(const short_entry& e) noexcept {
  const auto expires_at = expiry_of(e.header.expires_at_ms);
  if (!expires_at) return;
  const std::uint64_t tag = e.value.size() > http::tagged_above_bytes
                                ? environment_.tags.tag_of(shown_type(e.header), e.value)
                                : 0;
  const stored_form form = form_of(e.header, tag);
  note(
      environment_.entries.load(older(e.header, e.key, form, *expires_at), [&](std::span<char> to) {
        const auto end = std::ranges::copy(e.value, to.begin()).out;
        std::ranges::copy(form.suffix(), end);
        return true;
      }));
}

// REQUIRES: reading_ is held.
void loader::load_long(std::vector<char>& payload, std::uint32_t number) {
  std::string_view left{payload.data(), payload.size()};
  const auto header = decode_entry_header(left);
  if (!header || has_bad_type(*header) || header->key_bytes > key_bytes_most ||
      header->value_bytes > cache::max_item_bytes) {
    ++malformed_;
    return;
  }
  const auto expires_at = expiry_of(header->expires_at_ms);
  if (!expires_at) return; // its continuations are skipped
  if (environment_.room_bytes() < needed_bytes(header->key_bytes + header->value_bytes)) {
    give_up(load_state::full);
    return;
  }
  const std::string type{header->type}; // outlives the payload
  entry_header of_entry = *header;
  of_entry.type = header->type == http::text_type ? http::text_type : std::string_view{type};
  std::string key(header->key_bytes, '\0');
  if (!append_from_file(key.data(), key.size(), payload, left, number)) return;
  const std::size_t value_bytes = header->value_bytes;
  const older_entry entry = older(of_entry, key, form_of(of_entry, 0), *expires_at);
  note(environment_.entries.load(entry, [&](std::span<char> to) {
    if (!append_from_file(to.data(), value_bytes, payload, left, number)) return false;
    const std::string_view value{to.data(), value_bytes};
    const stored_form form =
        form_of(of_entry, environment_.tags.tag_of(shown_type(of_entry), value));
    std::ranges::copy(form.suffix(), to.begin() + static_cast<std::ptrdiff_t>(value_bytes));
    return true;
  }));
}

// The next bytes of a long entry, from what is left of this block, then from the next ones.
bool loader::append_from_file(char* to, std::size_t count, std::vector<char>& payload,
                              std::string_view& left, std::uint32_t& number) {
  while (count != 0) {
    if (left.empty()) {
      const auto block = read_next(payload);
      if (!block || block->kind != block_kind::continuation || block->number != number + 1) {
        following_ = block;
        return false;
      }
      ++number;
      left = {payload.data(), payload.size()};
    }
    const std::size_t part = left.copy(to, count);
    left.remove_prefix(part);
    to += part;
    count -= part;
  }
  return true;
}

void loader::note(load_outcome outcome) noexcept {
  switch (outcome) {
  case load_outcome::loaded:
    loaded_.fetch_add(1, std::memory_order_relaxed);
    break;
  case load_outcome::no_room:
    give_up(load_state::full);
    break;
  case load_outcome::ended:
    give_up(load_state::flushed);
    break;
  case load_outcome::superseded:
    break;
  case load_outcome::unreadable:
    ++malformed_;
    break;
  }
}

// Nothing if it has passed.
std::optional<tick> loader::expiry_of(std::uint64_t unix_ms) const noexcept {
  const moment& now = environment_.now;
  if (unix_ms == 0) return never;
  if (unix_ms <= now.unix_ms) return std::nullopt;
  const std::uint64_t ticks = (unix_ms - now.unix_ms + ms_per_tick - 1) / ms_per_tick;
  return static_cast<tick>(std::min<std::uint64_t>(now.now + ticks, UINT32_MAX));
}

load_state loader::result() const noexcept {
  if (gives_up()) return given_up_.load(std::memory_order_relaxed);
  return has_totals_ && skipped_blocks() == 0 && read_error() == 0 ? load_state::loaded
                                                                   : load_state::damaged;
}

std::uint64_t loader::skipped_blocks() const noexcept {
  return from_.skipped_blocks() + malformed_.load(std::memory_order_relaxed);
}

} // namespace kvcache::snapshot
