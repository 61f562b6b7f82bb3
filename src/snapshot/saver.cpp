#include "snapshot/saver.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>

#include "api/value_format.hpp"
#include "snapshot/block_writer.hpp"
#include "snapshot/save_order.hpp"

namespace kvcache::snapshot {

namespace {

constexpr std::size_t batch_slots = entry_arena::walk_batch_slots;

constexpr std::uint64_t ms_per_tick = 1000 / ticks_per_second;

// An entry of more than a block's room, kept beyond its bucket's lock. Its memory is made before
// that lock is taken.
struct held_entry {
  entry_header header{};
  std::string type{};
  std::string key{};
  std::string short_value{};
  pinned_value pinned{};
  std::size_t value_bytes = 0; // without the trailer

  std::string_view value() const noexcept {
    return pinned ? pinned.bytes().substr(0, value_bytes) : std::string_view{short_value};
  }
};

class save_run {
public:
  save_run(store& entries, atomic_file& file, const save_request& request)
      : store_(entries),
        file_(file),
        request_(request),
        order_(request.ranks, begin_epoch(entries)),
        writer_(file) {
    held_.type.reserve(type_bytes_most);
  }

  save_result run() {
    const store::unmoved unmoved{store_};
    result_.error = file_.open();
    if (result_.error == 0)
      result_.error = writer_.begin({request_.sync, request_.begun.unix_ms, store_.size()});
    if (result_.error == 0) result_.error = writer_.write_experience(request_.experience);
    if (result_.error != 0) return result_;
    count();
    for (unsigned band = 0; band <= save_order::bands && goes_on(); ++band) save_band(band);
    if (result_.error == 0 && request_.verdict_now() == save_request::verdict::abort)
      result_.error = ECANCELED;
    if (result_.error == 0) result_.error = finish();
    result_.complete = result_.error == 0 && !out_of_time_;
    result_.bytes = file_.bytes();
    return result_;
  }

private:
  static epoch begin_epoch(store& entries) noexcept {
    entries.advance_epoch();
    return entries.current_epoch();
  }

  bool goes_on() const noexcept { return result_.error == 0 && !out_of_time_; }

  template <class Visit>
  void walk_all(Visit visit, auto after_batch) {
    for (std::uint32_t slab = 0; slab < store_.walk_end() && goes_on(); ++slab) {
      std::uint32_t slot = 0;
      for (bool more = true; more && goes_on();) {
        more = store_.walk_slab(slab, slot, visit);
        after_batch();
      }
    }
  }

  void count() {
    walk_all([this](walked_entry& e) { order_.count(e.meta(), e.block_bytes()); }, [] {});
    order_.divide();
  }

  void save_band(unsigned band) {
    std::array<entry_ref, batch_slots> batch;
    std::size_t count = 0;
    walk_all(
        [&](walked_entry& e) {
          if (order_.band_of(e.meta()) != band) return;
          batch[count] = e.ref();
          store_.prefetch(batch[count++]);
        },
        [&] {
          for (std::size_t i = 0; i < count && goes_on(); ++i) save_entry(batch[i]);
          count = 0;
        });
  }

  void save_entry(entry_ref ref) {
    if (!writer_.has_room()) {
      result_.error = writer_.finish_block();
      decide();
      if (!goes_on()) return;
    }
    entry_room needed;
    bool is_long = false;
    const auto take = [&](const saved_entry& e) {
      const http::stored_value stored = http::read_stored(e.view.value(), e.view.mark());
      const entry_header header = describe(e, stored);
      const std::size_t bytes = header.key_bytes + header.value_bytes;
      is_long = entry_header_bytes_most + bytes > block_writer::short_entry_bytes_most;
      needed = {};
      if (!is_long)
        writer_.append(header, e.key, stored.bytes);
      else if (needed = room_for(e, stored.bytes); !needed.is_there_in(held_))
        return;
      else
        hold(header, e, stored.bytes);
      entry_bytes_ += bytes;
    };
    while (store_.visit(ref, take)) {
      if (needed.is_there_in(held_)) { // or nothing was needed
        ++result_.entries;
        if (is_long) save_held();
        return;
      }
      held_.key.reserve(needed.key_bytes);
      held_.short_value.reserve(needed.value_bytes);
    }
  }

  struct entry_room {
    std::size_t key_bytes = 0;
    std::size_t value_bytes = 0; // that cannot be pinned
    bool is_there_in(const held_entry& held) const noexcept {
      return held.key.capacity() >= key_bytes && held.short_value.capacity() >= value_bytes;
    }
  };
  static entry_room room_for(const saved_entry& e, std::string_view value) noexcept {
    return {e.key.size(), e.view.can_pin() ? 0 : value.size()};
  }

  entry_header describe(const saved_entry& e, const http::stored_value& stored) const noexcept {
    entry_header header;
    header.uses = e.meta.uses();
    header.references = e.meta.references();
    header.age_epochs = order_.age_before(e.meta);
    header.is_utf8 = stored.info.is_utf8;
    if (stored.info.type != http::unknown_type) header.type = stored.info.type;
    if (const tick at = e.view.expires_at(); at != never)
      header.expires_at_ms =
          request_.begun.unix_ms + (std::uint64_t{at} - request_.begun.now) * ms_per_tick;
    header.key_bytes = e.key.size();
    header.value_bytes = stored.bytes.size();
    return header;
  }

  // Under the bucket's lock: allocates nothing.
  void hold(const entry_header& header, const saved_entry& e, std::string_view value) noexcept {
    held_.type = header.type;
    held_.header = header;
    held_.header.type = held_.type;
    held_.key = e.key;
    held_.value_bytes = value.size();
    if (e.view.can_pin())
      held_.pinned = e.view.pin();
    else
      held_.short_value = value;
  }

  void save_held() {
    result_.error = writer_.write_long(held_.header, held_.key, held_.value());
    held_.pinned = {};
    decide();
  }

  int finish() noexcept {
    const int error = writer_.end({result_.entries, entry_bytes_, !out_of_time_});
    return error == 0 ? file_.commit() : error;
  }

  void decide() {
    if (result_.error != 0) return;
    switch (request_.verdict_now()) {
    case save_request::verdict::go_on:
      break;
    case save_request::verdict::out_of_time:
      out_of_time_ = true;
      break;
    case save_request::verdict::abort:
      result_.error = ECANCELED;
      break;
    }
  }

  store& store_;
  atomic_file& file_;
  const save_request& request_;
  save_order order_;
  block_writer writer_;
  held_entry held_;
  save_result result_;
  std::uint64_t entry_bytes_ = 0;
  bool out_of_time_ = false;
};

} // namespace

save_result save(store& entries, atomic_file& file, const save_request& request) {
  return save_run{entries, file, request}.run();
}

} // namespace kvcache::snapshot
