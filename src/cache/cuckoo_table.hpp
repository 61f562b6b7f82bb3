// The tables of the index: libcuckoo's map over slots of 8 bytes, built at its final size and never
// resized. The only source file that includes libcuckoo and depends on its layout and hashing; for
// the index alone. Written for version 0.3.1.
//
// libcuckoo inserts slots and moves others out of their way. Lookups are implemented here, under
// the same locks: they compare a whole bucket at once, since the end of a search slot by slot
// cannot be predicted, and they do not check for a resize, which never happens. Slots that move to
// another table go directly to the place that libcuckoo would choose, since they are known to be
// absent there.
//
// Thread-safety: as libcuckoo's. An operation locks both buckets of its key, and callbacks receive
// slots of these two. Exceptions: all_slots and add lock nothing and require that no other thread
// uses the table.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

// libcuckoo pads each lock, one for every bucket, to 64 bytes: as much as the overhead of the
// entries. The macro is defined in its utility header and used inside its map, whose template
// argument it may name. Here only small tables have a cache line for each lock; in the others two
// locks share one. (Packed to the 24 bytes that they need, a quarter of them would span two lines.)
#ifdef _CUCKOOHASH_MAP_HH
#error "its locks have been padded already: include cuckoo_table.hpp before libcuckoo"
#endif
#include <libcuckoo/cuckoohash_util.hh>
#undef LIBCUCKOO_ALIGNAS
#define LIBCUCKOO_ALIGNAS(bytes) alignas(SLOT_PER_BUCKET <= 4 ? (bytes) : (bytes) / 2)
#include <libcuckoo/cuckoohash_map.hh>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "cache/entry.hpp"
#include "cache/entry_arena.hpp"
#include "cache/little_endian.hpp"
#include "cache/memory_source.hpp"
#include "cache/spin_lock.hpp"

// libcuckoo befriends a class of this name, for unit tests. Each function is one step of its own
// operations.
namespace libcuckoo {
class UnitTestInternalAccess {
public:
  // (A struct, since clang 14 does not treat an alias template as part of the friend.)
  template <class Map>
  struct parts_of {
    using bucket = typename Map::bucket;
    using lock = typename Map::spinlock;
    static constexpr std::size_t most_locks = Map::kMaxNumLocks;
  };
  template <class Map>
  using bucket = typename parts_of<Map>::bucket;
  template <class Map>
  using lock = typename parts_of<Map>::lock;
  template <class Map>
  static constexpr std::size_t lock_bytes = sizeof(lock<Map>);

  // The bits of the second bucket's number for a table of any size: the caller masks them.
  template <class Map>
  static std::uint32_t second_bucket_bits(std::size_t hash, std::uint32_t first) noexcept {
    constexpr std::size_t bits = 32;
    return static_cast<std::uint32_t>(Map::alt_index(bits, Map::partial_key(hash), first));
  }
  // REQUIRES: there is one for each bucket, as there is up to most_locks.
  template <class Map>
  static lock<Map>& lock_at(const Map& map, std::size_t bucket_number) noexcept {
    return map.get_current_locks()[bucket_number];
  }
  template <class Map>
  static bucket<Map>& bucket_at(Map& map, std::size_t number) noexcept {
    return map.buckets_[number];
  }
  template <class Map>
  static void erase(Map& map, std::size_t bucket_number, std::size_t slot) noexcept {
    map.del_from_bucket(bucket_number, slot);
  }
  template <class Map>
  static void add(Map& map, std::size_t bucket_number, std::size_t slot,
                  const typename Map::key_type& key, typename Map::mapped_type mapped) noexcept {
    map.add_to_bucket(bucket_number, slot, Map::partial_key(map.hash_function()(key)), key, mapped);
  }
};
} // namespace libcuckoo

namespace kvcache {

using cuckoo_inside = libcuckoo::UnitTestInternalAccess;

// ---- parts of the hash ----------------------------------------------------------------
constexpr unsigned tag_bits = 24; // in the slot's key; the other 8 are its mapped byte

constexpr std::uint32_t tag_of(std::uint32_t hash) { return hash & ((1U << tag_bits) - 1); }
constexpr std::uint8_t high_byte_of(std::uint32_t hash) {
  return static_cast<std::uint8_t>(hash >> tag_bits);
}
constexpr std::uint32_t hash_of(std::uint32_t tag, std::uint8_t high_byte) {
  return tag | std::uint32_t{high_byte} << tag_bits;
}

// What libcuckoo hashes a slot to. Its low bits are the bucket's number: the upper bits of the tag,
// which no segment shares (index.cpp).
constexpr unsigned bucket_shift = 13;
constexpr std::uint32_t place_of(std::uint32_t tag) { return std::rotr(tag, bucket_shift); }

// ---- table memory ---------------------------------------------------------------------
// libcuckoo's memory for a bucket: its lock, and a slot, a partial hash and a flag for each entry.
constexpr std::size_t lock_bytes_of(std::size_t bucket_slots) {
  return bucket_slots <= 4 ? 64 : 32;
}
constexpr std::size_t slot_bytes = 8 + 1 + 1;

// Arrays from this size on, a page, are mapped, so that freeing them returns them to the kernel.
constexpr std::size_t map_threshold_bytes = std::size_t{4} << 10;

// Smaller arrays fill whole cache lines, so that read-only data shares none with locks.
inline std::size_t allocated_bytes(std::size_t bytes) noexcept {
  if (bytes >= map_threshold_bytes) return round_up_to_pages(bytes);
  constexpr std::size_t line = memory_source::piece_alignment;
  return (bytes + line - 1) / line * line;
}

struct table_account {
  memory_source* source;
  std::size_t bytes = 0; // allocated for this table
};

template <class T>
class table_allocator {
public:
  using value_type = T;
  explicit table_allocator(table_account* account) noexcept : account_(account) {}
  template <class U>
  table_allocator(const table_allocator<U>& other) noexcept // NOLINT(google-explicit-constructor)
      : account_(other.account()) {}

  T* allocate(std::size_t count) {
    const std::size_t bytes = allocated_bytes(count * sizeof(T));
    memory_source& source = *account_->source;
    void* memory = bytes >= map_threshold_bytes ? source.map(bytes) : source.allocate(bytes);
    if (memory == nullptr) throw std::bad_alloc{};
    // Zeroed like mapped memory: slots are compared before it is checked whether they are occupied,
    // which memory checkers would report as a use of uninitialised memory.
    if (bytes < map_threshold_bytes) std::memset(memory, 0, bytes);
    account_->bytes += bytes;
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    const std::size_t bytes = allocated_bytes(count * sizeof(T));
    memory_source& source = *account_->source;
    account_->bytes -= bytes;
    bytes >= map_threshold_bytes ? source.unmap(memory, bytes) : source.deallocate(memory, bytes);
  }
  table_account* account() const noexcept { return account_; }
  template <class U>
  bool operator==(const table_allocator<U>& other) const noexcept {
    return account_ == other.account();
  }

private:
  table_account* account_;
};

// ---- slots ----------------------------------------------------------------------------

// Word by word: keys are short, and a call of memcmp costs more than comparing them.
inline bool equal_bytes(std::string_view a, std::string_view b) noexcept {
  const std::size_t size = a.size();
  if (size != b.size()) return false;
  constexpr std::size_t word = sizeof(std::uint64_t);
  if (size < word) {
    return load_little_endian_upto_7(a.data(), size) == load_little_endian_upto_7(b.data(), size);
  }
  const auto differ_at = [&](std::size_t at) {
    return load_little_endian<std::uint64_t>(a.data() + at) !=
           load_little_endian<std::uint64_t>(b.data() + at);
  };
  for (std::size_t at = 0; at + word < size; at += word) {
    if (differ_at(at)) return false;
  }
  return !differ_at(size - word); // overlaps the one before
}

// The key of a libcuckoo slot: 7 bytes, and with the mapped byte 8. The handle is no part of the
// hash or of its place, so it may change inside the table, under the bucket's lock.
class slot_key {
public:
  // Trivial, so that libcuckoo compares keys at once and not its partials first: the tag holds the
  // same bits.
  slot_key() noexcept = default;
  slot_key(entry_handle handle, std::uint32_t tag) noexcept {
    set_handle(handle);
    const auto low = static_cast<std::uint16_t>(tag);
    std::memcpy(tag_.data(), &low, sizeof(low));
    tag_[2] = static_cast<std::uint8_t>(tag >> 16);
  }
  entry_handle handle() const noexcept {
    entry_handle handle = no_entry;
    std::memcpy(&handle, handle_.data(), sizeof(handle));
    return handle;
  }
  void set_handle(entry_handle handle) const noexcept {
    std::memcpy(handle_.data(), &handle, sizeof(handle));
  }
  std::uint32_t tag() const noexcept {
    std::uint16_t low = 0; // two loads for three bytes
    std::memcpy(&low, tag_.data(), sizeof(low));
    return std::uint32_t{low} | std::uint32_t{tag_[2]} << 16;
  }

private:
  mutable std::array<std::uint8_t, sizeof(entry_handle)> handle_;
  std::array<std::uint8_t, tag_bits / 8> tag_;
};
using index_slot = std::pair<const slot_key, std::uint8_t>;
static_assert(sizeof(slot_key) == 7 && sizeof(index_slot) == 8, "the mapped byte is the last one");
static_assert(std::is_trivial_v<slot_key> && std::is_standard_layout_v<slot_key>);

// What is looked for: the entry with these key bytes,
struct has_key {
  const entry_arena& arena;
  std::string_view key;
  mutable entry last{nullptr}; // that was compared

  bool operator()(entry_handle handle) const noexcept {
    last = arena.at(handle);
    last.prefetch_second_line();
    return equal_bytes(last.key(last.meta()), key);
  }
};

// or one very entry, which is not read: it may have gone.
struct is_entry {
  entry_handle wanted;

  bool operator()(entry_handle handle) const noexcept { return handle == wanted; }
};

// or any entry of the hash, which is not read either.
struct has_hash {
  bool operator()(entry_handle) const noexcept { return true; }
};

// What to insert, for libcuckoo to look whether it is there; then it notes the slot, which stays
// valid while libcuckoo runs the functor, under the same locks.
struct insert_probe {
  has_key is_same;
  std::uint32_t tag;
  entry_handle handle;
  mutable const slot_key* matched = nullptr;

  operator slot_key() const noexcept { // NOLINT(google-explicit-constructor)
    return {handle, tag};
  }
};

// ---- buckets of any size --------------------------------------------------------------
// The buckets and locks of all tables are alike but for the number of slots, so one lookup serves
// all. A bucket has its slots, then a partial hash for each, then a byte for each that says whether
// it is occupied. A lock begins with the flag that is set while it is taken.

constexpr std::size_t most_bucket_slots = 9; // as libcuckoo allows

// The two arrays of a table, with one element for each bucket.
struct table_arrays {
  std::byte* buckets;
  std::byte* locks;
  std::size_t bucket_slots; // from 4 to most_bucket_slots
  std::size_t lock_bytes;

  std::byte* bucket(std::size_t number) const noexcept {
    return buckets + number * bucket_slots * slot_bytes;
  }
  std::byte* lock(std::size_t number) const noexcept { return locks + number * lock_bytes; }
};

inline slot_key& slot_at(std::byte* bucket, std::size_t i) noexcept {
  return *reinterpret_cast<slot_key*>(bucket + i * sizeof(index_slot));
}
inline bool is_occupied(const std::byte* bucket, std::size_t bucket_slots, std::size_t i) noexcept {
  return bucket[bucket_slots * (sizeof(index_slot) + 1) + i] != std::byte{0};
}

// Those of the bucket's slots that hold the hash, occupied or not: a bit for each. All are compared
// at once.
[[gnu::always_inline]] inline unsigned slots_with(std::uint32_t hash, const std::byte* bucket,
                                                  std::size_t bucket_slots) noexcept {
#ifdef __SSE2__
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(hash));
  const auto compare_four = [=](std::size_t first) {
    const auto* const at = reinterpret_cast<const float*>(bucket + first * sizeof(index_slot));
    const __m128i hashes = _mm_castps_si128( // of two times two slots: handle, hash, handle, hash
        _mm_shuffle_ps(_mm_loadu_ps(at), _mm_loadu_ps(at + 4), _MM_SHUFFLE(3, 1, 3, 1)));
    const auto equal =
        static_cast<unsigned>(_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(hashes, wanted))));
    return equal << first;
  };
  unsigned found = compare_four(0);
  if (bucket_slots > 4) found |= compare_four(bucket_slots - 4); // which may overlap
  if (bucket_slots > 8) found |= compare_four(4);
#else
  unsigned found = 0;
  for (std::size_t i = 0; i < bucket_slots; ++i) {
    std::uint32_t held = 0;
    std::memcpy(&held, bucket + i * sizeof(index_slot) + sizeof(entry_handle), sizeof(held));
    found |= unsigned{held == hash} << i;
  }
#endif
  return found;
}

// The numbers of a key's two buckets, which may be the same.
struct bucket_pair {
  std::uint32_t first;
  std::uint32_t second;

  // The lower one first, without a branch, which would be unpredictable.
  bucket_pair in_order() const noexcept {
    const std::uint32_t exchanged = (first ^ second) & (0 - std::uint32_t{second < first});
    return {first ^ exchanged, second ^ exchanged};
  }
};

// The slot that has this hash and a wanted handle, if there is one. Locks the key's two buckets for
// its lifetime, in libcuckoo's order.
class locked_slot {
public:
  template <class IsWanted>
  [[gnu::always_inline]] locked_slot(const table_arrays& in, std::uint32_t hash,
                                     bucket_pair buckets, const IsWanted& is_wanted) noexcept
      : lower_(lock_at(in, buckets.in_order().first)),
        upper_(lock_at(in, buckets.in_order().second)) {
    take(lower_);
    if (&lower_ != &upper_) take(upper_);
    if (find_in(in.bucket(buckets.first), in.bucket_slots, hash, is_wanted)) return;
    find_in(in.bucket(buckets.second), in.bucket_slots, hash, is_wanted);
  }
  ~locked_slot() {
    if (&lower_ != &upper_) upper_.clear(std::memory_order_release);
    lower_.clear(std::memory_order_release);
  }
  locked_slot(const locked_slot&) = delete;
  locked_slot& operator=(const locked_slot&) = delete;
  explicit operator bool() const noexcept { return slot_ != nullptr; }
  entry_handle handle() const noexcept { return handle_; } // as it was found
  void set_handle(entry_handle handle) const noexcept { slot_->set_handle(handle); }
  const slot_key* slot() const noexcept { return slot_; }

private:
  static std::atomic_flag& lock_at(const table_arrays& in, std::size_t number) noexcept {
    return *reinterpret_cast<std::atomic_flag*>(in.lock(number));
  }
  static void take(std::atomic_flag& lock) noexcept {
    if (lock.test_and_set(std::memory_order_acq_rel)) [[unlikely]] {
      wait_for(lock);
    }
  }
  // libcuckoo's own waiting never yields the processor, not even to the holder of the lock.
  [[gnu::noinline, gnu::cold]] static void wait_for(std::atomic_flag& lock) noexcept {
    spin_wait wait;
    while (lock.test_and_set(std::memory_order_acq_rel)) wait.step();
  }
  template <class IsWanted>
  [[gnu::always_inline]] bool find_in(std::byte* bucket, std::size_t bucket_slots,
                                      std::uint32_t hash, const IsWanted& is_wanted) noexcept {
    for (unsigned slots = slots_with(hash, bucket, bucket_slots); slots != 0; slots &= slots - 1) {
      const auto i = static_cast<unsigned>(std::countr_zero(slots));
      slot_key& slot = slot_at(bucket, i);
      const entry_handle handle = slot.handle();
      if (!is_occupied(bucket, bucket_slots, i) || !is_wanted(handle)) continue;
      slot_ = &slot;
      handle_ = handle;
      return true;
    }
    return false;
  }

  std::atomic_flag& lower_; // they may be the same
  std::atomic_flag& upper_;
  const slot_key* slot_ = nullptr;
  entry_handle handle_ = no_entry;
};

// ---- the table ------------------------------------------------------------------------

struct hash_of_slot {
  std::size_t operator()(const slot_key& key) const noexcept { return place_of(key.tag()); }
  std::size_t operator()(const insert_probe& probe) const noexcept { return place_of(probe.tag); }
};
struct equal_slots {
  bool operator()(const slot_key& a, const slot_key& b) const noexcept {
    return a.handle() == b.handle(); // slots moved to another table: entries are not touched
  }
  bool operator()(const slot_key& key, const insert_probe& probe) const noexcept {
    if (key.tag() != probe.tag || !probe.is_same(key.handle())) return false;
    probe.matched = &key;
    return true;
  }
};

template <std::size_t SlotsPerBucket>
using cuckoo_map_of = libcuckoo::cuckoohash_map<slot_key, std::uint8_t, hash_of_slot, equal_slots,
                                                table_allocator<index_slot>, SlotsPerBucket>;

// Computed as by libcuckoo. `bucket_mask`: the table's number of buckets, a power of two, minus 1.
inline bucket_pair buckets_of(std::uint32_t hash, std::uint32_t bucket_mask) noexcept {
  using map = cuckoo_map_of<4>; // all the same in this
  const std::uint32_t place = place_of(tag_of(hash));
  const std::uint32_t first = place & bucket_mask;
  return {first, cuckoo_inside::second_bucket_bits<map>(place, first) & bucket_mask};
}

// Thrown by an insertion that finds no place, since libcuckoo must not resize.
using table_full = libcuckoo::maximum_hashpower_exceeded;

template <std::size_t SlotsPerBucket>
struct table_of {
  using allocator = table_allocator<index_slot>;
  using cuckoo_map = cuckoo_map_of<SlotsPerBucket>;
  using bucket = cuckoo_inside::bucket<cuckoo_map>;
  static_assert(cuckoo_inside::lock_bytes<cuckoo_map> == lock_bytes_of(SlotsPerBucket));
  static_assert(std::is_standard_layout_v<cuckoo_inside::lock<cuckoo_map>>,
                "its address is that of its flag");
  static_assert(sizeof(bucket) == SlotsPerBucket * slot_bytes && 4 <= SlotsPerBucket &&
                SlotsPerBucket <= most_bucket_slots);

  table_of(memory_source& source, std::size_t slots)
      : account{&source}, map(slots, hash_of_slot{}, equal_slots{}, allocator{&account}) {
    map.minimum_load_factor(0);
    map.maximum_hashpower(map.hashpower());
    map.lock_table(); // libcuckoo frees its reserve for resizing now, before the account is read
    assert(map.capacity() == slots);
    assert(map.bucket_count() <= cuckoo_inside::parts_of<cuckoo_map>::most_locks);
  }

  // REQUIRES: `found` is a slot of this table.
  void erase(const locked_slot& found) noexcept {
    const auto at = static_cast<std::size_t>(reinterpret_cast<const std::byte*>(found.slot()) -
                                             arrays().buckets);
    cuckoo_inside::erase(map, at / sizeof(bucket), at % sizeof(bucket) / sizeof(index_slot));
  }

  // Calls `accepts` with the hash and the handle of each slot until it returns false; true if it
  // never does. REQUIRES: no other thread uses the table.
  template <class Accepts>
  bool all_slots(Accepts accepts) noexcept {
    const std::size_t count = map.bucket_count();
    for (std::size_t number = 0; number < count; ++number) {
      const bucket& b = cuckoo_inside::bucket_at(map, number);
      for (unsigned slots = occupied_slots(b); slots != 0; slots &= slots - 1) {
        const auto i = static_cast<unsigned>(std::countr_zero(slots));
        if (!accepts(hash_of(b.key(i).tag(), b.mapped(i)), b.key(i).handle())) return false;
      }
    }
    return true;
  }

  // Adds an entry; false if there is no place for it. REQUIRES: the entry is absent, and no other
  // thread uses the table.
  [[gnu::always_inline]] bool add(std::uint32_t hash, entry_handle handle) noexcept {
    const auto [first, second] =
        buckets_of(hash, static_cast<std::uint32_t>(map.bucket_count() - 1));
    for (const std::size_t number : {first, second}) {
      const unsigned free = ~occupied_slots(cuckoo_inside::bucket_at(map, number)) & every_slot;
      if (free == 0) continue;
      const auto last = static_cast<unsigned>(std::bit_width(free)) - 1; // the one libcuckoo takes
      cuckoo_inside::add(map, number, last, slot_key{handle, tag_of(hash)}, high_byte_of(hash));
      return true;
    }
    return make_place_and_add(hash, handle);
  }

  table_arrays arrays() noexcept {
    return {reinterpret_cast<std::byte*>(&cuckoo_inside::bucket_at(map, 0)),
            reinterpret_cast<std::byte*>(&cuckoo_inside::lock_at(map, 0)), SlotsPerBucket,
            cuckoo_inside::lock_bytes<cuckoo_map>};
  }

  table_account account; // before the map, which uses it to its end
  cuckoo_map map;

private:
  static constexpr unsigned every_slot = (1U << SlotsPerBucket) - 1;

  // A bit for each, as in slots_with: a search slot by slot would end unpredictably.
  [[gnu::always_inline]] static unsigned occupied_slots(const bucket& b) noexcept {
    unsigned occupied = 0;
    for (unsigned i = 0; i < SlotsPerBucket; ++i) occupied |= unsigned{b.occupied(i)} << i;
    return occupied;
  }
  [[gnu::noinline, gnu::cold]] bool make_place_and_add(std::uint32_t hash,
                                                       entry_handle handle) noexcept {
    try {
      return map.insert(slot_key{handle, tag_of(hash)}, high_byte_of(hash));
    } catch (const table_full&) {
      return false;
    }
  }
};

// Calls `function` with the table as its own type.
template <class Table, class Function>
decltype(auto) with_table(const Table& t, Function&& function) {
  if (t.bucket_slots == 4) return function(*static_cast<table_of<4>*>(t.map));
  if (t.bucket_slots == 8) return function(*static_cast<table_of<8>*>(t.map));
  if (t.bucket_slots == 6) return function(*static_cast<table_of<6>*>(t.map));
  if (t.bucket_slots == 9) return function(*static_cast<table_of<9>*>(t.map));
  return function(*static_cast<table_of<5>*>(t.map));
}

// Fetches a cache line in exclusive state, in one transfer. gcc emits the instruction for
// __builtin_prefetch only if every processor of the target supports it; the few x86-64 processors
// without it treat it as a no-op.
[[gnu::always_inline]] inline void prefetch_to_write(const std::byte* at) noexcept {
#ifdef __x86_64__
  asm volatile("prefetchw %0" : : "m"(*at));
#else
  __builtin_prefetch(at, 1);
#endif
}

} // namespace kvcache
