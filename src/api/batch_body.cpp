#include "api/batch_body.hpp"

#include <array>
#include <charconv>
#include <utility>

#include "api/json_cursor.hpp"
#include "http/base64.hpp"
#include "http/utf8.hpp"
#include "metrics/operation.hpp"

namespace kvcache::http {

namespace detail {
namespace {

constexpr std::array<std::string_view, batch_member_count> member_names{
    "op", "key", "value", "value_base64", "ttl", "if", "if_value", "by", "initial"};

constexpr std::uint16_t bits_of(std::initializer_list<batch_member> members) noexcept {
  unsigned bits = 0;
  for (const batch_member member : members) bits |= 1U << static_cast<unsigned>(member);
  return static_cast<std::uint16_t>(bits);
}

// What each kind of operation takes beside op and key.
constexpr std::array<std::uint16_t, batch_op_count> members_taken{
    bits_of({}),
    bits_of({batch_member::value, batch_member::value_base64, batch_member::ttl,
             batch_member::if_state, batch_member::if_value}),
    bits_of({batch_member::if_value}),
    bits_of({batch_member::by, batch_member::initial, batch_member::ttl}),
    bits_of({batch_member::ttl}),
};
constexpr std::uint16_t members_always = bits_of({batch_member::op, batch_member::key});

constexpr auto& op_names = observe::batch_operation_names;

// The ordinary shape: {"ops":[…]}, the operations' members in any order.
class plain_batch_reader : public json_cursor {
public:
  plain_batch_reader(std::string_view text, std::size_t most_ops) noexcept
      : json_cursor(text), most_ops_(most_ops) {}

  bool read(std::vector<batch_operation>& ops) {
    std::string_view name;
    if (!take('{') || !read_string(name) || name != "ops" || !take(':') || !take('[')) return false;
    if (!take(']')) {
      do {
        if (ops.size() == most_ops_ || !read_operation(ops.emplace_back())) return false;
      } while (take(','));
      if (!take(']')) return false;
    }
    return take('}') && is_at_end();
  }

private:
  bool read_operation(batch_operation& out) noexcept {
    written_operation written;
    if (!take('{')) return false;
    do {
      std::string_view name;
      if (!read_string(name) || !take(':')) return false;
      const std::optional<batch_member> member = batch_member_named(name);
      if (!member || !written.add(*member) || !read_member(*member, written.read)) return false;
    } while (take(','));
    if (!take('}') || check_members(written).code != fault::none) return false;
    out = written.read;
    return true;
  }

  bool read_member(batch_member member, batch_operation& out) noexcept {
    std::string_view text;
    switch (member) {
    case batch_member::op:
      return read_string(text) && read_op_name(text, out.op);
    case batch_member::key:
      return read_string(out.key);
    case batch_member::value_base64:
      out.is_base64 = true;
      [[fallthrough]];
    case batch_member::value:
      return read_string(out.value);
    case batch_member::ttl:
      return read_ttl(out.ttl);
    case batch_member::if_state:
      return read_string(text) && read_condition_name(text, out.if_state);
    case batch_member::if_value:
      return read_string(out.if_value.emplace());
    case batch_member::by:
      return read_whole(out.by);
    case batch_member::initial:
      return read_whole(out.initial.emplace());
    }
    return false;
  }

  const std::size_t most_ops_;
};

} // namespace

std::optional<batch_member> batch_member_named(std::string_view name) noexcept {
  for (std::size_t i = 0; i < member_names.size(); ++i)
    if (name == member_names[i]) return static_cast<batch_member>(i);
  return std::nullopt;
}

std::string_view name_of(batch_member member) noexcept {
  return member_names[static_cast<std::size_t>(member)];
}

bool read_op_name(std::string_view name, batch_op& op) noexcept {
  for (std::size_t i = 0; i < op_names.size(); ++i) {
    if (name != op_names[i]) continue;
    op = static_cast<batch_op>(i);
    return true;
  }
  return false;
}

bool read_condition_name(std::string_view name, write_condition& condition) noexcept {
  if (name != "absent" && name != "present") return false;
  condition = name == "absent" ? write_condition::absent : write_condition::present;
  return true;
}

member_fault check_members(const written_operation& written) noexcept {
  const auto has = [&](batch_member member) { return written.has(member); };
  for (const batch_member needed : {batch_member::op, batch_member::key})
    if (!has(needed)) return {fault::missing_member, needed};
  const auto taken = members_taken[static_cast<std::size_t>(written.read.op)] | members_always;
  const unsigned surplus = written.members & ~static_cast<unsigned>(taken);
  for (unsigned i = 0; surplus != 0 && i < batch_member_count; ++i)
    if ((surplus >> i & 1U) != 0) return {fault::surplus_member, static_cast<batch_member>(i)};
  if (written.read.op != batch_op::put) return {};
  if (!has(batch_member::value) && !has(batch_member::value_base64))
    return {fault::missing_member, batch_member::value};
  if (has(batch_member::value) && has(batch_member::value_base64))
    return {fault::two_values, batch_member::value_base64};
  if (has(batch_member::if_state) && has(batch_member::if_value))
    return {fault::two_conditions, batch_member::if_value};
  return {};
}

void describe_place(std::size_t index, std::string_view member, std::string& out) {
  out.assign("ops[").append(std::to_string(index)).append("]");
  if (!member.empty()) out.append(".").append(member);
}

bool read_plain_batch_body(std::string_view text, const http_limits& limits, batch_body& out) {
  out.ops.clear();
  return plain_batch_reader(text, limits.max_batch_ops).read(out.ops);
}

} // namespace detail

namespace {

using detail::batch_member;

// Decodes the value; false if it is no base64.
bool decode_value(std::size_t text_bytes, batch_operation& op, std::string& decoded) {
  const std::optional<std::size_t> bytes = base64::decoded_size(op.value);
  if (!bytes) return false;
  // So much at once that it never moves: views point into it.
  if (decoded.capacity() < 2 * text_bytes) decoded.reserve(2 * text_bytes);
  const std::size_t at = decoded.size();
  decoded.resize(at + *bytes);
  if (base64::decode(decoded.data() + at, op.value) == nullptr) return false;
  op.value = {decoded.data() + at, *bytes};
  return true;
}

detail::member_fault check_values(std::size_t text_bytes, const http_limits& limits,
                                  batch_operation& op, std::string& decoded) {
  if (op.key.empty()) return {fault::empty_key, batch_member::key};
  if (utf8::longer_than(op.key, limits.max_key_chars))
    return {fault::key_or_value_too_long, batch_member::key};
  if (op.if_value && utf8::longer_than(*op.if_value, limits.max_value_chars))
    return {fault::key_or_value_too_long, batch_member::if_value};
  if (!op.is_base64) {
    if (utf8::longer_than(op.value, limits.max_value_chars))
      return {fault::key_or_value_too_long, batch_member::value};
    return {};
  }
  if (!decode_value(text_bytes, op, decoded))
    return {fault::bad_base64, batch_member::value_base64};
  if (op.value.size() > limits.max_value_bytes)
    return {fault::base64_value_too_long, batch_member::value_base64};
  return {};
}

} // namespace

refusal parse_batch_body(std::string_view text, const http_limits& limits, batch_body& out) {
  out.decoded.clear();
  if (!detail::read_plain_batch_body(text, limits, out)) {
    if (const refusal why = detail::read_any_batch_body(text, limits, out)) return why;
  }
  for (std::size_t i = 0; i < out.ops.size(); ++i) {
    const detail::member_fault found = check_values(text.size(), limits, out.ops[i], out.decoded);
    if (found.code == fault::none) continue;
    detail::describe_place(i, detail::name_of(found.member), out.place);
    return {found.code, refusal::nowhere, out.place};
  }
  return {};
}

} // namespace kvcache::http
