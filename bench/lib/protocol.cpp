#include "protocol.hpp"

#include <charconv>

namespace kvcache::bench {

namespace {

constexpr std::string_view line_end = "\r\n";

std::size_t number_at(std::string_view text) {
  std::size_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// ---- HTTP ---------------------------------------------------------------------------------------

void append_http(std::string& out, operation what, std::string_view key, std::string_view value) {
  if (what == operation::get) {
    out.append("GET /get?key=").append(key).append(" HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return;
  }
  constexpr std::string_view key_open = R"({"key":")";
  constexpr std::string_view value_open = R"(","value":")";
  constexpr std::string_view value_close = R"("})";
  const bool puts = what == operation::put;
  const std::size_t length = key_open.size() + key.size() + value_close.size() +
                             (puts ? value_open.size() + value.size() : 0);
  out.append(puts ? "POST /put" : "POST /delete")
      .append(" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ")
      .append(std::to_string(length))
      .append("\r\n\r\n")
      .append(key_open)
      .append(key);
  if (puts) {
    out.append(value_open).append(value);
  }
  out.append(value_close);
}

reply read_http(std::string_view input) {
  constexpr std::string_view blank_line = "\r\n\r\n";
  constexpr std::string_view length_name = "ength: "; // of Content-Length, in either spelling
  constexpr std::size_t status_at = 9;
  const auto head_end = input.find(blank_line);
  if (head_end == std::string_view::npos) {
    return {};
  }
  const std::string_view head = input.substr(0, head_end + line_end.size());
  const auto field = head.find(length_name);
  const std::size_t body_bytes =
      field == std::string_view::npos ? 0 : number_at(head.substr(field + length_name.size()));
  const std::size_t body_at = head_end + blank_line.size();
  if (input.size() < body_at + body_bytes) {
    return {};
  }
  reply_kind kind = reply_kind::error;
  switch (number_at(head.substr(status_at))) {
  case 200:
    kind = reply_kind::ok;
    break;
  case 404:
    kind = reply_kind::miss;
    break;
  case 503:
    kind = reply_kind::refused;
    break;
  default:
    break;
  }
  return {body_at + body_bytes, kind, input.substr(body_at, body_bytes)};
}

// ---- webdis -------------------------------------------------------------------------------------

void append_webdis(std::string& out, operation what, std::string_view key, std::string_view value) {
  switch (what) {
  case operation::get:
    out.append("GET /GET/").append(key).append(" HTTP/1.1\r\nHost: localhost\r\n\r\n");
    break;
  case operation::put: {
    constexpr std::string_view command = "SET/";
    out.append("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ")
        .append(std::to_string(command.size() + key.size() + 1 + value.size()))
        .append("\r\n\r\n")
        .append(command)
        .append(key)
        .append("/")
        .append(value);
    break;
  }
  case operation::erase:
    out.append("GET /DEL/").append(key).append(" HTTP/1.1\r\nHost: localhost\r\n\r\n");
    break;
  }
}

reply read_webdis(std::string_view input, operation what) {
  reply whole = read_http(input);
  constexpr std::string_view missing = R"({"GET":null})";
  if (what == operation::get && whole.kind == reply_kind::ok && whole.body == missing) {
    whole.kind = reply_kind::miss;
  }
  return whole;
}

// ---- RESP ---------------------------------------------------------------------------------------

void append_bulk(std::string& out, std::string_view text) {
  out.append("$")
      .append(std::to_string(text.size()))
      .append(line_end)
      .append(text)
      .append(line_end);
}

void append_resp(std::string& out, operation what, std::string_view key, std::string_view value) {
  switch (what) {
  case operation::get:
    out.append("*2\r\n$3\r\nGET\r\n");
    append_bulk(out, key);
    break;
  case operation::put:
    out.append("*3\r\n$3\r\nSET\r\n");
    append_bulk(out, key);
    append_bulk(out, value);
    break;
  case operation::erase:
    out.append("*2\r\n$3\r\nDEL\r\n");
    append_bulk(out, key);
    break;
  }
}

reply read_resp(std::string_view input) {
  const auto first_end = input.find(line_end);
  if (first_end == std::string_view::npos) {
    return {};
  }
  const std::size_t line_bytes = first_end + line_end.size();
  switch (input.front()) {
  case '+':
    return {line_bytes, reply_kind::ok, {}};
  case ':':
    return {line_bytes, input[1] == '0' ? reply_kind::miss : reply_kind::ok, {}};
  case '$': {
    if (input[1] == '-') {
      return {line_bytes, reply_kind::miss, {}};
    }
    const std::size_t bytes = number_at(input.substr(1));
    const std::size_t whole = line_bytes + bytes + line_end.size();
    return input.size() < whole ? reply{}
                                : reply{whole, reply_kind::ok, input.substr(line_bytes, bytes)};
  }
  default: {
    const bool full = input.starts_with("-OOM");
    return {line_bytes, full ? reply_kind::refused : reply_kind::error, {}};
  }
  }
}

// ---- memcached text -----------------------------------------------------------------------------

void append_memcached(std::string& out, operation what, std::string_view key,
                      std::string_view value) {
  switch (what) {
  case operation::get:
    out.append("get ").append(key).append(line_end);
    break;
  case operation::put:
    out.append("set ").append(key).append(" 0 0 ").append(std::to_string(value.size()));
    out.append(line_end).append(value).append(line_end);
    break;
  case operation::erase:
    out.append("delete ").append(key).append(line_end);
    break;
  }
}

reply read_memcached(std::string_view input, operation what) {
  constexpr std::string_view end_line = "END\r\n";
  const auto first_end = input.find(line_end);
  if (first_end == std::string_view::npos) {
    return {};
  }
  const std::string_view line = input.substr(0, first_end);
  const std::size_t line_bytes = first_end + line_end.size();
  if (what == operation::get && line.starts_with("VALUE ")) {
    const std::size_t bytes = number_at(line.substr(line.rfind(' ') + 1));
    const std::size_t whole = line_bytes + bytes + line_end.size() + end_line.size();
    return input.size() < whole ? reply{}
                                : reply{whole, reply_kind::ok, input.substr(line_bytes, bytes)};
  }
  if (line == "END" || line == "NOT_FOUND") {
    return {line_bytes, reply_kind::miss, {}};
  }
  if (line == "STORED" || line == "DELETED") {
    return {line_bytes, reply_kind::ok, {}};
  }
  const bool full = line.starts_with("SERVER_ERROR out of memory");
  return {line_bytes, full ? reply_kind::refused : reply_kind::error, {}};
}

} // namespace

void append_request(protocol spoken, std::string& out, operation what, std::string_view key,
                    std::string_view value) {
  switch (spoken) {
  case protocol::http:
    append_http(out, what, key, value);
    break;
  case protocol::redis:
    append_resp(out, what, key, value);
    break;
  case protocol::memcached:
    append_memcached(out, what, key, value);
    break;
  case protocol::webdis:
    append_webdis(out, what, key, value);
    break;
  }
}

reply read_reply(protocol spoken, std::string_view input, operation what) {
  switch (spoken) {
  case protocol::redis:
    return read_resp(input);
  case protocol::memcached:
    return read_memcached(input, what);
  case protocol::webdis:
    return read_webdis(input, what);
  case protocol::http:
    break;
  }
  return read_http(input);
}

bool holds_value(protocol spoken, std::string_view body, std::string_view value) {
  if (spoken == protocol::redis || spoken == protocol::memcached) {
    return body == value;
  }
  const std::string_view before = spoken == protocol::http ? R"("value":")" : R"({"GET":")";
  constexpr std::string_view after = R"("})";
  return body.size() >= before.size() + value.size() + after.size() && body.ends_with(after) &&
         body.substr(0, body.size() - after.size()).ends_with(value) &&
         body.substr(0, body.size() - after.size() - value.size()).ends_with(before);
}

} // namespace kvcache::bench
