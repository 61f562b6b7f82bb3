// Writes one JSON text into a string, front to back. It handles commas and escapes; the caller
// ensures that names are distinct and that every object is closed.
//
//   json_writer json{out};
//   json.begin_object();
//   json.member("entries", 17);
//   json.begin_object("memory"); … json.end_object();
//   json.end_object();
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvcache::observe {

class json_writer {
public:
  // Appends to `out`, which must outlive the writer.
  explicit json_writer(std::string& out) noexcept : out_(out) {}

  void begin_object();                      // the whole text, or an element
  void begin_object(std::string_view name); // a member
  void end_object();

  void member(std::string_view name, std::string_view value);
  void member(std::string_view name, const char* value) { member(name, std::string_view{value}); }
  void member(std::string_view name, std::unsigned_integral auto value) {
    if constexpr (std::same_as<decltype(value), bool>)
      write_bool(name, value);
    else
      write_integer(name, value);
  }
  // The shortest text that reads back as the same number; null for nothing and for what JSON cannot
  // express (infinities, not-a-number).
  void member(std::string_view name, std::optional<double> value);
  // null for nothing. (Not an overload of member(), which would be ambiguous with double.)
  void integer_or_null(std::string_view name, std::optional<std::uint64_t> value);

private:
  void write_bool(std::string_view name, bool value);
  void write_integer(std::string_view name, std::uint64_t value);
  void write_name(std::string_view name);
  void write_string(std::string_view text);

  std::string& out_;
  bool first_ = true; // the next member is the first of its object
};

} // namespace kvcache::observe
