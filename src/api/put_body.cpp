#include "api/put_body.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstring>

#include "api/json_cursor.hpp"
#include "api/json_reading.hpp"
#include "http/swar.hpp"
#include "http/utf8.hpp"

namespace kvcache::http {
namespace {

// The members found in a body. A view whose data() is null stands for a member that was not there.
struct members {
  std::string_view key;
  std::string_view value;
  std::optional<std::chrono::seconds> ttl;

  bool has_key() const noexcept { return key.data() != nullptr; }
  bool has_value() const noexcept { return value.data() != nullptr; }
};

// ---- the fast readers ----------------------------------------------------------------

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
class plain_reader : public json_cursor {
public:
  using json_cursor::json_cursor;

  bool read(members& out) noexcept {
    if (!take('{')) return false;
    do {
      std::string_view name;
      if (!read_string(name) || !take(':') || !read_member(name, out)) return false;
    } while (take(','));
    return take('}') && is_at_end();
  }

private:
  bool read_member(std::string_view name, members& out) noexcept {
    if (name == "key") return !out.has_key() && read_string(out.key);
    if (name == "value") return !out.has_value() && read_string(out.value);
    if (name == "ttl") return !out.ttl && read_ttl(out.ttl);
    return false;
  }
};

// ---- the careful reader --------------------------------------------------------------

enum class body_of : std::uint8_t { put, erase };

// Receives the events of nlohmann's SAX parser, which neither recurses nor builds a document. Keeps
// the known members of the outermost object, ignores everything else, stops at the first fault.
class member_collector final : public nlohmann::json_sax<nlohmann::json> {
public:
  member_collector(body_of kind, body_scratch& scratch, members& out) noexcept
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
    } else if (kind_ == body_of::put && name == "value") {
      if (out_.has_value()) return refuse(fault::repeated_value_member);
      member_ = member::value;
    } else if (kind_ == body_of::put && name == "ttl") {
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

  body_of kind_;
  body_scratch& scratch_;
  members& out_;
  refusal why_;
  bool met_unbounded_number_ = false;
  std::size_t depth_ = 0;
  member member_ = member::other; // which one the next value at depth 1 belongs to
};

// `unbounded`: whether it stopped at a number that no double can hold.
refusal collect(std::string_view text, body_of kind, body_scratch& scratch, members& out,
                bool& unbounded) {
  out = {};
  member_collector collector(kind, scratch, out);
  nlohmann::json::sax_parse(text.data(), text.data() + text.size(), &collector);
  unbounded = collector.met_unbounded_number();
  return collector.why();
}

refusal read_carefully(std::string_view text, body_of kind, body_scratch& scratch, members& out) {
  if (const refusal why = refuse_unreadable(text)) return why;

  bool unbounded = false;
  refusal why = collect(text, kind, scratch, out, unbounded);
  if (unbounded) why = collect(without_unbounded_numbers(text), kind, scratch, out, unbounded);
  if (why) return why;
  if (!out.has_key()) return {fault::missing_key_member};
  if (kind == body_of::put && !out.has_value()) return {fault::missing_value_member};
  return {};
}

bool read_plainly(std::string_view text, body_of kind, members& out) noexcept {
  if (kind == body_of::put &&
      (read_exact_shape<compact_shape>(text, out) || read_exact_shape<spaced_shape>(text, out)))
    return true;
  out = {};
  return plain_reader(text).read(out) && out.has_key() &&
         (kind == body_of::erase || out.has_value());
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
  if (!read_plainly(text, body_of::put, found)) {
    if (const refusal why = read_carefully(text, body_of::put, scratch, found)) return why;
  }
  out = to_body(found);
  return check_lengths(out.key, out.value, limits);
}

refusal parse_delete_body(std::string_view text, const http_limits& limits, body_scratch& scratch,
                          std::string_view& key) {
  members found;
  if (!read_plainly(text, body_of::erase, found)) {
    if (const refusal why = read_carefully(text, body_of::erase, scratch, found)) return why;
  }
  key = found.key;
  return check_lengths(key, {}, limits);
}

namespace detail {

bool read_plain_put_body(std::string_view text, put_body& out) noexcept {
  members found;
  if (!read_plainly(text, body_of::put, found)) return false;
  out = to_body(found);
  return true;
}

refusal read_any_put_body(std::string_view text, body_scratch& scratch, put_body& out) {
  members found;
  const refusal why = read_carefully(text, body_of::put, scratch, found);
  if (!why) out = to_body(found);
  return why;
}

} // namespace detail
} // namespace kvcache::http
