// Parses one request: Beast's basic_parser and the strict rules that the one of Boost 1.81 lacks
// (listed in message_parser.cpp). Allocates nothing on the ordinary path.
//
// A chunked body is decoded in place: parse() moves the data of its chunks together, right behind
// the head, so that such a body needs no more memory than one with a Content-Length.
//
// Ownership: the caller keeps every byte of the request, as parse() left it, until the request is
// complete. Between two calls the input may move, since only offsets are kept.
// Thread-safety: none.
#pragma once

#include <boost/beast/http/basic_parser.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/fault.hpp"
#include "http/http_limits.hpp"
#include "http/known_field.hpp"
#include "http/request.hpp"
#include "http/request_line.hpp"

namespace kvcache::http {

enum class parse_status : std::uint8_t { need_more, complete, refused };

struct parse_result {
  parse_status status = parse_status::need_more;
  fault why = fault::none;  // refused: the reason. Every parser fault ends the connection.
  std::size_t consumed = 0; // complete: bytes of this request, leading empty lines included
};

// The part of a request that the connection waits for. Each has a deadline of its own.
enum class parse_phase : std::uint8_t {
  idle, // nothing of a request has arrived (empty lines do not count)
  head,
  body
};

class message_parser final : public boost::beast::http::basic_parser<true> {
public:
  explicit message_parser(const http_limits& limits) noexcept; // kept by reference

  // `input`: from the request's first byte on, leading empty lines included. Throws std::bad_alloc.
  // REQUIRES: since the last call, input has only grown at its end; that call returned need_more.
  parse_result parse(std::span<char> input);

  // The request's verb and version, as far as they have been read. The rest of `out` is unchanged.
  void identify(request& out) const noexcept;

  // The request, with as much of the body as has arrived. REQUIRES: a head has been accepted;
  // `input` is that of the last parse().
  void describe(std::string_view input, request& out) const noexcept;

  parse_phase phase() const noexcept;

  // True once, if the client waits for "100 Continue" before it sends its body.
  bool take_100_continue() noexcept;

  // If the head states the length of the body: bytes of the whole request, leading empty lines
  // included. Else 0.
  std::size_t announced_bytes() const noexcept;

  // The path, if a well-formed head has been read. `input`: as it is now; it may have moved.
  std::optional<std::string_view> path_of_head(std::string_view input) const noexcept;

  // Removes the framing of chunks that have been read. Returns by how many bytes the input has
  // become shorter at its end. REQUIRES: the input of the parse() before.
  std::size_t remove_framing(std::span<char> input) noexcept;

  std::size_t head_end() const noexcept { return head_end_; } // offset of the body

  // A body that is stored elsewhere while it arrives.
  //
  // The data that has been read and not been dropped, without framing. REQUIRES: a valid head;
  // `input` is that of the last parse(), less what has been removed since.
  std::string_view arrived_body(std::string_view input) const noexcept;

  // Removes it. Returns by how many bytes the input has become shorter at its end.
  std::size_t drop_arrived_body(std::span<char> input) noexcept;

  // The bytes of the whole body, as the head states them; nothing of a chunked one.
  std::optional<std::size_t> stated_body_bytes() const noexcept;

  body_kind kind() const noexcept { return kind_; }

private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;

  enum class stage : std::uint8_t { empty_lines, request_line, fields, body };

  // Called by Beast.
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

  fault parse_parts();
  fault skip_empty_lines() noexcept;
  fault parse_head();
  void put_head(error_code& ec);
  bool lower_minor_version() noexcept;
  fault check_unfinished_head() noexcept;
  fault check_head() noexcept;
  std::size_t most_body_bytes() const noexcept { return limits_.most_body_bytes(kind_); }
  fault body_too_large() const noexcept;
  fault parse_chunks();
  fault check_field(known_field field, std::string_view value) noexcept;
  fault keep_once(known_field field, std::string_view value, fault repeated) noexcept;
  bool is_folded(std::string_view name, std::string_view value) const noexcept;
  fault reason(const error_code& ec) noexcept;
  void fail(fault why, error_code& ec) noexcept;
  std::string_view input() const noexcept { return {input_.data(), input_.size()}; }
  input_span& kept(known_field field) noexcept { return kept_[static_cast<std::size_t>(field)]; }
  const input_span& kept(known_field field) const noexcept {
    return kept_[static_cast<std::size_t>(field)];
  }

  const http_limits& limits_;
  std::span<char> input_;         // of the call in progress
  std::size_t start_ = 0;         // offset of the request line: behind empty lines
  std::size_t consumed_ = 0;      // offset up to which Beast has read
  std::size_t scanned_ = 0;       // offset up to which an unfinished head has been checked
  std::size_t head_end_ = 0;      // offset of the body
  std::size_t body_bytes_ = 0;    // by Content-Length, or of the chunks in the input
  std::size_t dropped_bytes_ = 0; // of the chunks decoded before
  std::size_t removed_bytes_ = 0; // of the framing of chunks
  std::uint64_t chunk_left_ = 0;  // bytes of the current chunk's data still to come

  request_line line_;
  std::array<input_span, kept_field_count> kept_;

  std::size_t fields_ = 0;
  std::size_t trailers_ = 0;
  fault why_ = fault::none; // set by a callback that refuses
  stage stage_ = stage::empty_lines;
  body_framing framing_ = body_framing::none;
  bool has_close_ = false;
  bool has_keep_alive_ = false;
  bool awaits_100_ = false;
  bool head_is_valid_ = false;
  bool is_coded_ = false;
  bool has_unknown_coding_ = false; // refused behind all fields: a worse fault may be among them
  bool past_first_chunk_ = false;
  body_kind kind_ = body_kind::single;
  bool repeats_content_type_ = false;
};

} // namespace kvcache::http
