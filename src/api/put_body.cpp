#include "api/put_body.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "http/ascii.hpp"
#include "http/swar.hpp"
#include "http/utf8.hpp"

namespace kvcache::http {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

constexpr bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r'; // RFC 8259 §2, nothing else
}

// The members found in a body. A view whose data() is null stands for a member that was not there.
struct members {
  std::string_view key;
  std::string_view value;
  std::optional<std::chrono::seconds> ttl;

  bool has_key() const noexcept { return key.data() != nullptr; }
  bool has_value() const noexcept { return value.data() != nullptr; }
};

// ---- the fast readers ----------------------------------------------------------------

// Finds the first quote, backslash or control character from `at` on; null if there is none. `seen`
// gets the OR of all bytes before it (and perhaps some behind), to detect bytes that are not ASCII.
// REQUIRES: a whole word before `end` may be read.
const char* find_special(const char* at, const char* end, std::uint64_t& seen) noexcept {
  if constexpr (swar::first_is_lowest) {
    for (; end - at >= static_cast<std::ptrdiff_t>(swar::word_bytes); at += swar::word_bytes) {
      const std::uint64_t word = swar::load(at);
      const std::uint64_t marks = swar::special_in_json(word);
      seen |= word;
      if (marks != 0) return at + swar::first_mark(marks);
    }
    if (at == end) return nullptr;
    // The last few bytes, with zeros behind them, which are marked too.
    const auto left = static_cast<std::size_t>(end - at);
    const std::uint64_t word = swar::load(end - swar::word_bytes) >> 8 * (swar::word_bytes - left);
    seen |= word;
    const std::size_t first = swar::first_mark(swar::special_in_json(word));
    return first < left ? at + first : nullptr;
  }
  for (; at != end; ++at) {
    const auto byte = static_cast<unsigned char>(*at);
    if (byte == '"' || byte == '\\' || byte < 0x20) return at;
    seen |= byte; // its high bit is one of swar::high_bits
  }
  return nullptr;
}

// The text around key and value as most clients write it.
struct compact_shape {
  static constexpr std::string_view start = R"({"key":")";
  static constexpr std::string_view middle = R"(","value":")";
};
struct spaced_shape { // Python's json.dumps, for one
  static constexpr std::string_view start = R"({"key": ")";
  static constexpr std::string_view middle = R"(", "value": ")";
};

// Reads a body of exactly such a shape, key first, value second, nothing else. Else declines
// (false).
template <class Shape>
bool read_exact_shape(std::string_view text, members& out) noexcept {
  constexpr std::string_view finish = R"("})";
  if (text.size() < Shape::start.size() + Shape::middle.size() + finish.size()) return false;
  const char* const end = text.data() + text.size();
  if (std::memcmp(text.data(), Shape::start.data(), Shape::start.size()) != 0) return false;
  const char* const key = text.data() + Shape::start.size();
  std::uint64_t seen = 0;
  const char* const key_end = find_special(key, end, seen);
  if (key_end == nullptr || end - key_end < static_cast<std::ptrdiff_t>(Shape::middle.size()) ||
      std::memcmp(key_end, Shape::middle.data(), Shape::middle.size()) != 0)
    return false;
  const char* const value = key_end + Shape::middle.size();
  const char* const value_end = find_special(value, end, seen);
  if (value_end == nullptr || end - value_end != static_cast<std::ptrdiff_t>(finish.size()) ||
      std::memcmp(value_end, finish.data(), finish.size()) != 0)
    return false;
  out.key = {key, static_cast<std::size_t>(key_end - key)};
  out.value = {value, static_cast<std::size_t>(value_end - value)};
  return (seen & swar::high_bits) == 0 || (utf8::is_valid(out.key) && utf8::is_valid(out.value));
}

// Reads the ordinary shape: an object with any of the known members, each at most once, no escapes,
// no other members. Every function declines (false) at the first byte that is not ordinary, valid
// or not; the careful reader then starts from the beginning.
class plain_reader {
public:
  explicit plain_reader(std::string_view text) noexcept
      : at_(text.data()), end_(text.data() + text.size()) {}

  bool read(members& out) noexcept {
    if (end_ - at_ < static_cast<std::ptrdiff_t>(swar::word_bytes))
      return false; // for find_special
    if (!take('{')) return false;
    do {
      std::string_view name;
      if (!read_string(name) || !take(':') || !read_member(name, out)) return false;
    } while (take(','));
    if (!take('}')) return false;
    skip_spaces();
    return at_ == end_;
  }

private:
  void skip_spaces() noexcept {
    while (at_ != end_ && is_space(*at_)) ++at_;
  }

  bool take(char expected) noexcept {
    skip_spaces();
    if (at_ == end_ || *at_ != expected) return false;
    ++at_;
    return true;
  }

  bool read_member(std::string_view name, members& out) noexcept {
    if (name == "key") return !out.has_key() && read_string(out.key);
    if (name == "value") return !out.has_value() && read_string(out.value);
    if (name == "ttl") return !out.ttl && read_ttl(out.ttl);
    return false;
  }

  bool read_string(std::string_view& out) noexcept {
    if (!take('"')) return false;
    const char* const first = at_;
    std::uint64_t seen = 0;
    const char* const last = find_special(first, end_, seen);
    if (last == nullptr || *last != '"') return false;
    out = {first, static_cast<std::size_t>(last - first)};
    at_ = last + 1;
    return (seen & swar::high_bits) == 0 || utf8::is_valid(out);
  }

  bool read_ttl(std::optional<std::chrono::seconds>& out) noexcept {
    skip_spaces();
    constexpr int most_digits = 9;
    std::uint32_t seconds = 0;
    int digits = 0;
    for (; at_ != end_ && is_decimal(*at_); ++at_) {
      if (++digits > most_digits || (digits == 1 && *at_ == '0')) return false;
      seconds = seconds * 10 + static_cast<std::uint32_t>(*at_ - '0');
    }
    if (digits == 0 || seconds > max_ttl_s) return false;
    out = std::chrono::seconds(seconds);
    return true; // a fraction or an exponent behind it is not the ',' or '}' that must follow
  }

  const char* at_;
  const char* end_;
};

// ---- numbers -------------------------------------------------------------------------

// Where the JSON number ends that begins at the first byte (RFC 8259 §6); 0 if none does.
std::size_t number_bytes(std::string_view text) noexcept {
  std::size_t at = 0;
  const auto here = [&](char c) { return at < text.size() && text[at] == c; };
  const auto skip_digits = [&] {
    const std::size_t first = at;
    while (at < text.size() && is_decimal(text[at])) ++at;
    return at != first;
  };
  if (here('-')) ++at;
  if (here('0'))
    ++at;
  else if (!skip_digits())
    return 0;
  if (here('.')) {
    ++at;
    if (!skip_digits()) return 0;
  }
  if (here('e') || here('E')) {
    ++at;
    if (here('+') || here('-')) ++at;
    if (!skip_digits()) return 0;
  }
  return at;
}

// The value of "60", "60.0", "6e1" or "600e-1", by their digits and so exact. Nothing if it is not
// whole, or not from 1 to max_ttl_s. REQUIRES: `text` is a JSON number.
std::optional<std::chrono::seconds> whole_seconds(std::string_view text) noexcept {
  constexpr std::int64_t most_digits = 9; // of max_ttl_s
  if (text.front() == '-') return std::nullopt;

  // The number is `digits` (significant ones only, zeros at the end left to `scale`) times
  // 10^scale.
  std::uint32_t digits = 0;
  std::int64_t digit_count = 0;
  std::int64_t zeros = 0; // at the end, not yet part of `digits`
  std::int64_t scale = 0;
  bool fraction = false;
  std::size_t at = 0;
  for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
    if (!is_decimal(text[at])) {
      fraction = true;
      continue;
    }
    if (fraction) --scale;
    if (text[at] == '0') {
      if (digit_count != 0) ++zeros;
      continue;
    }
    digit_count += zeros + 1;
    if (digit_count > most_digits) return std::nullopt; // too large, or not whole, or both
    for (; zeros != 0; --zeros) digits *= 10;
    digits = digits * 10 + static_cast<std::uint32_t>(text[at] - '0');
  }
  scale += zeros;

  if (at != text.size()) {
    ++at;
    const bool negative = text[at] == '-';
    if (!is_decimal(text[at])) ++at;
    constexpr std::int64_t endless = std::int64_t{1} << 48; // more than a body has digits
    std::int64_t exponent = 0;
    for (; at < text.size(); ++at) exponent = std::min(exponent * 10 + (text[at] - '0'), endless);
    scale += negative ? -exponent : exponent;
  }

  if (digit_count == 0 || scale < 0 || digit_count + scale > most_digits) return std::nullopt;
  for (; scale != 0; --scale) digits *= 10;
  if (digits > max_ttl_s) return std::nullopt;
  return std::chrono::seconds(digits);
}

// nlohmann stops at a number that no double can hold. Replaces each by -1 (no valid value of a
// known member) and spaces, so that everything else keeps its place.
std::string without_unbounded_numbers(std::string_view text) {
  constexpr std::string_view stand_in = "-1";
  std::string copy(text);
  for (std::size_t at = 0; at < copy.size(); ++at) {
    if (copy[at] == '"') {
      for (++at; at < copy.size() && copy[at] != '"'; ++at)
        if (copy[at] == '\\') ++at;
      continue;
    }
    const std::size_t bytes = number_bytes(std::string_view(copy).substr(at));
    if (bytes == 0) continue;
    char* const first = copy.data() + at;
    double value = 0;
    if (std::from_chars(first, first + bytes, value).ec == std::errc::result_out_of_range &&
        bytes > stand_in.size()) {
      std::fill(std::copy(stand_in.begin(), stand_in.end(), first), first + bytes, ' ');
    }
    at += bytes - 1;
  }
  return copy;
}

// ---- the careful reader --------------------------------------------------------------

enum class body_kind : std::uint8_t { put, erase };

// Receives the events of nlohmann's SAX parser, which neither recurses nor builds a document. Keeps
// the known members of the outermost object, ignores everything else, stops at the first fault.
class member_collector final : public nlohmann::json_sax<nlohmann::json> {
public:
  member_collector(body_kind kind, body_scratch& scratch, members& out) noexcept
      : kind_(kind), scratch_(scratch), out_(out) {}

  const refusal& why() const noexcept { return why_; }
  bool met_unbounded_number() const noexcept { return met_unbounded_number_; }

  bool null() override { return other_value(); }
  bool boolean(bool) override { return other_value(); }
  bool number_integer(number_integer_t) override { return other_value(); } // the negative ones
  bool binary(binary_t&) override { return other_value(); } // never happens in JSON text

  bool number_unsigned(number_unsigned_t number) override {
    if (!ours(member::ttl)) return other_value();
    if (number < 1 || number > max_ttl_s) return refuse(fault::bad_ttl);
    out_.ttl = std::chrono::seconds(number);
    return true;
  }

  // Includes whole numbers written with a fraction or an exponent, or with too many digits.
  bool number_float(number_float_t, const string_t& text) override {
    if (!ours(member::ttl)) return other_value();
    out_.ttl = whole_seconds(text);
    return out_.ttl || refuse(fault::bad_ttl);
  }

  bool string(string_t& text) override {
    if (ours(member::key)) {
      scratch_.key = text;
      out_.key = scratch_.key;
      return true;
    }
    if (ours(member::value)) {
      scratch_.value = text;
      out_.value = scratch_.value;
      return true;
    }
    return other_value();
  }

  bool start_object(std::size_t) override {
    return depth_ == 0 ? enter() : other_value() && enter();
  }
  bool start_array(std::size_t) override { return other_value() && enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }

  bool key(string_t& name) override {
    if (depth_ != 1) return true;
    member_ = member::other;
    if (name == "key") {
      if (out_.has_key()) return refuse(fault::repeated_key_member);
      member_ = member::key;
    } else if (kind_ == body_kind::put && name == "value") {
      if (out_.has_value()) return refuse(fault::repeated_value_member);
      member_ = member::value;
    } else if (kind_ == body_kind::put && name == "ttl") {
      if (out_.ttl) return refuse(fault::repeated_ttl_member);
      member_ = member::ttl;
    }
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    constexpr int out_of_range = 406; // nlohmann's number for a number no double can hold
    met_unbounded_number_ = error.id == out_of_range;
    return refuse(fault::invalid_json, position);
  }

private:
  enum class member : std::uint8_t { other, key, value, ttl };

  bool ours(member wanted) const noexcept { return depth_ == 1 && member_ == wanted; }

  // A value of a type that no known member has.
  bool other_value() noexcept {
    if (depth_ == 0) return refuse(fault::not_an_object);
    if (ours(member::key)) return refuse(fault::key_not_a_string);
    if (ours(member::value)) return refuse(fault::value_not_a_string);
    if (ours(member::ttl)) return refuse(fault::bad_ttl);
    return true;
  }

  bool refuse(fault code, std::size_t at_byte = refusal::nowhere) noexcept {
    why_ = {code, at_byte};
    return false;
  }

  bool enter() noexcept {
    ++depth_;
    return true;
  }

  bool leave() noexcept {
    --depth_;
    return true;
  }

  body_kind kind_;
  body_scratch& scratch_;
  members& out_;
  refusal why_;
  bool met_unbounded_number_ = false;
  std::size_t depth_ = 0;
  member member_ = member::other; // which one the next value at depth 1 belongs to
};

// `unbounded`: whether it stopped at a number that no double can hold.
refusal collect(std::string_view text, body_kind kind, body_scratch& scratch, members& out,
                bool& unbounded) {
  out = {};
  member_collector collector(kind, scratch, out);
  nlohmann::json::sax_parse(text.data(), text.data() + text.size(), &collector);
  unbounded = collector.met_unbounded_number();
  return collector.why();
}

refusal read_carefully(std::string_view text, body_kind kind, body_scratch& scratch, members& out) {
  if (std::all_of(text.begin(), text.end(), is_space)) return {fault::empty_body};
  // nlohmann skips the former and takes the latter for the end of the text.
  if (text.starts_with(byte_order_mark)) return {fault::byte_order_mark};
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    return {fault::invalid_json, nul + 1};

  bool unbounded = false;
  refusal why = collect(text, kind, scratch, out, unbounded);
  if (unbounded) why = collect(without_unbounded_numbers(text), kind, scratch, out, unbounded);
  if (why) return why;
  if (!out.has_key()) return {fault::missing_key_member};
  if (kind == body_kind::put && !out.has_value()) return {fault::missing_value_member};
  return {};
}

bool read_plainly(std::string_view text, body_kind kind, members& out) noexcept {
  if (kind == body_kind::put &&
      (read_exact_shape<compact_shape>(text, out) || read_exact_shape<spaced_shape>(text, out)))
    return true;
  out = {};
  return plain_reader(text).read(out) && out.has_key() &&
         (kind == body_kind::erase || out.has_value());
}

refusal check_lengths(std::string_view key, std::string_view value,
                      const http_limits& limits) noexcept {
  if (key.empty()) return {fault::empty_key};
  if (utf8::longer_than(key, limits.max_key_chars) ||
      utf8::longer_than(value, limits.max_value_chars))
    return {fault::key_or_value_too_long};
  return {};
}

put_body to_body(const members& found) noexcept { return {found.key, found.value, found.ttl}; }

} // namespace

refusal parse_put_body(std::string_view text, const http_limits& limits, body_scratch& scratch,
                       put_body& out) {
  members found;
  if (!read_plainly(text, body_kind::put, found)) {
    if (const refusal why = read_carefully(text, body_kind::put, scratch, found)) return why;
  }
  out = to_body(found);
  return check_lengths(out.key, out.value, limits);
}

refusal parse_delete_body(std::string_view text, const http_limits& limits, body_scratch& scratch,
                          std::string_view& key) {
  members found;
  if (!read_plainly(text, body_kind::erase, found)) {
    if (const refusal why = read_carefully(text, body_kind::erase, scratch, found)) return why;
  }
  key = found.key;
  return check_lengths(key, {}, limits);
}

namespace detail {

bool read_plain_put_body(std::string_view text, put_body& out) noexcept {
  members found;
  if (!read_plainly(text, body_kind::put, found)) return false;
  out = to_body(found);
  return true;
}

refusal read_any_put_body(std::string_view text, body_scratch& scratch, put_body& out) {
  members found;
  const refusal why = read_carefully(text, body_kind::put, scratch, found);
  if (!why) out = to_body(found);
  return why;
}

} // namespace detail
} // namespace kvcache::http
