// Strong entity tags (RFC 9110 §8.8.3) of values: a hash of type and bytes, XXH3 with a random
// secret, so that nobody can make two values of the same tag. The tags of another process differ.
//
// Thread-safety: immutable after construction; a tag_stream is used by one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace kvcache::http {

class tag_stream;

class entity_tagger {
public:
  entity_tagger(); // throws std::bad_alloc, or what std::random_device throws

  std::uint64_t tag_of(std::string_view type, std::string_view bytes) const noexcept;

private:
  friend class tag_stream;
  static constexpr std::size_t secret_bytes = 192;

  std::uint64_t combine(std::string_view type, std::uint64_t bytes_hash) const noexcept;

  std::uint64_t hash(std::string_view bytes) const noexcept;

  std::array<unsigned char, secret_bytes> secret_;

  // Of the types that most values have, recognised by their address.
  std::uint64_t text_type_hash_ = 0;
  std::uint64_t unknown_type_hash_ = 0;
};

// The tag of bytes that come in pieces. The tagger must outlive it.
class tag_stream {
public:
  explicit tag_stream(const entity_tagger& by); // throws std::bad_alloc
  ~tag_stream();
  tag_stream(const tag_stream&) = delete;
  tag_stream& operator=(const tag_stream&) = delete;

  void add(std::string_view bytes) noexcept;
  std::uint64_t tag(std::string_view type) const noexcept; // of all so far

private:
  struct state;
  const entity_tagger& by_;
  std::unique_ptr<state> state_;
};

// A tag as text: 16 hexadecimal digits in quotes.
class tag_text {
public:
  explicit tag_text(std::uint64_t tag) noexcept;
  std::string_view view() const noexcept { return {text_.data(), text_.size()}; }

private:
  std::array<char, 18> text_;
};

} // namespace kvcache::http
