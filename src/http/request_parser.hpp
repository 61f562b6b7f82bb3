// Parses the requests of a connection, one after the other. A head that repeats an earlier one is
// recognised instead of parsed (head_memo.hpp).
//
//   for (;;) {
//     const auto result = parser.parse(input);          // input: from the request's first byte on
//     if (result.status == parse_status::need_more) …   // append more input, parse again
//     if (result.status == parse_status::refused) …     // respond with result.why, close
//     handle(parser.current());
//     input.remove_prefix(result.consumed);
//     parser.reset();
//   }
//
// Ownership: the caller keeps every byte of the current request, as parse() left it, until parse()
// returns complete; between two calls the buffer may move. The views in current() point into the
// input of the last call and into the parser; they are valid until reset().
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "http/head_memo.hpp"
#include "http/http_limits.hpp"
#include "http/message_parser.hpp"
#include "http/request.hpp"

namespace kvcache::http {

class request_parser {
public:
  explicit request_parser(const http_limits& limits) noexcept; // kept by reference
  explicit request_parser(http_limits&&) = delete;
  request_parser(const request_parser&) = delete;
  request_parser& operator=(const request_parser&) = delete;

  // REQUIRES: since the last reset(), input has only grown at its end; the last call returned
  // need_more.
  parse_result parse(std::span<char> input) noexcept;

  // REQUIRES: the last parse() returned complete.
  const request& current() const noexcept { return *current_; }

  // The known part of a request that is not complete: `verb` if its method has been read, `version`
  // if its request line has; else other and 1.1. Valid until the next parse().
  const request& unfinished() noexcept;

  // Makes ready for the next request.
  void reset() noexcept;

  // The key in the request that `behind`, the input behind the current one, probably begins with.
  // Empty if it does not begin like an earlier request.
  std::string_view guess_key(std::string_view behind) const noexcept;

  // After need_more, of the request in progress; see message_parser.
  parse_phase phase() const noexcept { return parser_->phase(); }
  std::size_t announced_bytes() const noexcept { return parser_->announced_bytes(); }
  std::size_t remove_framing(std::span<char> input) noexcept {
    return parser_->remove_framing(input);
  }
  // A body that is stored elsewhere while it arrives; see message_parser.
  std::size_t head_end() const noexcept { return parser_->head_end(); }
  body_kind kind() const noexcept { return parser_->kind(); }
  std::optional<std::size_t> stated_body_bytes() const noexcept {
    return parser_->stated_body_bytes();
  }
  std::string_view arrived_body(std::string_view input) const noexcept {
    return parser_->arrived_body(input);
  }
  std::size_t drop_arrived_body(std::span<char> input) noexcept {
    return parser_->drop_arrived_body(input);
  }

  // All limits that a head can exceed have been checked when this returns true.
  bool take_100_continue() noexcept { return parser_->take_100_continue(); }

  // The request, with as much of its body as has arrived and not been dropped. REQUIRES: phase()
  // is parse_phase::body; `input` is that of the parse() before it.
  const request& describe_head(std::string_view input) noexcept;

  // After need_more or refused; see message_parser.
  std::optional<std::string_view> path_of_head(std::string_view input) const noexcept {
    return parser_->path_of_head(input);
  }

private:
  // Two memos, so that a client that mixes reads and writes finds both heads remembered.
  // REQUIRES: `input` is not empty.
  head_memo& memo_for(std::string_view input) noexcept {
    return input.front() == 'P' ? write_memo_ : read_memo_;
  }

  const http_limits& limits_;
  std::optional<message_parser> parser_; // Beast's cannot be reset: a new one for each request
  bool parser_is_new_ = true;
  request request_; // as parsed
  const request* current_ = &request_;
  head_memo read_memo_;
  head_memo write_memo_;
};

} // namespace kvcache::http
