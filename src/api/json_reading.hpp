// What the readers of bodies need beside nlohmann's parser: JSON numbers by their digits, and so
// exact, and texts that it would misread. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/fault.hpp"

namespace kvcache::http {

// The value of "60", "60.0", "6e1" or "600e-1". Nothing if it is not whole, or does not fit.
// REQUIRES: `text` is a JSON number.
std::optional<std::int64_t> whole_number(std::string_view text) noexcept;

// The same, as a time to live: nothing if it is not from 1 to max_ttl_s.
std::optional<std::chrono::seconds> whole_seconds(std::string_view text) noexcept;

// A text that is not to be parsed, because nlohmann would misread it, or would only say that it is
// no JSON: blanks alone, a byte order mark, NUL.
refusal refuse_unreadable(std::string_view text) noexcept;

// nlohmann stops at a number that no double can hold. Replaces each by -1.5 (no valid value of a
// known member) and spaces, so that everything else keeps its place.
std::string without_unbounded_numbers(std::string_view text);

} // namespace kvcache::http
