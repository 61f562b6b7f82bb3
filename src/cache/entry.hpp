// One entry, packed into one block:
//
//   | meta 4 | lengths 4 | [key length 4 | value length 4] | [expiry 4] | key … | value … |
//
// Lengths share one word (key 11 bits, value 21 bits) unless one of them is too long; then the
// extended flag is set and both follow as words of their own. The expiry is there only if its flag
// is set. So an entry of 20 + 100 bytes is a block of exactly 128.
//
// `entry` is a view of such a block: a pointer that owns nothing.
// Thread-safety, by part:
//   - meta: any thread that prevents the block from being freed (it holds the bucket lock of the
//     entry, or the lock of the stripe that owns the block). Always atomic.
//   - key: the same; a key never changes while its entry lives.
//   - value, assign_value: under the bucket lock only, or before any other thread knows the block.
//   - expiry and lengths are atomic, since an overwrite in place changes them under the bucket lock
//     while a walk reads them under the stripe lock.
//
// An entry with room for an expiry can be given one, or none, in place. A long value always has the
// room, so that it is never copied for it.
#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "cache/entry_meta.hpp"
#include "kvcache/entry_view.hpp"

namespace kvcache {

// What the layout of a block depends on.
struct entry_shape {
  std::size_t key_bytes = 0;
  std::size_t value_bytes = 0;
  bool has_expiry = false;
  bool wide = false; // the lengths have words of their own, however short they are

  // Of values from this length on, the entry has room for an expiry whether it expires or not.
  static constexpr std::size_t long_value_bytes = std::size_t{16} << 10;

  static constexpr entry_shape of(std::size_t key_bytes, std::size_t value_bytes,
                                  tick expires_at) noexcept {
    return {key_bytes, value_bytes, expires_at != never || value_bytes >= long_value_bytes};
  }

  static constexpr unsigned value_length_bits = 21;
  static constexpr std::size_t max_short_value = (std::size_t{1} << value_length_bits) - 1;
  static constexpr std::size_t max_short_key = (std::size_t{1} << (32 - value_length_bits)) - 1;

  constexpr bool extended() const noexcept {
    return wide || key_bytes > max_short_key || value_bytes > max_short_value;
  }
  constexpr std::size_t header_bytes() const noexcept {
    return 8 + (extended() ? 8U : 0U) + (has_expiry ? 4U : 0U);
  }
  constexpr std::size_t total_bytes() const noexcept {
    return header_bytes() + key_bytes + value_bytes;
  }
  // Whether the lengths are equal, wherever they are stored.
  friend constexpr bool operator==(const entry_shape& a, const entry_shape& b) noexcept {
    return a.key_bytes == b.key_bytes && a.value_bytes == b.value_bytes &&
           a.has_expiry == b.has_expiry;
  }
};

class entry {
public:
  explicit entry(std::byte* block) noexcept : block_(block) {}

  // ---- meta ---------------------------------------------------------------------------
  entry_meta meta() const noexcept {
    return entry_meta{word(meta_at).load(std::memory_order_relaxed)};
  }

  // Sees everything written before publish(), if live.
  entry_meta acquire_meta() const noexcept {
    return entry_meta{word(meta_at).load(std::memory_order_acquire)};
  }
  void publish(entry_meta meta) noexcept {
    word(meta_at).store(meta.bits(), std::memory_order_release);
  }
  void store_meta(entry_meta meta) noexcept {
    word(meta_at).store(meta.bits(), std::memory_order_relaxed);
  }
  bool exchange_meta(entry_meta expected, entry_meta desired) noexcept {
    std::uint32_t bits = expected.bits();
    return word(meta_at).compare_exchange_strong(bits, desired.bits(), std::memory_order_relaxed);
  }

  // ---- a new entry --------------------------------------------------------------------
  // Fills the block, all but its meta: publish() makes it an entry.
  void write(std::string_view key, const new_value& value, tick expires_at) noexcept {
    const entry_shape s =
        entry_shape::of(key.size(), value.bytes.size() + value.suffix.size(), expires_at);
    write_header(s, expires_at);
    copy_bytes(block_ + s.header_bytes(), key);
    copy_value(s.header_bytes() + key.size(), value);
  }
  void write_header(const entry_shape& s, tick expires_at) noexcept {
    store_lengths(s);
    if (s.has_expiry) word(s.header_bytes() - 4).store(expires_at, std::memory_order_relaxed);
  }
  // Where the key is, and behind it the value. REQUIRES: that shape.
  char* payload(const entry_shape& s) noexcept {
    return reinterpret_cast<char*>(block_ + s.header_bytes());
  }

  // Fills this block, all but its meta, with what `other` holds.
  void write_copy_of(entry other) noexcept {
    const entry_meta m = other.meta();
    const entry_shape s = other.shape(m);
    store_lengths(s);
    if (s.has_expiry)
      word(s.header_bytes() - 4).store(other.expires_at(m), std::memory_order_relaxed);
    std::memcpy(block_ + s.header_bytes(), other.block_ + s.header_bytes(),
                s.key_bytes + s.value_bytes);
  }

  // ---- a live entry -------------------------------------------------------------------
  // Fetches the second cache line along with the first, for a reader of key and value. A hint: any
  // address is valid. Always inline: gcc drops calls of functions that only prefetch.
  [[gnu::always_inline]] void prefetch_second_line() const noexcept {
    __builtin_prefetch(block_ + 64);
  }

  [[gnu::always_inline]] void prefetch_both_lines() const noexcept {
    __builtin_prefetch(block_);
    __builtin_prefetch(block_ + 64);
  }

  entry_shape shape(entry_meta m) const noexcept {
    const std::uint32_t lengths = word(lengths_at).load(std::memory_order_relaxed);
    if (!m.extended()) {
      return {lengths >> entry_shape::value_length_bits, lengths & entry_shape::max_short_value,
              m.has_expiry()};
    }
    return {word(8).load(std::memory_order_relaxed), word(12).load(std::memory_order_relaxed),
            m.has_expiry(), true};
  }
  std::string_view key(entry_meta m) const noexcept {
    const entry_shape s = shape(m);
    return {chars(header_bytes(m)), s.key_bytes};
  }
  std::string_view value(entry_meta m) const noexcept {
    const entry_shape s = shape(m);
    return {chars(header_bytes(m) + s.key_bytes), s.value_bytes};
  }
  tick expires_at(entry_meta m) const noexcept {
    return m.has_expiry() ? word(header_bytes(m) - 4).load(std::memory_order_relaxed) : never;
  }

  // Whether an entry of that shape would have the same layout and lengths.
  bool has_shape(entry_meta m, const entry_shape& s) const noexcept {
    if (m.extended() || s.extended()) [[unlikely]] {
      return shape(m) == s;
    }
    return word(lengths_at).load(std::memory_order_relaxed) == short_lengths(s) &&
           m.has_expiry() == s.has_expiry;
  }

  // True if an entry of the new shape has its key at the same place; then store_lengths() and
  // assign_value() may follow, provided the block is large enough.
  bool same_layout(entry_meta m, const entry_shape& s) const noexcept {
    return m.extended() == s.extended() && m.has_expiry() == s.has_expiry;
  }
  void store_lengths(const entry_shape& s) noexcept {
    if (!s.extended()) {
      word(lengths_at).store(short_lengths(s), std::memory_order_relaxed);
      return;
    }
    word(8).store(static_cast<std::uint32_t>(s.key_bytes), std::memory_order_relaxed);
    word(12).store(static_cast<std::uint32_t>(s.value_bytes), std::memory_order_relaxed);
  }
  // REQUIRES: m.has_expiry()
  void store_expiry(entry_meta m, tick expires_at) noexcept {
    word(header_bytes(m) - 4).store(expires_at, std::memory_order_relaxed);
  }
  // Of the length that was stored last.
  void assign_value(entry_meta m, std::size_t key_bytes, const new_value& value,
                    tick expires_at) noexcept {
    if (m.has_expiry()) store_expiry(m, expires_at);
    copy_value(header_bytes(m) + key_bytes, value);
  }

  // ---- a free block -------------------------------------------------------------------
  // Not live, so other threads read its meta only; the arena keeps its free list in the lengths.
  void mark_free(std::uint32_t next_free) noexcept {
    store_meta(entry_meta{});
    word(lengths_at).store(next_free, std::memory_order_relaxed);
  }
  std::uint32_t next_free() const noexcept {
    return word(lengths_at).load(std::memory_order_relaxed);
  }

private:
  static constexpr std::size_t meta_at = 0;
  static constexpr std::size_t lengths_at = 4;

  // REQUIRES: not extended
  static constexpr std::uint32_t short_lengths(const entry_shape& s) noexcept {
    return static_cast<std::uint32_t>((s.key_bytes << entry_shape::value_length_bits) |
                                      s.value_bytes);
  }
  static constexpr std::size_t header_bytes(entry_meta m) noexcept {
    return 8 + (m.extended() ? 8U : 0U) + (m.has_expiry() ? 4U : 0U);
  }
  static void copy_bytes(std::byte* to, std::string_view from) noexcept {
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
  }
  void copy_value(std::size_t offset, const new_value& value) noexcept {
    copy_bytes(block_ + offset, value.bytes);
    copy_bytes(block_ + offset + value.bytes.size(), value.suffix);
  }
  std::atomic_ref<std::uint32_t> word(std::size_t offset) const noexcept {
    return std::atomic_ref<std::uint32_t>{*reinterpret_cast<std::uint32_t*>(block_ + offset)};
  }
  const char* chars(std::size_t offset) const noexcept {
    return reinterpret_cast<const char*>(block_ + offset);
  }

  std::byte* block_;
};

} // namespace kvcache
