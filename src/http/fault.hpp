// The faults of requests, and the table of responses to them: status, message, and whether the
// connection closes. No other file contains the status or the message of a refusal.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/http_limits.hpp"

namespace kvcache::http {

enum class fault : std::uint8_t {
  none,

  // ---- the request line and the fields (request_parser)
  bad_request_line,
  bad_method,
  bad_target,
  asterisk_not_for_options,
  version_not_supported,
  bad_line_ending,
  bad_field_line,
  bad_field_value,
  folded_field,
  repeated_field,
  repeated_content_type,
  missing_host,
  repeated_host,
  bad_host,
  unknown_expectation,
  too_many_empty_lines,
  target_too_long,
  head_too_large,
  too_many_fields,

  // ---- how the body is framed (request_parser)
  bad_content_length,
  repeated_content_length,
  length_and_transfer_encoding,
  transfer_encoding_in_http_1_0,
  bad_transfer_encoding,
  unknown_transfer_encoding,
  bad_chunk,
  bad_chunk_extension,
  chunk_extension_too_long,
  chunk_overhead_too_large,
  chunk_share_too_large,
  too_many_trailers,
  body_too_large,
  value_too_large,
  batch_too_large,

  // ---- the memory that it needs (connection)
  beyond_memory,
  no_request_memory,

  // ---- deadlines (connection)
  head_too_slow,
  body_too_slow,

  // ---- the query (target)
  missing_key_parameter,
  repeated_key_parameter,
  bad_percent_escape,
  query_not_utf8,

  // ---- the path and the query of a value (endpoints/kv)
  bad_path_escape,
  path_not_utf8,
  unknown_parameter,
  bad_ttl_parameter,
  repeated_ttl_parameter,
  bad_op_parameter,
  repeated_op_parameter,
  bad_by_parameter,
  repeated_by_parameter,
  bad_initial_parameter,
  repeated_initial_parameter,
  body_in_operation,

  // ---- the fields of a value's request (endpoints/kv)
  bad_content_type,
  partial_value,
  body_in_delete,
  bad_condition,

  // ---- key and value, from a query or a body
  empty_key,
  key_or_value_too_long,

  // ---- the JSON body (put_body)
  empty_body,
  byte_order_mark,
  invalid_json,
  not_an_object,
  missing_key_member,
  missing_value_member,
  key_not_a_string,
  value_not_a_string,
  repeated_key_member,
  repeated_value_member,
  bad_ttl,
  repeated_ttl_member,

  // ---- the JSON body of many operations (batch_body)
  missing_ops_member,
  repeated_ops_member,
  ops_not_an_array,
  too_many_operations,
  operation_not_an_object,
  unknown_op,
  missing_member,
  repeated_member,
  unknown_member,
  surplus_member,
  not_a_string,
  not_an_integer,
  bad_write_condition,
  two_values,
  two_conditions,
  bad_base64,
  base64_value_too_long,

  // ---- routing and permission (router)
  unknown_path,
  method_not_allowed,
  length_required,
  unsupported_content_coding,
  cross_origin,
  host_not_allowed,
  unauthorized,
  read_only_token,
  flush_disabled,
  snapshot_disabled,

  // ---- outcomes of the store (handlers)
  key_not_found,
  precondition_failed,
  value_not_text,
  value_too_long_for_json,
  not_a_number,
  number_overflow,
  entry_too_large,
  no_room,
  out_of_memory,

  // ---- snapshots (endpoints/snapshot)
  no_snapshot_file,
  snapshot_under_way,
  no_disk_space,
  snapshot_failed,

  // ---- the server's own state
  batch_response_too_large,
  batch_response_full,
  no_response_memory,
  too_many_connections,
  not_ready,
  still_loading,
  internal_error,
};
inline constexpr std::size_t fault_count = static_cast<std::size_t>(fault::internal_error) + 1;

// A fault, and its place in the body or query, in bytes from the start, or what it is about, if
// that helps.
struct refusal {
  static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

  fault code = fault::none;
  std::size_t at_byte = nowhere;
  std::string_view name{}; // of what the message speaks of; any bytes

  explicit operator bool() const noexcept { return code != fault::none; }
  friend bool operator==(const refusal&, const refusal&) = default;
};

enum class after_reply : std::uint8_t { go_on, close };

struct fault_reply {
  unsigned status;
  after_reply then;              // close: the rest of the connection cannot be trusted or served
  std::string_view message;      // a sentence for a person, not yet escaped for JSON
  std::string_view extra_fields; // whole field lines with their CRLF, or nothing
};

// The table with the numbers of the limits in its messages, which it owns.
// Thread-safety: immutable.
class fault_table {
public:
  explicit fault_table(const http_limits& limits);
  fault_table(const fault_table&) = delete;
  fault_table& operator=(const fault_table&) = delete;

  // REQUIRES: code != fault::none.
  const fault_reply& operator[](fault code) const noexcept {
    return replies_[static_cast<std::size_t>(code)];
  }

private:
  std::array<fault_reply, fault_count> replies_{};
  std::array<std::string, fault_count> messages_; // those with numbers in them
};

// The fault's name as written above: "bad_host".
std::string_view name_of(fault code) noexcept;

// "Not Found" for 404. REQUIRES: a status this server sends.
std::string_view reason_phrase(unsigned status) noexcept;

} // namespace kvcache::http
