// Remembers a request's head and recognises it when it comes again with another query or length.
//
// A client says the same words in front of every request: only the query of a GET changes and the
// length of a PUT's body. What a head means depends on nothing but its bytes, so a head that equals
// one that the parser has accepted, but for those two, need not be parsed again: the query is
// scanned, the length read, the rest compared: some 270 instructions for an ordinary GET instead of
// 2,400 (`bench/instructions`: a head never seen). Nothing is accepted here that the parser would
// refuse, and nothing is described differently; a fuzz test holds the two together.
//
// One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
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
  // which ends at `head_end`; forgets the one before. `content_length` is that field's value there,
  // if it has one. Heads that are long, or whose target is no plain path, are not remembered.
  void learn(std::string_view input, std::size_t head_end, std::string_view content_length,
             const request& got) noexcept;

  // If `input` begins with a whole request whose head is the remembered one but for the query and
  // the length: returns how many bytes it takes, and recognised() describes it. Else 0.
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

  static constexpr std::size_t nothing = SIZE_MAX; // least_bytes_ while nothing is remembered

  std::string_view copied(std::string_view piece, std::string_view tail) const noexcept;
  bool begins(std::string_view input) const noexcept;
  bool ends(std::string_view rest, std::size_t& end, std::size_t& body_bytes) const noexcept;

  std::array<std::uint64_t, most_start_words> start_{};
  std::array<std::uint64_t, most_start_words> start_mask_{};
  std::size_t start_bytes_ = 0;
  std::size_t least_bytes_ = nothing; // a shorter input is not compared

  // " HTTP/1.1" and all fields, to the end of the head. The digits of the length in it do not
  // count.
  std::array<char, most_tail_bytes> tail_;
  std::size_t tail_bytes_ = 0;
  std::size_t before_length_bytes_ = 0;
  std::size_t length_end_ = 0;
  std::size_t tail_body_bytes_ = 0; // the length it says
  bool has_query_ = false;
  bool has_length_ = false;

  request like_;
  grant granted_;
};

} // namespace kvcache::http
