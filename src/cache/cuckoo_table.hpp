// The tables that the index is made of: libcuckoo's map over slots of 8 bytes, built at its size
// and never resized. The only file of the sources that includes libcuckoo, and that knows how it
// lays out and hashes; for index.cpp alone. What is relied on of the inside of version 0.3.1 is
// compared with it by cuckoo_table_test.cpp.
//
// Thread-safety: as libcuckoo's. An operation locks both buckets of its key; what a probe looks at
// and what a functor is given lies in those two.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

// libcuckoo pads each of its locks, one for every bucket, to 64 bytes: as much as the entries' own
// overhead. The macro belongs to its utility header; here two of them share a line of the cache.
// (Packed to the 24 bytes that they need, a quarter of them would lie across two lines.)
#ifdef _CUCKOOHASH_MAP_HH
#error "its locks have been padded already: include cuckoo_table.hpp before libcuckoo"
#endif
#include <libcuckoo/cuckoohash_util.hh>
#undef LIBCUCKOO_ALIGNAS
#define LIBCUCKOO_ALIGNAS(bytes) alignas((bytes) / 2)
#include <libcuckoo/cuckoohash_map.hh>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "cache/entry.hpp"
#include "cache/entry_arena.hpp"
#include "cache/little_endian.hpp"
#include "cache/memory_source.hpp"

namespace kvcache {

// ---- what of the hash is where --------------------------------------------------------
constexpr unsigned tag_bits = 24; // in the slot's key; the other 8 are its mapped byte

constexpr std::uint32_t tag_of(std::uint32_t hash) { return hash & ((1U << tag_bits) - 1); }
constexpr std::uint8_t high_byte_of(std::uint32_t hash) {
  return static_cast<std::uint8_t>(hash >> tag_bits);
}

// ---- table memory ---------------------------------------------------------------------
// What libcuckoo keeps for a bucket: its lock, and a slot, a partial hash and a flag for each
// entry.
constexpr std::size_t lock_bytes = 32;
constexpr std::size_t slot_bytes = 8 + 1 + 1;

// Arrays from this size on, a page, are mapped, so that freeing them returns them to the kernel.
constexpr std::size_t map_threshold_bytes = std::size_t{4} << 10;

// Smaller ones fill whole lines of the processor's cache: what is only read shares none with locks.
inline std::size_t allocated_bytes(std::size_t bytes) noexcept {
  if (bytes >= map_threshold_bytes) return round_up_to_pages(bytes);
  constexpr std::size_t line = memory_source::piece_alignment;
  return (bytes + line - 1) / line * line;
}

struct table_account {
  memory_source* source;
  std::size_t bucket_count;
  std::size_t bytes = 0; // allocated for this table

  // libcuckoo's two arrays with one element for each bucket: the buckets, and their locks.
  const std::byte* buckets = nullptr;
  const std::byte* locks = nullptr;
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
    // As mapped memory is: slots are compared before it is asked whether they are occupied, which
    // memory checkers would call a use of what was never written.
    if (bytes < map_threshold_bytes) std::memset(memory, 0, bytes);
    account_->bytes += bytes;
    if (count == account_->bucket_count) {
      (sizeof(T) == lock_bytes ? account_->locks : account_->buckets) =
          static_cast<const std::byte*>(memory);
    }
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

// ---- slots and probes -----------------------------------------------------------------

// Word by word, here: keys are short, and a call of memcmp costs more than they do.
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
  // Trivial, so that libcuckoo asks for equality at once and does not compare its partials before:
  // the tag tells as much, and find_probe wants to be asked.
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

// Looks for the entry with these key bytes; notes the slot that matched, which stays valid while
// libcuckoo runs the functor, under the same locks.
struct key_probe {
  const entry_arena& arena;
  std::string_view key;
  std::uint32_t tag;
  mutable const slot_key* matched = nullptr;

  bool matches(const slot_key& asked) const noexcept {
    if (asked.tag() != tag) return false;
    const entry e = arena.at(asked.handle());
    e.prefetch_second_line();
    return equal_bytes(e.key(e.meta()), key);
  }
};

// The same, and what to insert if there is none.
struct insert_probe : key_probe {
  entry_handle handle;
  operator slot_key() const noexcept {
    return {handle, tag};
  } // NOLINT(google-explicit-constructor)
};

// Looks for the slot of one very entry, without reading the entry: it may have gone.
struct handle_probe {
  entry_handle handle;
  std::uint32_t tag;
  mutable const slot_key* matched = nullptr;

  bool matches(const slot_key& asked) const noexcept {
    return asked.handle() == handle && asked.tag() == tag;
  }
};

// ---- all slots at once ----------------------------------------------------------------

// The numbers of a key's two buckets, which may be the same. As libcuckoo computes them: what is
// found depends on it, since find_probe looks there. To the letter, so that the compiler does it
// once.
struct bucket_pair {
  std::size_t first;
  std::size_t second;

  static bucket_pair of(std::size_t tag, std::size_t last_bucket) noexcept {
    const auto bits32 = static_cast<std::uint32_t>(tag) ^ static_cast<std::uint32_t>(tag >> 32);
    const auto bits16 = static_cast<std::uint16_t>(static_cast<std::uint16_t>(bits32) ^
                                                   static_cast<std::uint16_t>(bits32 >> 16));
    const auto partial = static_cast<std::uint8_t>(static_cast<std::uint8_t>(bits16) ^
                                                   static_cast<std::uint8_t>(bits16 >> 8));
    constexpr std::uint64_t alternate = 0xc6a4a7935bd1e995;
    const std::size_t first = tag & last_bucket;
    return {first, (first ^ (std::size_t{partial} + 1) * alternate) & last_bucket};
  }
};

template <std::size_t SlotsPerBucket>
using bucket_of =
    typename libcuckoo::bucket_container<slot_key, std::uint8_t, table_allocator<index_slot>,
                                         std::uint8_t, SlotsPerBucket>::bucket;

// Those of the bucket's slots that hold the hash, occupied or not: a bit for each.
template <std::size_t SlotsPerBucket>
[[gnu::always_inline]] inline unsigned slots_with(std::uint32_t hash,
                                                  const bucket_of<SlotsPerBucket>& b) noexcept {
  static_assert(SlotsPerBucket % 2 == 0);
  unsigned found = 0;
#ifdef __SSE2__
  const auto* const slots = reinterpret_cast<const char*>(&b.kvpair(0));
  const auto load = [slots](std::size_t i) { // two slots: handle, hash, handle, hash
    return _mm_loadu_ps(reinterpret_cast<const float*>(slots + i * sizeof(index_slot)));
  };
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(hash));
#pragma GCC unroll 2
  for (std::size_t i = 0; i < SlotsPerBucket; i += 4) {
    const bool four = i + 4 <= SlotsPerBucket; // else two
    const __m128i hashes =
        _mm_castps_si128(_mm_shuffle_ps(load(i), load(four ? i + 2 : i), _MM_SHUFFLE(3, 1, 3, 1)));
    const int equal = _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(hashes, wanted)));
    found |= static_cast<unsigned>(four ? equal : equal & 3) << i;
  }
#else
  for (std::size_t i = 0; i < SlotsPerBucket; ++i) {
    const std::uint32_t there = b.key(i).tag() | std::uint32_t{b.mapped(i)} << tag_bits;
    found |= unsigned{there == hash} << i;
  }
#endif
  return found;
}

// Finds the entry with these key bytes, for libcuckoo's find_fn only, which locks both buckets and
// then asks of one slot after the other whether it is the one. Where it is cannot be predicted, and
// the processor would start again from a branch or two that went the wrong way. So the first
// question is answered for all slots: yes, if the key is in any of them. Which slot libcuckoo takes
// it for then means nothing; the functor must go by found().
template <std::size_t SlotsPerBucket>
class find_probe {
public:
  using bucket = bucket_of<SlotsPerBucket>;

  find_probe(const entry_arena& arena, std::string_view key, std::uint32_t hash,
             const bucket* buckets, bucket_pair numbers) noexcept
      : arena_(arena),
        key_(key),
        hash_(hash),
        first_(buckets + numbers.first),
        second_(buckets + numbers.second) {}

  std::uint32_t tag() const noexcept { return tag_of(hash_); }
  entry_handle found() const noexcept { return found_; }

  [[gnu::always_inline]] bool matches([[maybe_unused]] const slot_key& asked) const noexcept {
    assert(lies_in(*first_, asked) || lies_in(*second_, asked));
    if (std::exchange(searched_, true)) return false;
    return find_in(*first_) || find_in(*second_);
  }

private:
  [[gnu::always_inline]] bool find_in(const bucket& b) const noexcept {
    for (unsigned slots = slots_with<SlotsPerBucket>(hash_, b); slots != 0; slots &= slots - 1) {
      const auto i = static_cast<unsigned>(std::countr_zero(slots));
      if (!b.occupied(i)) continue;
      const entry_handle handle = b.key(i).handle();
      const entry e = arena_.at(handle);
      e.prefetch_second_line();
      if (equal_bytes(e.key(e.meta()), key_)) {
        found_ = handle;
        return true;
      }
    }
    return false;
  }
  static bool lies_in(const bucket& b, const slot_key& asked) noexcept {
    return &asked >= &b.key(0) && &asked <= &b.key(SlotsPerBucket - 1);
  }

  const entry_arena& arena_;
  std::string_view key_;
  std::uint32_t hash_;
  const bucket* first_;
  const bucket* second_;
  mutable bool searched_ = false;
  mutable entry_handle found_ = no_entry;
};

// ---- the table ------------------------------------------------------------------------

struct hash_of_slot {
  template <std::size_t SlotsPerBucket>
  std::size_t operator()(const find_probe<SlotsPerBucket>& probe) const noexcept {
    return probe.tag();
  }
  std::size_t operator()(const slot_key& key) const noexcept { return key.tag(); }
  std::size_t operator()(const key_probe& probe) const noexcept { return probe.tag; }
  std::size_t operator()(const handle_probe& probe) const noexcept { return probe.tag; }
};
struct equal_slots {
  bool operator()(const slot_key& a, const slot_key& b) const noexcept {
    return a.handle() == b.handle(); // slots moved to another table: entries are not touched
  }
  template <std::size_t SlotsPerBucket>
  bool operator()(const slot_key& key, const find_probe<SlotsPerBucket>& probe) const noexcept {
    return probe.matches(key);
  }
  template <class Probe>
  bool operator()(const slot_key& key, const Probe& probe) const noexcept {
    if (!probe.matches(key)) return false;
    probe.matched = &key;
    return true;
  }
};

template <std::size_t SlotsPerBucket>
struct table_of {
  using allocator = table_allocator<index_slot>;
  using cuckoo_map = libcuckoo::cuckoohash_map<slot_key, std::uint8_t, hash_of_slot, equal_slots,
                                               allocator, SlotsPerBucket>;
  table_of(memory_source& source, std::size_t slots)
      : account{&source, slots / SlotsPerBucket},
        map(slots, hash_of_slot{}, equal_slots{}, allocator{&account}) {
    map.minimum_load_factor(0);
    map.maximum_hashpower(map.hashpower());
    map.lock_table(); // lets libcuckoo free its place for resizing now: the account must not change
    assert(map.capacity() == slots);
  }
  table_account account; // before the map, which uses it to its end
  cuckoo_map map;
};

// Calls `function` with the table, as what it is.
template <class Table, class Function>
decltype(auto) with_table(const Table& t, Function&& function) {
  if (t.bucket_slots == 4) return function(*static_cast<table_of<4>*>(t.map));
  if (t.bucket_slots == 8) return function(*static_cast<table_of<8>*>(t.map));
  return function(*static_cast<table_of<6>*>(t.map));
}

// Thrown by an insertion that found no place, since libcuckoo may not resize.
using table_full = libcuckoo::maximum_hashpower_exceeded;

// Copies one slot; false if the table has no place for it.
template <class LockedTable>
bool add_slot(LockedTable& to, const slot_key& key, std::uint8_t high_byte) {
  try {
    to.insert(key, high_byte);
    return true;
  } catch (const table_full&) {
    return false;
  }
}

// What another processor wrote last comes over to be written to in one exchange, not in two. gcc
// has the instruction for __builtin_prefetch only where every processor of the target has it; the
// few x86-64 ones without it take it for none.
[[gnu::always_inline]] inline void prefetch_to_write(const std::byte* at) noexcept {
#ifdef __x86_64__
  asm volatile("prefetchw %0" : : "m"(*at));
#else
  __builtin_prefetch(at, 1);
#endif
}

} // namespace kvcache
