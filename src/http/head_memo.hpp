// Remembers a request's head and recognises it when it comes again with another query or path
// variable, another body length, and another value of one field that the parser ignores.
//
// A client sends the same head with every request, except for the key in the target, the length of
// the body, and perhaps one value such as that of `traceparent`. The meaning of a head depends only
// on its bytes. A head that equals an accepted one except for these three is therefore not parsed:
// the target is scanned, the length is read, the value is checked, and the rest is compared. The
// memo accepts nothing that the parser refuses and describes nothing differently; a fuzz test
// verifies that both agree.
//
// The memo learns both variable parts. The field is the one in which a head differs from the
// remembered one. The path is variable behind its fixed part if the router's decision on the
// remembered head holds for every such path (grant::fixed_path_bytes).
//
// Thread-safety: none. Allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "http/http_limits.hpp"
#include "http/request.hpp"

namespace kvcache::http {

class head_memo {
public:
  head_memo() noexcept = default;
  head_memo(const head_memo&) = delete; // like_ points into tail_
  head_memo& operator=(const head_memo&) = delete;

  // Remembers the head of `got` instead of the earlier one. The parser has read it at the very
  // beginning of `input`, up to `head_end`. Returns where the router notes its decision on it; null
  // if the head is not remembered: its fields are long, its target is not a path, or the client has
  // sent many heads that never came again, in which case the earlier one stays.
  grant* learn(std::string_view input, std::size_t head_end, const request& got) noexcept;

  // If `input` begins with a whole request whose head is the remembered one except for its variable
  // parts: returns its bytes, and recognised() describes it. Else 0.
  std::size_t recognise(std::string_view input, const http_limits& limits) noexcept;

  // The key, as far as it is plain, if `input` begins like the remembered head: a guess, since the
  // rest is not compared. Empty if it does not, or has none.
  std::string_view guess_key(std::string_view input) const noexcept;

  // Valid until the next call of learn() or recognise(). Its views point into the input if what
  // they show may vary, and else into this object.
  const request& recognised() const noexcept { return like_; }

private:
  // Ordinary clients send 40 to 200 bytes besides the target.
  static constexpr std::size_t most_tail_bytes = 256;

  // "POST /put", "GET /get?" or "DELETE /kv/": the head up to its variable part. Compared as words,
  // under a mask. Heads with a longer beginning are not recognised.
  static constexpr std::size_t most_start_words = 2;

  static constexpr std::size_t nothing = SIZE_MAX; // more than any input has

  // The part of the target behind the beginning.
  enum class variable : std::uint8_t { none, query, path };

  // A piece of the tail.
  struct gap {
    std::size_t begin = 0; // offset
    std::size_t end = 0;

    bool exists() const noexcept { return begin != 0; } // the tail begins with the version
  };

  // The only ignored value in which two tails differ, in the latter; none if they are equal, and
  // nullopt if they differ otherwise.
  static std::optional<gap> differing_value(std::string_view before, std::string_view now) noexcept;

  bool is_worth_learning() noexcept;
  variable variable_in(std::string_view input, const request& got,
                       std::size_t& start_bytes) const noexcept;
  void remember_start(std::string_view input, std::size_t bytes, variable behind) noexcept;
  std::string_view copied(std::string_view piece, std::string_view tail) const noexcept;
  bool begins(std::string_view input) const noexcept;
  bool ends(std::string_view rest, std::size_t& end, std::size_t& body_bytes) const noexcept;
  [[gnu::noinline]] bool ends_with_gaps(std::string_view rest, std::size_t& end,
                                        std::size_t& body_bytes) const noexcept;
  std::optional<gap> varying_value(std::string_view tail, const gap& length) const noexcept;

  std::array<std::uint64_t, most_start_words> start_{};
  std::array<std::uint64_t, most_start_words> start_mask_{};
  std::size_t start_bytes_ = 0;
  std::size_t least_bytes_ = nothing; // a shorter input is not compared

  // " HTTP/1.1" and all fields, to the end of the head.
  std::array<char, most_tail_bytes> tail_;
  std::size_t tail_bytes_ = 0;
  std::size_t whole_tail_bytes_ = 0; // compared at once; `nothing` if a value is known to vary
  std::size_t tail_body_bytes_ = 0;  // the length in it
  gap length_;                       // its digits; without a length, empty and at the end
  gap varying_;                      // the value of an ignored field, if one is known to vary
  unsigned unrecognised_ = 0;        // heads in a row that were learnt in vain, or not learnt
  variable variable_ = variable::none;
  bool has_length_ = false;

  request like_; // its target is empty until it has been recognised
  grant granted_;
};

} // namespace kvcache::http
