#include "http/prepared_responses.hpp"

#include <cstdio>
#include <cstring>

#include "http/fault.hpp"
#include "http/json_text.hpp"

namespace kvcache::http {
namespace {

struct row {
  unsigned status;
  std::string_view content_type;
  std::string_view fields;
  std::string_view body; // empty: a head only, perhaps in part
};

constexpr std::string_view length_follows = "Content-Length: ";
constexpr std::string_view no_store_length_follows = "Cache-Control: no-store\r\nContent-Length: ";

constexpr std::array<row, prepared_count> rows{{
    {200, json_content_type, no_store_length_follows, {}},
    {200, "application/octet-stream", no_store_length_follows, {}},
    // Browsers must not take a stored page for one of this server's.
    {200,
     {},
     "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n"
     "Content-Security-Policy: sandbox\r\nETag: ",
     {}},
    {304, {}, "Cache-Control: no-cache\r\nETag: ", {}},
    {201, {}, "Content-Length: 0\r\nETag: ", {}},
    {204, {}, "ETag: ", {}},
    {200,
     json_content_type,
     {}, // responses to POST are not stored
     R"({"status":"OK","message":"Key inserted/updated successfully."})"},
    {200, json_content_type, {}, R"({"status":"OK","message":"Key deleted."})"},
    {204, {}, "\r\n", {}},
    {404, json_content_type, no_store_field, R"({"status":"ERROR","message":"Key not found."})"},
}};

constexpr std::array<std::string_view, persistence_count> connection_fields{
    "", "Connection: keep-alive\r\n", "Connection: close\r\n"};

// RFC 9110 §5.6.7, in English whatever the locale. Always of the same length: years have four
// digits.
constexpr std::string_view date_field_example = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
using date_line = std::array<char, 64>; // begins with a date field

date_line date_field_at(std::time_t now_s) noexcept {
  static constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  gmtime_r(&now_s, &utc);
  date_line text{};
  std::snprintf(text.data(), text.size(), "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                days[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                months[static_cast<std::size_t>(utc.tm_mon)], (utc.tm_year + 1900) % 10'000,
                utc.tm_hour, utc.tm_min, utc.tm_sec);
  return text;
}

} // namespace

prepared_responses::prepared_responses() : date_field_(date_field_example) {
  for (std::size_t i = 0; i < prepared_count; ++i) {
    for (std::size_t k = 0; k < persistence_count; ++k) {
      const row& from = rows[i];
      text& to = texts_[i][k];
      to.whole = head(from.status, from.content_type, static_cast<persistence>(k));
      to.whole.append(from.fields);
      to.head_bytes = to.whole.size();
      if (from.body.empty()) continue;
      to.whole.append(length_follows).append(std::to_string(from.body.size())).append("\r\n\r\n");
      to.head_bytes = to.whole.size();
      to.whole += from.body;
    }
  }
}

// The date stands in the line behind the status. It is overwritten in place: this must not need
// memory.
void prepared_responses::refresh(std::time_t now_s) noexcept {
  if (now_s == now_s_) return;
  now_s_ = now_s;
  const date_line field = date_field_at(now_s);
  const auto put_date = [&field](char* to) noexcept {
    std::memcpy(to, field.data(), date_field_example.size());
  };
  put_date(date_field_.data());
  for (auto& by_persistence : texts_)
    for (text& each : by_persistence) put_date(each.whole.data() + each.whole.find('\n') + 1);
}

std::string prepared_responses::head(unsigned status, std::string_view content_type,
                                     persistence connection) const {
  constexpr std::size_t ordinary_bytes = 512; // with what callers append
  std::string head;
  head.reserve(ordinary_bytes);
  head.append("HTTP/1.1 ").append(std::to_string(status)).append(" ");
  head.append(reason_phrase(status)).append("\r\n").append(date_field_);
  head += connection_fields[static_cast<std::size_t>(connection)];
  if (!content_type.empty()) head.append("Content-Type: ").append(content_type).append("\r\n");
  return head;
}

std::string error_body(std::string_view message) {
  constexpr std::string_view begin = R"({"status":"ERROR","message":")";
  constexpr std::string_view end = R"("})";
  const std::size_t size = json::escaped_size(message);
  std::string body;
  body.reserve(begin.size() + size + end.size());
  body.append(begin).resize(begin.size() + size);
  json::write_escaped(body.data() + begin.size(), message, size);
  return body.append(end);
}

} // namespace kvcache::http
