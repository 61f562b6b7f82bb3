#include "metrics/json_writer.hpp"

#include <cmath>

#include "metrics/number_text.hpp"

namespace kvcache::observe {

void json_writer::begin_object() {
  out_ += '{';
  first_ = true;
}

void json_writer::begin_object(std::string_view name) {
  write_name(name);
  begin_object();
}

void json_writer::end_object() {
  out_ += '}';
  first_ = false;
}

void json_writer::member(std::string_view name, std::string_view value) {
  write_name(name);
  write_string(value);
}

void json_writer::write_bool(std::string_view name, bool value) {
  write_name(name);
  out_ += value ? "true" : "false";
}

void json_writer::integer_or_null(std::string_view name, std::optional<std::uint64_t> value) {
  if (value) return write_integer(name, *value);
  write_name(name);
  out_ += "null";
}

void json_writer::member(std::string_view name, std::optional<double> value) {
  write_name(name);
  if (value && std::isfinite(*value))
    append_number(out_, *value);
  else
    out_ += "null";
}

void json_writer::write_integer(std::string_view name, std::uint64_t value) {
  write_name(name);
  append_number(out_, value);
}

void json_writer::write_name(std::string_view name) {
  if (!first_) out_ += ',';
  first_ = false;
  write_string(name);
  out_ += ':';
}

void json_writer::write_string(std::string_view text) {
  static constexpr std::string_view hex = "0123456789abcdef";
  out_ += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += c;
    } else if (byte >= 0x80) {
      // A path may contain any bytes, JSON may not; ASCII suffices for people.
      out_ += "\\ufffd";
    } else if (byte < 0x20 || byte == 0x7f) {
      out_ += "\\u00";
      out_ += hex[byte >> 4];
      out_ += hex[byte & 0xf];
    } else {
      out_ += c;
    }
  }
  out_ += '"';
}

} // namespace kvcache::observe
