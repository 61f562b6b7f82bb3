// Runs the request parser over a text in the two extreme ways, whole and byte by byte, and hands
// out what came of it as plain strings.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "http/ascii.hpp"
#include "http/request_parser.hpp"

namespace kvcache::http::testing {

struct parsed {
  parse_status status = parse_status::need_more;
  fault why = fault::none;
  std::size_t consumed = 0;

  method verb = method::other;
  http_version version = http_version::http_1_1;
  target_form form = target_form::origin;
  body_framing framing = body_framing::none;
  bool keep_alive = false;
  std::string method_text, target, path, query, host, body;
  std::string origin, sec_fetch_site, authorization, if_match, if_none_match, content_type;
  std::string conditions; // the lines of If-Match and If-None-Match, in their order
  bool has_origin = false;
  bool has_content_range = false;
  bool has_if_match = false;
  bool has_if_none_match = false;
  bool is_coded = false;
  body_kind kind = body_kind::single;

  friend bool operator==(const parsed&, const parsed&) = default;
};

// The lines of the conditional fields. Other values may be those of an earlier head.
inline std::string conditions_in(std::string_view field_lines) {
  std::string found;
  while (!field_lines.empty()) {
    const std::size_t end = field_lines.find('\n');
    const std::string_view line = field_lines.substr(0, end);
    field_lines.remove_prefix(end == std::string_view::npos ? field_lines.size() : end + 1);
    const std::string_view name = line.substr(0, line.find(':'));
    if (equal_ignoring_case(name, "if-match") || equal_ignoring_case(name, "if-none-match"))
      found.append(line).append("\n");
  }
  return found;
}

inline parsed describe(const parse_result& result, request_parser& parser) {
  parsed out;
  out.status = result.status;
  out.why = result.why;
  out.consumed = result.consumed;
  if (result.status == parse_status::need_more) return out;
  const bool complete = result.status == parse_status::complete;
  const request& got = complete ? parser.current() : parser.unfinished();
  out.verb = got.verb;
  out.version = got.version;
  if (!complete) return out;
  out.form = got.form;
  out.framing = got.framing;
  out.keep_alive = got.keep_alive;
  out.method_text = got.method_text;
  out.target = got.target;
  out.path = got.path;
  out.query = got.query.text;
  out.host = got.host;
  out.body = got.body;
  out.origin = got[known_field::origin];
  out.sec_fetch_site = got[known_field::sec_fetch_site];
  out.authorization = got[known_field::authorization];
  out.if_none_match = got[known_field::if_none_match];
  out.if_match = got[known_field::if_match];
  out.content_type = got[known_field::content_type];
  out.conditions = conditions_in(got.field_lines);
  out.has_content_range = got[known_field::content_range].data() != nullptr;
  out.has_if_match = got[known_field::if_match].data() != nullptr;
  out.has_if_none_match = got[known_field::if_none_match].data() != nullptr;
  out.kind = got.kind;
  out.is_coded = got.is_coded;
  out.has_origin = got[known_field::origin].data() != nullptr;
  return out;
}

// A copy of exactly these bytes at an address of its own, so that AddressSanitizer sees a read past
// the end, and a pointer kept from an earlier copy.
class exact_copy {
public:
  explicit exact_copy(std::string_view text) : size_(text.size()) {
    data_ = std::make_unique_for_overwrite<char[]>(size_);
    if (size_ != 0) std::memcpy(data_.get(), text.data(), size_);
  }
  std::string_view view() const { return {data_.get(), size_}; }
  std::span<char> bytes() { return {data_.get(), size_}; }

private:
  std::unique_ptr<char[]> data_;
  std::size_t size_;
};

} // namespace kvcache::http::testing
