// The one list of options. Flags, environment variables, --help, --print-config and the README's
// table all follow from it: to add or remove an option is to add or remove its row (and its member
// in options.hpp).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/options.hpp"

namespace kvcache::config {

// Every environment variable of ours begins with this.
inline constexpr std::string_view environment_prefix = "KVCACHE_";

// How one member of options is read from text and written back.
struct option_value {
  // Sets the member and returns nothing; or leaves it and returns what would have been accepted
  // ("a whole number from 0 to 65535").
  std::optional<std::string> (*read)(options&, std::string_view text);
  std::string (*write)(const options&); // text that `read` takes back to the same value
};

struct option_row {
  std::string_view name;       // "max-entries": the flag is --max-entries
  std::string_view group;      // heading in --help
  std::string_view value_name; // "<ms>"; empty for a switch, which needs no value
  std::string_view help;       // one sentence without full stop, unit included
  option_value value;
  bool protects = false; // not set, everybody may: that a variable of it is empty is no trifle

  bool is_switch() const noexcept { return value_name.empty(); }
  std::string flag() const;                 // "--max-entries"
  std::string environment_variable() const; // "KVCACHE_MAX_ENTRIES"
};

std::span<const option_row> option_table() noexcept;

// What no single row can see: options that contradict each other. The message names them.
std::optional<std::string> find_contradiction(const options& settings);

} // namespace kvcache::config
