#include "http/fault.hpp"

#include <algorithm>
#include <utility>

namespace kvcache::http {
namespace {

using limit = std::size_t http_limits::*;

struct row {
  fault code;
  std::string_view name;
  unsigned status;
  after_reply then;
  std::string_view message; // '#' stands for the number of the limit
  limit number = nullptr;
  std::string_view extra_fields = {};
};

constexpr auto go_on = after_reply::go_on;
constexpr auto close = after_reply::close;
constexpr std::string_view retry_soon = "Retry-After: 1\r\n";
constexpr std::string_view take_uncoded = "Accept-Encoding: identity\r\n"; // RFC 9110 §12.5.3
constexpr std::string_view ask_for_token = "WWW-Authenticate: Bearer\r\n";

// In the order of the enumeration. A fault closes the connection if it makes the end of the request
// uncertain (RFC 9112 §9.6, §11.2).
constexpr std::array<row, fault_count> rows{{
    {fault::none, "none", 500, close, "There was no fault."},

    {fault::bad_request_line, "bad_request_line", 400, close,
     "The request line is not of the form: METHOD SP target SP HTTP/1.1."},
    {fault::bad_method, "bad_method", 400, close,
     "The request does not begin with a method followed by one space."},
    {fault::bad_target, "bad_target", 400, close,
     "The request target is malformed: it should be a path such as /get?key=a."},
    {fault::asterisk_not_for_options, "asterisk_not_for_options", 400, close,
     "The request target * is for the method OPTIONS only."},
    {fault::version_not_supported, "version_not_supported", 505, close,
     "This server speaks HTTP/1.1 and HTTP/1.0 only."},
    {fault::bad_line_ending, "bad_line_ending", 400, close,
     "A carriage return stands without its line feed: lines end with CR LF."},
    {fault::bad_field_line, "bad_field_line", 400, close,
     "A header line is not of the form name: value, without a space before the colon."},
    {fault::bad_field_value, "bad_field_value", 400, close,
     "A header field's value is malformed or holds a control character."},
    {fault::folded_field, "folded_field", 400, close,
     "A header field is folded over several lines, which HTTP no longer allows."},
    {fault::repeated_field, "repeated_field", 400, close,
     "A header field that may come only once is repeated."},
    {fault::repeated_content_type, "repeated_content_type", 400, close,
     "The Content-Type header is repeated."},
    {fault::missing_host, "missing_host", 400, close, "The Host header is missing."},
    {fault::repeated_host, "repeated_host", 400, close, "The Host header is repeated."},
    {fault::bad_host, "bad_host", 400, close,
     "The Host header is not of the form host or host:port."},
    {fault::unknown_expectation, "unknown_expectation", 417, close,
     "The only expectation this server can meet is 100-continue."},
    {fault::too_many_empty_lines, "too_many_empty_lines", 400, close,
     "There are more than # empty lines before the request.", &http_limits::leading_empty_lines},
    {fault::target_too_long, "target_too_long", 414, close, "The request target exceeds # bytes.",
     &http_limits::target_bytes},
    {fault::head_too_large, "head_too_large", 431, close, "The request head exceeds # bytes.",
     &http_limits::head_bytes},
    {fault::too_many_fields, "too_many_fields", 431, close,
     "The request has more than # header fields.", &http_limits::head_fields},

    {fault::bad_content_length, "bad_content_length", 400, close,
     "The Content-Length header is not one plain number of bytes."},
    {fault::repeated_content_length, "repeated_content_length", 400, close,
     "The Content-Length header is repeated."},
    {fault::length_and_transfer_encoding, "length_and_transfer_encoding", 400, close,
     "Content-Length and Transfer-Encoding must not come together."},
    {fault::transfer_encoding_in_http_1_0, "transfer_encoding_in_http_1_0", 400, close,
     "Transfer-Encoding does not exist in HTTP/1.0."},
    {fault::bad_transfer_encoding, "bad_transfer_encoding", 400, close,
     "The Transfer-Encoding header must be: chunked, once, last and without parameters."},
    {fault::unknown_transfer_encoding, "unknown_transfer_encoding", 501, close,
     "The only transfer coding this server knows is chunked."},
    {fault::bad_chunk, "bad_chunk", 400, close,
     "A chunk of the body is malformed: its size or its line end is wrong."},
    {fault::bad_chunk_extension, "bad_chunk_extension", 400, close,
     "A chunk extension is malformed."},
    {fault::chunk_extension_too_long, "chunk_extension_too_long", 400, close,
     "A chunk's extensions exceed # bytes.", &http_limits::chunk_extension_bytes},
    {fault::chunk_overhead_too_large, "chunk_overhead_too_large", 413, close,
     "Chunk sizes, extensions and trailers together exceed # bytes: send larger chunks.",
     &http_limits::chunk_overhead_bytes},
    {fault::chunk_share_too_large, "chunk_share_too_large", 413, close,
     "Chunk sizes, extensions and trailers together exceed a sixteenth of the longest body (or 16 "
     "KiB): send larger chunks."},
    {fault::too_many_trailers, "too_many_trailers", 431, close,
     "The request has more than # trailer fields.", &http_limits::trailer_fields},
    {fault::body_too_large, "body_too_large", 413, close, "The request body exceeds # bytes.",
     &http_limits::body_bytes},
    {fault::value_too_large, "value_too_large", 413, close, "The value exceeds # bytes.",
     &http_limits::max_value_bytes},
    {fault::batch_too_large, "batch_too_large", 413, close, "The batch exceeds # bytes.",
     &http_limits::max_batch_bytes},

    {fault::beyond_memory, "beyond_memory", 413, close,
     "The request is larger than this server's memory limit allows."},
    {fault::no_request_memory, "no_request_memory", 503, close,
     "There is no memory to receive this request at the moment: try again soon.", nullptr,
     retry_soon},

    {fault::head_too_slow, "head_too_slow", 408, close, "The request head did not arrive in time."},
    {fault::body_too_slow, "body_too_slow", 408, close, "The request body did not arrive in time."},

    {fault::missing_key_parameter, "missing_key_parameter", 400, go_on, "Missing key parameter."},
    {fault::repeated_key_parameter, "repeated_key_parameter", 400, go_on,
     "The key parameter is repeated."},
    {fault::bad_percent_escape, "bad_percent_escape", 400, go_on,
     "The query holds a % that is not followed by two hexadecimal digits: write %25 for it."},
    {fault::query_not_utf8, "query_not_utf8", 400, go_on, "The query is not valid UTF-8."},

    {fault::bad_path_escape, "bad_path_escape", 400, go_on,
     "The key in the path holds a % that is not followed by two hexadecimal digits: write %25 for "
     "it."},
    {fault::path_not_utf8, "path_not_utf8", 400, go_on, "The key in the path is not valid UTF-8."},
    {fault::unknown_parameter, "unknown_parameter", 400, go_on,
     "This request does not take the query parameter '#': write %3F for a question mark in a key."},
    {fault::bad_ttl_parameter, "bad_ttl_parameter", 400, go_on,
     "The parameter ttl must be a whole number of seconds from 1 to 315360000, in digits."},
    {fault::repeated_ttl_parameter, "repeated_ttl_parameter", 400, go_on,
     "The parameter ttl is repeated."},
    {fault::bad_op_parameter, "bad_op_parameter", 400, go_on,
     "A POST needs the parameter op: incr or touch."},
    {fault::repeated_op_parameter, "repeated_op_parameter", 400, go_on,
     "The parameter op is repeated."},
    {fault::bad_by_parameter, "bad_by_parameter", 400, go_on,
     "The parameter by must be a whole number of 64 bits with a sign, in digits."},
    {fault::repeated_by_parameter, "repeated_by_parameter", 400, go_on,
     "The parameter by is repeated."},
    {fault::bad_initial_parameter, "bad_initial_parameter", 400, go_on,
     "The parameter initial must be a whole number of 64 bits with a sign, in digits."},
    {fault::repeated_initial_parameter, "repeated_initial_parameter", 400, go_on,
     "The parameter initial is repeated."},
    {fault::body_in_operation, "body_in_operation", 400, go_on,
     "A POST to a value takes no body: its parameters are in the query."},

    {fault::bad_content_type, "bad_content_type", 400, go_on,
     "The Content-Type header is not a media type of at most 100 bytes, such as text/plain."},
    {fault::partial_value, "partial_value", 400, go_on,
     "A PUT stores a whole value: it takes no Content-Range."},
    {fault::body_in_delete, "body_in_delete", 400, go_on, "A DELETE takes no body."},
    {fault::bad_condition, "bad_condition", 400, go_on,
     "If-Match and If-None-Match take * or a list of quoted tags, such as \"a1\", W/\"b2\"."},

    {fault::empty_key, "empty_key", 400, go_on, "The key must not be empty."},
    {fault::key_or_value_too_long, "key_or_value_too_long", 400, go_on,
     "Key or Value exceeds # characters.", &http_limits::max_key_chars},

    {fault::empty_body, "empty_body", 400, go_on,
     "The body is empty: it should be a JSON object such as {\"key\":\"a\",\"value\":\"b\"}."},
    {fault::byte_order_mark, "byte_order_mark", 400, go_on,
     "The body begins with a byte order mark, which JSON does not allow."},
    {fault::invalid_json, "invalid_json", 400, go_on, "The body is not valid JSON."},
    {fault::not_an_object, "not_an_object", 400, go_on, "The body must be a JSON object."},
    {fault::missing_key_member, "missing_key_member", 400, go_on,
     "The member \"key\" is missing in the body."},
    {fault::missing_value_member, "missing_value_member", 400, go_on,
     "The member \"value\" is missing in the body."},
    {fault::key_not_a_string, "key_not_a_string", 400, go_on,
     "The member \"key\" must be a string."},
    {fault::value_not_a_string, "value_not_a_string", 400, go_on,
     "The member \"value\" must be a string."},
    {fault::repeated_key_member, "repeated_key_member", 400, go_on,
     "The member \"key\" is repeated."},
    {fault::repeated_value_member, "repeated_value_member", 400, go_on,
     "The member \"value\" is repeated."},
    {fault::bad_ttl, "bad_ttl", 400, go_on,
     "The member \"ttl\" must be a whole number of seconds from 1 to 315360000."},
    {fault::repeated_ttl_member, "repeated_ttl_member", 400, go_on,
     "The member \"ttl\" is repeated."},

    {fault::missing_ops_member, "missing_ops_member", 400, go_on,
     "The member \"ops\" is missing in the body."},
    {fault::repeated_ops_member, "repeated_ops_member", 400, go_on,
     "The member \"ops\" is repeated."},
    {fault::ops_not_an_array, "ops_not_an_array", 400, go_on,
     "The member \"ops\" must be an array."},
    {fault::too_many_operations, "too_many_operations", 413, go_on,
     "The batch has more than # operations.", &http_limits::max_batch_ops},
    {fault::operation_not_an_object, "operation_not_an_object", 400, go_on,
     "An operation must be an object."},
    {fault::unknown_op, "unknown_op", 400, go_on,
     "An operation is one of get, put, delete, incr and touch."},
    {fault::missing_member, "missing_member", 400, go_on, "This member is missing."},
    {fault::repeated_member, "repeated_member", 400, go_on, "This member is repeated."},
    {fault::unknown_member, "unknown_member", 400, go_on, "No operation takes this member."},
    {fault::surplus_member, "surplus_member", 400, go_on,
     "This kind of operation does not take this member."},
    {fault::not_a_string, "not_a_string", 400, go_on, "This member must be a string."},
    {fault::not_an_integer, "not_an_integer", 400, go_on,
     "This member must be a whole number of 64 bits with a sign."},
    {fault::bad_write_condition, "bad_write_condition", 400, go_on,
     "This member must be \"absent\" or \"present\"."},
    {fault::two_values, "two_values", 400, go_on,
     "A put takes either value or value_base64, not both."},
    {fault::two_conditions, "two_conditions", 400, go_on,
     "A put takes either if or if_value, not both."},
    {fault::bad_base64, "bad_base64", 400, go_on,
     "This member must be base64 with padding (RFC 4648, section 4)."},
    {fault::base64_value_too_long, "base64_value_too_long", 400, go_on,
     "The value exceeds # bytes.", &http_limits::max_value_bytes},

    {fault::unknown_path, "unknown_path", 404, go_on,
     "There is nothing at this path: try /get?key=... or /put."},
    {fault::method_not_allowed, "method_not_allowed", 405, go_on,
     "This path does not take this method: see the Allow header."},
    {fault::length_required, "length_required", 411, go_on,
     "The request needs a body: send it with Content-Length or as chunks."},
    {fault::unsupported_content_coding, "unsupported_content_coding", 415, go_on,
     "The body has a Content-Encoding: send it without one.", nullptr, take_uncoded},
    {fault::cross_origin, "cross_origin", 403, go_on,
     "A page of another origin may not change this cache."},
    {fault::host_not_allowed, "host_not_allowed", 421, go_on,
     "This server does not answer for the host named in the request."},
    {fault::unauthorized, "unauthorized", 401, go_on,
     "A valid bearer token is needed: send Authorization: Bearer <token>.", nullptr, ask_for_token},
    {fault::read_only_token, "read_only_token", 403, go_on, "This token may read but not write."},
    {fault::flush_disabled, "flush_disabled", 403, go_on,
     "Flushing is not enabled on this server."},
    {fault::snapshot_disabled, "snapshot_disabled", 403, go_on,
     "Snapshots on request are not enabled on this server."},

    {fault::key_not_found, "key_not_found", 404, go_on, "Key not found."},
    {fault::precondition_failed, "precondition_failed", 412, go_on,
     "The entry is not in the state that the request asks for."},
    {fault::value_not_text, "value_not_text", 409, go_on,
     "The value is not UTF-8, which JSON requires: read its bytes with GET /kv/{key}."},
    {fault::value_too_long_for_json, "value_too_long_for_json", 409, go_on,
     "The value is longer than 8 MiB as JSON: read its bytes with GET /kv/{key}."},
    {fault::not_a_number, "not_a_number", 409, go_on,
     "The value is not a whole number of 64 bits with a sign."},
    {fault::number_overflow, "number_overflow", 409, go_on,
     "The result would not fit into 64 bits with a sign."},
    {fault::entry_too_large, "entry_too_large", 413, go_on,
     "Key or value is larger than the cache can hold."},
    {fault::no_room, "no_room", 503, go_on,
     "The cache is full and could make no room: try again in a moment.", nullptr, retry_soon},
    {fault::out_of_memory, "out_of_memory", 507, close,
     "The server has no memory left for this request.", nullptr, retry_soon},

    {fault::no_snapshot_file, "no_snapshot_file", 409, go_on,
     "This server has no snapshot file: start it with --snapshot-file."},
    {fault::snapshot_under_way, "snapshot_under_way", 409, go_on,
     "Another snapshot is being written or loaded: try again when it is done."},
    {fault::no_disk_space, "no_disk_space", 507, go_on,
     "There is no space for the snapshot on its disk; the earlier one is unchanged."},
    {fault::snapshot_failed, "snapshot_failed", 500, go_on,
     "The snapshot could not be written; the earlier one is unchanged. Cause: #."},

    {fault::batch_response_too_large, "batch_response_too_large", 503, go_on,
     "The results might exceed # bytes: send fewer operations.",
     &http_limits::max_batch_reply_bytes, retry_soon},
    {fault::batch_response_full, "batch_response_full", 503, go_on,
     "The response has no room for this value: get it by another request."},

    {fault::no_response_memory, "no_response_memory", 503, go_on,
     "There is no memory to hold this response at the moment: try again soon.", nullptr,
     retry_soon},
    {fault::too_many_connections, "too_many_connections", 503, close,
     "The server has as many connections as it may have: try again in a moment.", nullptr,
     retry_soon},
    {fault::not_ready, "not_ready", 503, go_on, "The server is stopping.", nullptr, retry_soon},
    {fault::still_loading, "still_loading", 503, go_on,
     "The snapshot is being loaded: # of the file.", nullptr, retry_soon},
    {fault::internal_error, "internal_error", 500, close,
     "The server failed to handle this request."},
}};

constexpr auto phrases =
    std::to_array<std::pair<unsigned, std::string_view>>({{200, "OK"},
                                                          {201, "Created"},
                                                          {204, "No Content"},
                                                          {304, "Not Modified"},
                                                          {400, "Bad Request"},
                                                          {401, "Unauthorized"},
                                                          {403, "Forbidden"},
                                                          {404, "Not Found"},
                                                          {405, "Method Not Allowed"},
                                                          {408, "Request Timeout"},
                                                          {409, "Conflict"},
                                                          {411, "Length Required"},
                                                          {412, "Precondition Failed"},
                                                          {413, "Content Too Large"},
                                                          {414, "URI Too Long"},
                                                          {415, "Unsupported Media Type"},
                                                          {417, "Expectation Failed"},
                                                          {421, "Misdirected Request"},
                                                          {431, "Request Header Fields Too Large"},
                                                          {500, "Internal Server Error"},
                                                          {501, "Not Implemented"},
                                                          {503, "Service Unavailable"},
                                                          {505, "HTTP Version Not Supported"},
                                                          {507, "Insufficient Storage"}});

constexpr bool in_order() {
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (static_cast<std::size_t>(rows[i].code) != i) return false;
  return true;
}
static_assert(max_ttl_s == 315'360'000, "the message of bad_ttl contains the number");
static_assert(in_order(), "one row for each fault, in the order of the enumeration");

std::string with_number(std::string_view message, std::size_t number) {
  const std::size_t place = message.find('#');
  std::string text(message.substr(0, place));
  text += std::to_string(number);
  text += message.substr(place + 1);
  return text;
}

std::string too_long_message(const http_limits& limits) {
  const row& told = rows[static_cast<std::size_t>(fault::key_or_value_too_long)];
  if (limits.max_key_chars == limits.max_value_chars)
    return with_number(told.message, limits.max_key_chars);
  return "Key exceeds " + std::to_string(limits.max_key_chars) + " or Value exceeds " +
         std::to_string(limits.max_value_chars) + " characters.";
}

} // namespace

fault_table::fault_table(const http_limits& limits) {
  for (const row& one : rows) {
    const auto i = static_cast<std::size_t>(one.code);
    replies_[i] = {one.status, one.then, one.message, one.extra_fields};
    if (one.number == nullptr) continue;
    messages_[i] = one.code == fault::key_or_value_too_long
                       ? too_long_message(limits)
                       : with_number(one.message, limits.*one.number);
    replies_[i].message = messages_[i];
  }
}

std::string_view name_of(fault code) noexcept { return rows[static_cast<std::size_t>(code)].name; }

std::string_view reason_phrase(unsigned status) noexcept {
  for (const auto& [code, phrase] : phrases)
    if (code == status) return phrase;
  return {};
}

} // namespace kvcache::http
