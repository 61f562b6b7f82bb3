// Reads requests off a connection's input: Beast's basic_parser, plus the strict rules that the one
// of Boost 1.81 lacks (listed in request_parser.cpp), without an allocation on the ordinary path.
// A head that repeats what the client said before is recognised instead (head_memo.hpp).
//
//   for (;;) {
//     const auto result = parser.parse(input);          // input: from the request's first byte on
//     if (result.status == parse_status::need_more) …   // read more behind it, parse again
//     if (result.status == parse_status::refused) …     // answer result.why, close
//     handle(parser.current());
//     input.remove_prefix(result.consumed);
//     parser.reset();
//   }
//
// A chunked body is decoded in place: parse() moves the data of its chunks together, right behind
// the head, so that such a body needs no more memory than one with a Content-Length.
//
// Ownership: the caller keeps every byte of the current request, as parse() left it, until parse()
// says complete; between two calls the buffer may move (only offsets are kept). The views in
// current() point into the input of the last call and into the parser; they die with reset().
// Thread-safety: none, one connection's parser is used by one thread at a time.
#pragma once

#include <boost/beast/http/basic_parser.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/fault.hpp"
#include "http/head_memo.hpp"
#include "http/http_limits.hpp"
#include "http/known_field.hpp"
#include "http/request.hpp"

namespace kvcache::http {

enum class parse_status : std::uint8_t { need_more, complete, refused };

struct parse_result {
  parse_status status = parse_status::need_more;
  fault why = fault::none;  // refused: for this reason. Every parser fault ends the connection.
  std::size_t consumed = 0; // complete: bytes of this request, leading empty lines included
};

// What the connection waits for; each has its own deadline.
enum class parse_phase : std::uint8_t {
  idle, // nothing of a request yet (empty lines do not count)
  head,
  body
};

class request_parser {
public:
  explicit request_parser(const http_limits& limits) noexcept; // kept by reference
  explicit request_parser(http_limits&&) = delete;
  request_parser(const request_parser&) = delete;
  request_parser& operator=(const request_parser&) = delete;

  // REQUIRES: since the last reset(), input has only grown at its end; the last call said
  // need_more.
  parse_result parse(std::span<char> input) noexcept;

  // REQUIRES: the last parse() said complete. The request.
  const request& current() const noexcept { return *current_; }

  // What is known of the request that is not complete: `verb` if its method has been read, and
  // `version` if its request line has; else other and 1.1. Enough to answer it without a request:
  // nothing of the request before shows in it. Dies with the next parse().
  const request& unfinished() noexcept;

  parse_phase phase() const noexcept;

  // After need_more, where the head says how long the body is: the request's bytes, all of them,
  // leading empty lines included. Else 0.
  std::size_t announced_bytes() const noexcept { return core_->announced_bytes(); }

  // After need_more: removes from the input what chunks have beside their data, as far as it has
  // been read, so that chunks need no more memory than one body. Returns how many bytes the input,
  // whose end moves forward, has lost. REQUIRES: the input of the parse() before.
  std::size_t remove_framing(std::span<char> input) noexcept {
    return core_->remove_framing(input);
  }

  // True once, after need_more, if the client waits for "100 Continue" before it sends its body.
  // All limits that the head can break have been checked by then.
  bool take_100_continue() noexcept;

  // The request but for its body. REQUIRES: take_100_continue() has just said true, and the input
  // of the parse() before it.
  const request& describe_head(std::string_view input) noexcept;

  // The path of a request whose body is still to come or was refused. Nothing where no well-formed
  // head is there. `input`: as it is now; it may have moved since the last parse().
  std::optional<std::string_view> path_of_head(std::string_view input) const noexcept {
    return core_->path_of_head(input);
  }

  // What the request in `behind`, the input behind the current one, probably asks for: its query,
  // as it stands, if it is one more like those before it. Nothing else is known of it.
  std::string_view guess_query(std::string_view behind) const noexcept;

  // Makes ready for the next request.
  void reset() noexcept;

private:
  // A piece of the input, by offset: the buffer may move between two calls.
  struct span {
    std::size_t offset = 0;
    std::size_t size = 0;
    bool present = false;
  };

  // Everything that is known of one request; Beast's parser cannot be used twice, so a fresh one is
  // made for each.
  class core final : public boost::beast::http::basic_parser<true> {
  public:
    explicit core(const http_limits& limits) noexcept;

    parse_result parse(std::span<char> input);
    void identify(request& out) const noexcept; // verb and version only
    void describe(std::string_view input, request& out) const noexcept;
    parse_phase phase() const noexcept;
    bool take_100_continue() noexcept;
    std::size_t announced_bytes() const noexcept;
    std::optional<std::string_view> path_of_head(std::string_view input) const noexcept;
    std::size_t remove_framing(std::span<char> input) noexcept;
    std::size_t head_end() const noexcept { return head_end_; }
    std::string_view content_length_text() const noexcept {
      return at(kept(known_field::content_length));
    }

  private:
    using error_code = boost::beast::error_code;
    using string_view = boost::beast::string_view;

    enum class stage : std::uint8_t { before, request_line, fields, body };
    enum class line_part : std::uint8_t { method, target, version };

    // ---- what Beast calls
    void on_request_impl(boost::beast::http::verb verb, string_view method, string_view target,
                         int version, error_code& ec) override;
    void on_response_impl(int, string_view, int, error_code&) override {}
    void on_field_impl(boost::beast::http::field field, string_view name, string_view value,
                       error_code& ec) override;
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(string_view body, error_code&) override { return body.size(); }
    void on_chunk_header_impl(std::uint64_t size, string_view extensions, error_code& ec) override;
    std::size_t on_chunk_body_impl(std::uint64_t remain, string_view body, error_code& ec) override;
    void on_finish_impl(error_code&) override {}

    // ---- the steps of parse()
    fault skip_empty_lines(std::string_view input) noexcept;
    fault parse_head(std::string_view input);
    fault check_request_line(std::string_view input) noexcept;
    void put_head(std::string_view input, error_code& ec);
    bool lower_minor_version(std::string_view input) noexcept;
    fault check_unfinished_head(std::string_view input) noexcept;
    fault check_head() noexcept;
    fault parse_chunks(std::string_view input);
    fault check_chunk_line(std::string_view rest) const noexcept;
    bool may_become_target(std::string_view text) const noexcept;
    fault check_target() noexcept;
    fault check_field(known_field field, std::string_view value) noexcept;
    bool is_folded(std::string_view name, std::string_view value) const noexcept;
    fault reason(const error_code& ec, std::string_view input) noexcept;

    void fail(fault why, error_code& ec) noexcept;
    span& kept(known_field field) noexcept { return kept_[static_cast<std::size_t>(field)]; }
    const span& kept(known_field field) const noexcept {
      return kept_[static_cast<std::size_t>(field)];
    }
    span span_of(std::string_view piece) const noexcept;
    std::string_view at(const span& piece) const noexcept;

    const http_limits& limits_;
    char* base_ = nullptr; // of the input of the call under way
    std::size_t base_bytes_ = 0;
    std::size_t start_ = 0;    // offset of the request line: after leading empty lines
    std::size_t consumed_ = 0; // offset up to which Beast has read
    std::size_t scanned_ = 0;  // offset up to which an unfinished head's line ends are good
    std::size_t line_at_ = 0;  // offset up to which check_request_line has read
    std::size_t head_end_ = 0; // offset of the body
    std::size_t content_length_ = 0;
    std::size_t chunked_bytes_ = 0; // of the body decoded so far
    std::size_t removed_bytes_ = 0; // of the framing of chunks
    std::uint64_t chunk_left_ = 0;  // bytes of the current chunk's data still to come

    span method_;
    span target_;
    span path_and_query_;
    span authority_; // of an absolute-form target
    std::array<span, kept_field_count> kept_;

    std::size_t fields_ = 0;
    std::size_t trailers_ = 0;
    fault why_ = fault::none; // set by a callback that refuses
    stage stage_ = stage::before;
    line_part line_part_ = line_part::method; // at line_at_
    method verb_ = method::other;
    http_version version_ = http_version::http_1_1;
    target_form form_ = target_form::origin;
    body_framing framing_ = body_framing::none;
    bool says_close_ = false;
    bool says_keep_alive_ = false;
    bool awaits_100_ = false;
    bool head_is_valid_ = false;
    bool is_coded_ = false;
    bool unknown_coding_ = false; // refused behind all fields: a worse fault may be among them
    bool past_first_chunk_ = false;
  };

  // Clients that mix GET and POST find both heads remembered. REQUIRES: `input` is not empty.
  head_memo& memo_for(std::string_view input) noexcept {
    return input.front() == 'P' ? post_memo_ : get_memo_;
  }
  const head_memo& memo_for(std::string_view input) const noexcept {
    return input.front() == 'P' ? post_memo_ : get_memo_;
  }

  const http_limits& limits_;
  std::optional<core> core_;
  bool core_is_fresh_ = true;
  request request_; // what the core says
  const request* current_ = &request_;
  head_memo get_memo_;
  head_memo post_memo_;
};

} // namespace kvcache::http
