#include "http/response.hpp"

#include <algorithm>
#include <string>

namespace kvcache::http {
namespace {

// Forbids browsers to guess another type. Not on prepared responses with JSON: at full load clients
// pay for reading it, and no browser guesses another type for JSON.
constexpr std::string_view no_sniffing_field = "X-Content-Type-Options: nosniff\r\n";

// "The body is not valid JSON." → "The body is not valid JSON (near byte 17)."
std::string with_place(std::string_view message, std::size_t at_byte) {
  message.remove_suffix(1);
  return std::string(message) + " (near byte " + std::to_string(at_byte) + ").";
}

// Puts the name in place of '#', or in front: "ops[3].ttl: …". Shortened, and only its visible
// ASCII, since it may be anything.
std::string with_name(std::string_view message, std::string_view name) {
  const std::size_t place = message.find('#');
  const std::size_t most_bytes = place == std::string_view::npos ? 80 : 64;
  std::string text{place == std::string_view::npos ? std::string_view{} : message.substr(0, place)};
  for (const char c : name.substr(0, most_bytes)) text += c >= ' ' && c < '\x7F' ? c : '?';
  if (name.size() > most_bytes) text += "...";
  if (place == std::string_view::npos) return text.append(": ").append(message);
  return text.append(message.substr(place + 1));
}

std::string message_of(const fault_reply& row, const refusal& why) {
  if (why.at_byte != refusal::nowhere) return with_place(row.message, why.at_byte);
  return with_name(row.message, why.name);
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

void response_writer::refuse(output_buffer& out, const refusal& why, reply_options how,
                             std::string_view extra_fields) const {
  const fault_reply& row = faults_[why.code];
  if (row.then == after_reply::close) how.connection = persistence::close;
  const std::string body = why.at_byte == refusal::nowhere && why.name.data() == nullptr
                               ? error_body(row.message)
                               : error_body(message_of(row, why));
  write(out, row.status, json_content_type, body, how,
        {no_store_field, row.extra_fields, extra_fields});
}

void response_writer::reply(output_buffer& out, unsigned status, std::string_view content_type,
                            std::string_view body, reply_options how,
                            std::string_view extra_fields) const {
  write(out, status, content_type, body, how, {extra_fields});
}

void response_writer::write(output_buffer& out, unsigned status, std::string_view content_type,
                            std::string_view body, reply_options how,
                            std::initializer_list<std::string_view> fields) const {
  std::string head = prepared_.head(status, content_type, how.connection);
  if (!content_type.empty()) head += no_sniffing_field;
  for (const std::string_view each : fields) head += each;
  head.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n");
  if (how.body == body_part::omit) body = {};
  char* const to = out.prepare(head.size() + body.size());
  out.commit(std::ranges::copy(body, std::ranges::copy(head, to).out).out);
}

void response_writer::head_only(output_buffer& out, unsigned status, reply_options how,
                                std::string_view extra_fields) const {
  out.append(prepared_.head(status, {}, how.connection).append(extra_fields).append("\r\n"));
}

} // namespace kvcache::http
