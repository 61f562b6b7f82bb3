// Remembers a request's head and recognises it when it comes again with another query, body length,
// and value of one field that the parser ignores.
//
// A client sends the same head in front of every request, except for the query, the length of the
// body, and perhaps one value such as that of `traceparent`. The meaning of a head depends only on
// its bytes. A head that equals an accepted one except for these three is therefore not parsed: the
// query is scanned, the length is read, the value is checked, and the rest is compared. The memo
// accepts nothing that the parser refuses and describes nothing differently; a fuzz test verifies
// that both agree.
//
// Which value varies is learnt: it is the one in which a head differs from the remembered one.
//
// Thread-safety: none; one thread at a time.
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

  // Remembers the head of `got`, which the parser has read at the very beginning of `input` and
  // which ends at `head_end`; forgets the one before. Heads that are long, or whose target is no
  // plain path, are not remembered. The grant stays if the head means the same as the one before.
  void learn(std::string_view input, std::size_t head_end, const request& got) noexcept;

  // If `input` begins with a whole request whose head is the remembered one except for the query,
  // the length and the value that varies: returns how many bytes it takes, and recognised()
  // describes it. Else 0.
  std::size_t recognise(std::string_view input, const http_limits& limits) noexcept;

  // The query, if `input` begins like the remembered head: a guess, since the rest is not compared.
  // Empty if it does not, or has none.
  std::string_view guess_query(std::string_view input) const noexcept;

  // Good until the next call of one of the other two. Its views point into the input where what
  // they show may change, and else into this object.
  const request& recognised() const noexcept { return like_; }

private:
  // Ordinary clients send 40 to 200 bytes besides the target.
  static constexpr std::size_t most_tail_bytes = 256;

  // "POST /put", or "GET /get?": the head up to the query. Kept as words, compared under a mask.
  static constexpr std::size_t most_start_words = 2;

  static constexpr std::size_t nothing = SIZE_MAX; // more than any input has

  // A piece of the tail.
  struct gap {
    std::size_t begin = 0; // offset
    std::size_t end = 0;

    bool exists() const noexcept { return begin != 0; } // the tail begins with the version
  };

  // The only ignored value in which two tails differ, in the latter; none if they are equal, and
  // nothing if they differ otherwise.
  static std::optional<gap> differing_value(std::string_view before, std::string_view now) noexcept;

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
  unsigned unrecognised_ = 0;        // heads learnt while no value was known to vary
  bool has_query_ = false;
  bool has_length_ = false;

  request like_;
  grant granted_;
};

} // namespace kvcache::http
