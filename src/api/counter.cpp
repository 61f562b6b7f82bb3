#include "api/counter.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include "api/exchange.hpp"
#include "api/value_format.hpp"

namespace kvcache::http {
namespace {

constexpr std::size_t most_digits = 20; // of a number of 64 bits, with its sign

// The entry as it was looked at: a counter, with what follows its digits in the store.
struct counter_state {
  std::array<char, most_digits + value_format::most_suffix_bytes> stored; // uninitialised
  std::size_t stored_bytes = 0;
  std::size_t digits = 0;
  std::uint8_t mark = 0;
  tick expires_at = never;
  std::int64_t number = 0;

  std::string_view text() const noexcept { return {stored.data(), stored_bytes}; }
  std::string_view suffix() const noexcept { return text().substr(digits); }

  bool is_still(const entry_view& present) const noexcept {
    return present.value() == text() && present.mark() == mark &&
           present.expires_at() == expires_at;
  }
};

fault read_state(const entry_view& present, counter_state& out) noexcept {
  const stored_value value = read_stored(present.value(), present.mark());
  const std::optional<std::int64_t> number = read_counter(value.bytes);
  if (!number) return fault::not_a_number;
  const std::string_view stored = present.value();
  std::copy(stored.begin(), stored.end(), out.stored.begin());
  out.stored_bytes = stored.size();
  out.digits = value.bytes.size();
  out.mark = static_cast<std::uint8_t>(present.mark());
  out.expires_at = present.expires_at();
  out.number = *number;
  return fault::none;
}

bool add(std::int64_t a, std::int64_t b, std::int64_t& sum) noexcept {
  return !__builtin_add_overflow(a, b, &sum);
}

} // namespace

std::optional<std::int64_t> read_counter(std::string_view value) noexcept {
  const std::string_view digits = value.starts_with('-') ? value.substr(1) : value;
  if (value.size() > most_digits || digits.empty() || (digits[0] == '0' && value.size() > 1))
    return std::nullopt;
  std::int64_t number = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

// Looks at the entry, and replaces it if it is still the same; otherwise looks again. Whoever
// changed it meanwhile has succeeded, so all together always get on.
incremented add_to_counter(cache& store, std::string_view key, const increment& what,
                           tick expires_at, precondition when, const entity_tagger* tags) noexcept {
  for (;;) {
    counter_state state;
    incremented result;
    bool permitted = false;
    const bool found = store.inspect(key, [&](const entry_view& present) {
      result.why = read_state(present, state);
      if (result.why == fault::none && !add(state.number, what.by, result.value))
        result.why = fault::number_overflow;
      permitted = result.why != fault::none || when(&present);
    });
    if (!found) {
      if (!what.initial)
        result.why = fault::key_not_found;
      else if (!add(*what.initial, what.by, result.value))
        result.why = fault::number_overflow;
      permitted = result.why != fault::none || when(nullptr);
    }
    if (!permitted) result.why = fault::precondition_failed;
    if (result.why != fault::none) return result;

    std::array<char, most_digits> digits;
    const char* const end = std::to_chars(digits.begin(), digits.end(), result.value).ptr;
    const std::string_view text{digits.data(), static_cast<std::size_t>(end - digits.data())};
    if (tags != nullptr) {
      const std::string_view type =
          found ? read_stored(state.text(), state.mark).info.type : text_type;
      result.tag = tags->tag_of(type, text);
    }
    const put_outcome outcome =
        found ? store.put_if(key, {text, state.suffix(), state.mark}, state.expires_at,
                             [&](const entry_view* present) {
                               return present != nullptr && state.is_still(*present);
                             })
              : store.put_if_absent(key, text, expires_at);
    if (outcome == put_outcome::precondition_failed) continue;
    result.why = fault_of(outcome);
    return result;
  }
}

} // namespace kvcache::http
