// Remembers a request's head and recognises it when it comes again with another target.
//
// A client says the same words in front of every request: only the target changes (and with it, for
// a PUT, sometimes the length). What a head means depends on nothing but its bytes, so a head that
// equals one that the parser has accepted, but for the target, need not be parsed again: the target
// is scanned, the rest compared: 340 instructions for an ordinary GET instead of 1,500. Nothing is
// accepted here that the parser would refuse, and nothing is described differently; a fuzz test
// holds the two together.
//
// Holds copies, no pointers into any input. One thread at a time.
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
  // Remembers the head of `got`, which the parser has read at the very beginning of `input` and
  // which ends at `head_end`; forgets the one before. Heads that are long, or whose target is no
  // plain path, are not remembered.
  void learn(std::string_view input, std::size_t head_end, const request& got) noexcept;

  // If `input` begins with a whole request whose head is the remembered one but for the target:
  // describes it in `out` and returns how many bytes it takes. Else 0, and `out` is as it was.
  std::size_t recognise(std::string_view input, const http_limits& limits,
                        request& out) const noexcept;

private:
  // Ordinary clients send 40 to 200 bytes besides the target.
  static constexpr std::size_t most_tail_bytes = 256;

  // A view into the tail, by its place there.
  struct place {
    std::size_t offset = 0;
    std::size_t size = 0;
    bool present = false;
  };
  static place place_of(std::string_view piece, std::string_view tail) noexcept;
  static std::string_view at(const place& where, const char* tail) noexcept;

  // "GET /", as the first bytes of a word, and which bits of that word count. Longer methods are
  // not remembered.
  std::uint64_t start_ = 0;
  std::uint64_t start_mask_ = 0;
  std::array<char, most_tail_bytes> tail_; // " HTTP/1.1" and all fields, to the end of the head
  std::size_t start_bytes_ = 0;
  std::size_t tail_bytes_ = 0; // 0: nothing is remembered
  std::size_t body_bytes_ = 0;
  request like_; // what does not depend on where the request lies; its views are all empty
  place host_;
  place origin_;
  place sec_fetch_site_;
  place authorization_;
};

} // namespace kvcache::http
