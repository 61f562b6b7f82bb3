// The careful reader of batch bodies.
#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <utility>

#include "api/batch_body.hpp"
#include "api/json_reading.hpp"

namespace kvcache::http::detail {
namespace {

// Receives the events of nlohmann's SAX parser, which neither recurses nor builds a document. Stops
// at the first fault.
class batch_collector final : public nlohmann::json_sax<nlohmann::json> {
public:
  batch_collector(const http_limits& limits, batch_body& out) noexcept
      : most_ops_(limits.max_batch_ops), out_(out) {}

  const refusal& why() const noexcept { return why_; }
  bool has_ops() const noexcept { return has_ops_; }
  bool met_unbounded_number() const noexcept { return met_unbounded_number_; }

  bool null() override { return other_value(); }
  bool boolean(bool) override { return other_value(); }
  bool binary(binary_t&) override { return other_value(); } // never happens in JSON text
  bool number_integer(number_integer_t number) override {
    return in_operation() ? take_number(number) : other_value();
  }
  bool number_unsigned(number_unsigned_t number) override {
    if (!in_operation()) return other_value();
    if (std::in_range<std::int64_t>(number)) return take_number(static_cast<std::int64_t>(number));
    return refuse_member(wrong_type());
  }
  // Includes whole numbers written with a fraction or an exponent, or with too many digits.
  bool number_float(number_float_t, const string_t& text) override {
    if (!in_operation()) return other_value();
    const std::optional<std::int64_t> number = whole_number(text);
    return number ? take_number(*number) : refuse_member(wrong_type());
  }

  bool string(string_t& text) override {
    if (!in_operation()) return other_value();
    batch_operation& op = written_.read;
    switch (member_) {
    case batch_member::op:
      return read_op_name(text, op.op) || refuse_member(fault::unknown_op);
    case batch_member::if_state:
      return read_condition_name(text, op.if_state) || refuse_member(fault::bad_write_condition);
    case batch_member::key:
      op.key = keep(text);
      return true;
    case batch_member::value_base64:
      op.is_base64 = true;
      [[fallthrough]];
    case batch_member::value:
      op.value = keep(text);
      return true;
    case batch_member::if_value:
      op.if_value = keep(text);
      return true;
    case batch_member::ttl:
    case batch_member::by:
    case batch_member::initial:
      break;
    }
    return refuse_member(wrong_type());
  }

  bool start_object(std::size_t) override {
    if (depth_ == in_ops && is_in_ops_) {
      if (out_.ops.size() == most_ops_) return refuse({fault::too_many_operations});
      written_ = {};
      return enter();
    }
    return depth_ == 0 ? enter() : other_value() && enter();
  }
  bool end_object() override {
    if (depth_ == in_an_operation && is_in_ops_) {
      const member_fault found = check_members(written_);
      if (found.code != fault::none) return refuse_at(found.code, name_of(found.member));
      out_.ops.push_back(written_.read);
    }
    return leave();
  }

  bool start_array(std::size_t) override {
    if (depth_ == in_body && is_ops_next_) {
      is_in_ops_ = true;
      is_ops_next_ = false;
      return enter();
    }
    return other_value() && enter();
  }
  bool end_array() override {
    if (depth_ == in_ops) is_in_ops_ = false;
    return leave();
  }

  bool key(string_t& name) override {
    if (depth_ == in_body) {
      is_ops_next_ = name == "ops";
      if (!is_ops_next_) return true;
      if (has_ops_) return refuse({fault::repeated_ops_member});
      has_ops_ = true;
      return true;
    }
    if (!in_operation()) return true;
    const std::optional<batch_member> member = batch_member_named(name);
    if (!member) return refuse_at(fault::unknown_member, shortened(name));
    member_ = *member;
    return written_.add(member_) || refuse_member(fault::repeated_member);
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    constexpr int out_of_range = 406; // nlohmann's number for a number no double can hold
    met_unbounded_number_ = error.id == out_of_range;
    return refuse({fault::invalid_json, position});
  }

private:
  // Depths: what a value at this depth is in.
  static constexpr std::size_t in_body = 1;
  static constexpr std::size_t in_ops = 2;
  static constexpr std::size_t in_an_operation = 3;

  bool in_operation() const noexcept { return is_in_ops_ && depth_ == in_an_operation; }

  bool take_number(std::int64_t number) {
    batch_operation& op = written_.read;
    switch (member_) {
    case batch_member::ttl:
      if (number < 1 || number > max_ttl_s) break;
      op.ttl = std::chrono::seconds{number};
      return true;
    case batch_member::by:
      op.by = number;
      return true;
    case batch_member::initial:
      op.initial = number;
      return true;
    default:
      break;
    }
    return refuse_member(wrong_type());
  }

  // A value of a type that nothing here has.
  bool other_value() {
    if (depth_ == 0) return refuse({fault::not_an_object});
    if (depth_ == in_body && is_ops_next_) return refuse({fault::ops_not_an_array});
    if (depth_ == in_ops && is_in_ops_) return refuse_at(fault::operation_not_an_object, {});
    if (in_operation()) return refuse_member(wrong_type());
    return true;
  }

  fault wrong_type() const noexcept {
    switch (member_) {
    case batch_member::ttl:
      return fault::bad_ttl;
    case batch_member::by:
    case batch_member::initial:
      return fault::not_an_integer;
    default:
      return fault::not_a_string;
    }
  }

  static std::string_view shortened(std::string_view name) noexcept {
    constexpr std::size_t most_bytes = 64;
    return name.substr(0, most_bytes);
  }

  bool refuse(const refusal& why) noexcept {
    why_ = why;
    return false;
  }
  bool refuse_at(fault code, std::string_view member) {
    describe_place(out_.ops.size(), member, out_.place);
    return refuse({code, refusal::nowhere, out_.place});
  }
  bool refuse_member(fault code) { return refuse_at(code, name_of(member_)); }

  // Never moves what is there: read_any_batch_body() has reserved as much as the text is long.
  std::string_view keep(std::string_view text) {
    const std::size_t at = out_.decoded.size();
    out_.decoded.append(text);
    return std::string_view{out_.decoded}.substr(at);
  }

  bool enter() noexcept {
    ++depth_;
    return true;
  }
  bool leave() noexcept {
    --depth_;
    return true;
  }

  const std::size_t most_ops_;
  batch_body& out_;
  written_operation written_;
  refusal why_;
  std::size_t depth_ = 0;
  batch_member member_ = batch_member::op;
  bool has_ops_ = false;
  bool is_ops_next_ = false;
  bool is_in_ops_ = false;
  bool met_unbounded_number_ = false;
};

// `unbounded`: whether it stopped at a number that no double can hold.
refusal collect(std::string_view text, const http_limits& limits, batch_body& out,
                bool& unbounded) {
  out.ops.clear();
  out.decoded.clear();
  batch_collector collector(limits, out);
  nlohmann::json::sax_parse(text.data(), text.data() + text.size(), &collector);
  unbounded = collector.met_unbounded_number();
  if (!collector.why() && !collector.has_ops()) return {fault::missing_ops_member};
  return collector.why();
}

} // namespace

refusal read_any_batch_body(std::string_view text, const http_limits& limits, batch_body& out) {
  if (const refusal why = refuse_unreadable(text)) return why;
  out.decoded.reserve(2 * text.size()); // with what base64 stands for
  bool unbounded = false;
  const refusal why = collect(text, limits, out, unbounded);
  return unbounded ? collect(without_unbounded_numbers(text), limits, out, unbounded) : why;
}

} // namespace kvcache::http::detail
