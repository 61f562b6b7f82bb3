#include "http/response.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "http/json_text.hpp"

namespace kvcache::http {
namespace {

constexpr std::string_view stored_body =
    R"({"status":"OK","message":"Key inserted/updated successfully."})";
constexpr std::string_view deleted_body = R"({"status":"OK","message":"Key deleted."})";
constexpr std::string_view error_body_start = R"({"status":"ERROR","message":")";
constexpr std::string_view error_body_end = R"("})";

constexpr std::string_view hit_body_start = R"({"status":"OK","key":")";
constexpr std::string_view hit_body_middle = R"(","value":")";
constexpr std::string_view hit_body_end = R"("})";
constexpr std::size_t hit_body_frame =
    hit_body_start.size() + hit_body_middle.size() + hit_body_end.size();

// Tells browsers not to guess another type. It stands in all replies but the four that are ready to
// be copied: there a client at full load pays for reading it (a tenth of wrk's time), and no
// browser guesses another type than the JSON they are.
constexpr std::string_view no_sniffing_field = "X-Content-Type-Options: nosniff\r\n";

constexpr std::string_view head_end = "\r\n\r\n";
constexpr std::size_t most_digits = 20; // of a 64-bit number

// Room for a value that a GET makes in advance: enough for 256 characters, each a control character
// (six bytes), so that with the default limits the store is asked once.
constexpr std::size_t usual_value_bytes = 256 * json::max_escape_bytes;

char* put(char* to, std::string_view text) noexcept {
  std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

char* put_number(char* to, std::size_t number) noexcept {
  return std::to_chars(to, to + most_digits, number).ptr;
}

std::string_view connection_field(persistence connection) noexcept {
  switch (connection) {
  case persistence::keep_alive:
    return "Connection: keep-alive\r\n";
  case persistence::close:
    return "Connection: close\r\n";
  case persistence::implied:
    break;
  }
  return {};
}

// RFC 9110 §5.6.7: "Date: Sun, 06 Nov 1994 08:49:37 GMT", in English whatever the locale. Always of
// the same length: there is no fifth digit for the years from 10000 on.
constexpr std::string_view date_field_example = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
using date_line = std::array<char, 64>; // of which a date field is the first part

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

// Every head has its date in the line after the status.
void put_date(std::string& head, std::string_view field) noexcept {
  put(head.data() + head.find('\n') + 1, field);
}

// A head up to its last field, but for the length of the body.
std::string head_without_length(unsigned status, std::string_view content_type,
                                persistence connection, std::string_view date_field,
                                std::string_view extra_fields) {
  std::string head = "HTTP/1.1 ";
  head += std::to_string(status);
  head += ' ';
  head += reason_phrase(status);
  head += "\r\n";
  head += date_field;
  head += connection_field(connection);
  if (!content_type.empty()) {
    head += "Content-Type: ";
    head += content_type;
    head += "\r\n";
  }
  head += extra_fields;
  return head;
}

// A head up to and including "Content-Length: ".
std::string head_start(unsigned status, std::string_view content_type, persistence connection,
                       std::string_view date_field, std::string_view extra_fields) {
  return head_without_length(status, content_type, connection, date_field, extra_fields) +
         "Content-Length: ";
}

std::string error_body(std::string_view message) {
  std::string body(error_body_start);
  const std::size_t start = body.size();
  const std::size_t size = json::escaped_size(message);
  body.resize(start + size);
  json::write_escaped(body.data() + start, message, size);
  body += error_body_end;
  return body;
}

// "The body is not valid JSON." → "The body is not valid JSON (near byte 17)."
std::string with_place(std::string_view message, std::size_t at_byte) {
  message.remove_suffix(1);
  return std::string(message) + " (near byte " + std::to_string(at_byte) + ").";
}

std::size_t index_of(persistence connection) noexcept {
  return static_cast<std::size_t>(connection);
}

} // namespace

reply_options options_for(const request& asked, after_reply then) noexcept {
  reply_options how;
  if (asked.verb == method::head) how.body = body_part::omit;
  if (then == after_reply::close || !asked.keep_alive)
    how.connection = persistence::close;
  else if (asked.version == http_version::http_1_0)
    how.connection = persistence::keep_alive;
  return how;
}

// ---- reply_writer --------------------------------------------------------------------

reply_writer::reply_writer(const fault_table& faults)
    : faults_(faults),
      date_field_(date_field_example),
      stored_(make_ready(200, stored_body, {})), // no cache stores what answers a POST
      deleted_(make_ready(200, deleted_body, {})),
      not_found_(make_ready(faults[fault::key_not_found].status,
                            error_body(faults[fault::key_not_found].message), no_store_field)) {
  for (std::size_t i = 0; i < persistence_count; ++i)
    hit_head_[i] = head_start(200, json_content_type, static_cast<persistence>(i), date_field_,
                              no_store_field);
}

// Only the date changes, where it stands: this must not need memory.
void reply_writer::refresh(std::time_t now_s) noexcept {
  if (now_s == now_s_) return;
  const date_line text = date_field_at(now_s);
  const std::string_view field{text.data(), date_field_example.size()};
  put(date_field_.data(), field);
  for (std::string& head : hit_head_) put_date(head, field);
  for (ready_replies* replies : {&stored_, &deleted_, &not_found_}) {
    for (ready_reply& reply : *replies) put_date(reply.text, field);
  }
  now_s_ = now_s;
}

reply_writer::ready_replies reply_writer::make_ready(unsigned status, std::string_view body,
                                                     std::string_view extra_fields) const {
  ready_replies replies;
  for (std::size_t i = 0; i < persistence_count; ++i) {
    std::string& text = replies[i].text;
    text = head_start(status, json_content_type, static_cast<persistence>(i), date_field_,
                      extra_fields);
    text += std::to_string(body.size());
    text += head_end;
    replies[i].head_bytes = text.size();
    text += body;
  }
  return replies;
}

void reply_writer::copy(output_buffer& out, const ready_replies& replies, reply_options how) const {
  const ready_reply& reply = replies[index_of(how.connection)];
  std::string_view text = reply.text;
  if (how.body == body_part::omit) text = text.substr(0, reply.head_bytes);
  out.append(text);
}

void reply_writer::stored(output_buffer& out, reply_options how) const { copy(out, stored_, how); }

void reply_writer::deleted(output_buffer& out, reply_options how) const {
  copy(out, deleted_, how);
}

void reply_writer::not_found(output_buffer& out, reply_options how) const {
  copy(out, not_found_, how);
}

void reply_writer::refuse(output_buffer& out, const refusal& why, reply_options how,
                          std::string_view extra_fields) const {
  const fault_reply& told = faults_[why.code];
  if (told.then == after_reply::close) how.connection = persistence::close;
  const std::string body =
      error_body(why.at_byte == refusal::nowhere ? std::string(told.message)
                                                 : with_place(told.message, why.at_byte));
  std::string fields(no_store_field);
  fields += told.extra_fields;
  fields += extra_fields;
  reply(out, told.status, json_content_type, body, how, fields);
}

void reply_writer::reply(output_buffer& out, unsigned status, std::string_view content_type,
                         std::string_view body, reply_options how,
                         std::string_view extra_fields) const {
  std::string fields(content_type.empty() ? std::string_view{} : no_sniffing_field);
  fields += extra_fields;
  std::string head = head_start(status, content_type, how.connection, date_field_, fields);
  head += std::to_string(body.size());
  head += head_end;
  char* to = out.prepare(head.size() + body.size());
  to = put(to, head);
  if (how.body == body_part::send && !body.empty()) to = put(to, body);
  out.commit(to);
}

void reply_writer::no_content(output_buffer& out, reply_options how,
                              std::string_view extra_fields) const {
  head_alone(out, 204, how, extra_fields);
}

void reply_writer::not_modified(output_buffer& out, reply_options how,
                                std::string_view extra_fields) const {
  head_alone(out, 304, how, extra_fields);
}

void reply_writer::head_alone(output_buffer& out, unsigned status, reply_options how,
                              std::string_view extra_fields) const {
  out.append(head_without_length(status, {}, how.connection, date_field_, extra_fields) + "\r\n");
}

// ---- get_reply -----------------------------------------------------------------------

get_reply::get_reply(const reply_writer& writer, output_buffer& out, maybe_plain key,
                     reply_options how)
    : writer_(writer),
      out_(out),
      key_(key.text),
      escaped_key_bytes_(key.is_plain ? key.text.size() : json::escaped_size(key.text)),
      how_(how) {
  write_head(usual_value_bytes);
}

void get_reply::write_head(std::size_t value_bytes) {
  const std::string& head = writer_.hit_head_[index_of(how_.connection)];
  const std::size_t fixed_bytes =
      head.size() + most_digits + head_end.size() + hit_body_frame + escaped_key_bytes_;
  char* const start = out_.prepare(fixed_bytes + value_bytes);
  room_for_value_ = out_.room() - fixed_bytes;
  after_head_ = put(start, head);
}

void get_reply::value(std::string_view raw) noexcept {
  const std::size_t size = json::escaped_size(raw);
  if (how_.body == body_part::send && size > room_for_value_) {
    lacking_value_bytes_ = size;
    return;
  }
  char* to = put_number(after_head_, hit_body_frame + escaped_key_bytes_ + size);
  to = put(to, head_end);
  if (how_.body == body_part::send) {
    to = put(to, hit_body_start);
    to = json::write_escaped(to, key_, escaped_key_bytes_);
    to = put(to, hit_body_middle);
    to = json::write_escaped(to, raw, size);
    to = put(to, hit_body_end);
  }
  out_.commit(to);
}

bool get_reply::make_room() {
  if (lacking_value_bytes_ == 0) return false;
  write_head(lacking_value_bytes_);
  lacking_value_bytes_ = 0;
  return true;
}

void get_reply::miss() { writer_.not_found(out_, how_); }

} // namespace kvcache::http
