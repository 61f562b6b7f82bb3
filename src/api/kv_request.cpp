#include "api/kv_request.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>

#include "http/ascii.hpp"
#include "http/media_type.hpp"
#include "http/percent.hpp"
#include "http/target.hpp"

namespace kvcache::http {
namespace {

// ---- the query ------------------------------------------------------------------------

template <class Number>
bool read_number(std::string_view text, Number& out) noexcept {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  return error == std::errc{} && stop == end;
}

fault read_ttl(std::string_view text, kv_request& out) noexcept {
  if (out.ttl) return fault::repeated_ttl_parameter;
  std::uint32_t seconds = 0;
  if (!read_number(text, seconds) || seconds < 1 || seconds > max_ttl_s)
    return fault::bad_ttl_parameter;
  out.ttl = std::chrono::seconds{seconds};
  return fault::none;
}

fault read_op(std::string_view text, kv_request& out) noexcept {
  if (out.op) return fault::repeated_op_parameter;
  if (text != "incr" && text != "touch") return fault::bad_op_parameter;
  out.op = text == "incr" ? kv_operation::incr : kv_operation::touch;
  return fault::none;
}

fault read_by(std::string_view text, kv_request& out) noexcept {
  if (out.has_by) return fault::repeated_by_parameter;
  out.has_by = true;
  return read_number(text, out.counter.by) ? fault::none : fault::bad_by_parameter;
}

fault read_initial(std::string_view text, kv_request& out) noexcept {
  if (out.counter.initial) return fault::repeated_initial_parameter;
  return read_number(text, out.counter.initial.emplace()) ? fault::none
                                                          : fault::bad_initial_parameter;
}

struct parameter {
  std::string_view name;
  method verb; // that takes it
  fault (*read)(std::string_view text, kv_request& out) noexcept;
  fault malformed;
};
constexpr std::array<parameter, 5> parameters{
    {{"ttl", method::put, read_ttl, fault::bad_ttl_parameter},
     {"ttl", method::post, read_ttl, fault::bad_ttl_parameter},
     {"op", method::post, read_op, fault::bad_op_parameter},
     {"by", method::post, read_by, fault::bad_by_parameter},
     {"initial", method::post, read_initial, fault::bad_initial_parameter}}};

// Decodes what HTML forms encode; the names and values of the known parameters need none, but may
// have it.
refusal read_parameters(exchange& x, kv_request& out) {
  std::string_view query = x.asked.query.text;
  std::string& scratch = x.context.body.value;
  while (!query.empty()) {
    const std::string_view each = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), each.size() + 1));
    if (each.empty()) continue;
    const std::size_t equals = std::min(each.find('='), each.size());
    const std::string_view name = each.substr(0, equals);
    scratch.clear();
    const bool is_decoded = append_decoded(name, plus_sign::space, scratch);
    const auto* const found = std::ranges::find_if(parameters, [&](const parameter& known) {
      return known.verb == x.asked.verb && known.name == scratch;
    });
    if (!is_decoded || found == parameters.end())
      return {fault::unknown_parameter, refusal::nowhere, name};
    scratch.clear();
    if (equals != each.size() &&
        !append_decoded(each.substr(equals + 1), plus_sign::space, scratch))
      return {found->malformed};
    if (const fault why = found->read(scratch, out); why != fault::none) return {why};
  }
  return {};
}

} // namespace

// ---- the head -------------------------------------------------------------------------

// What all methods have in common.
refusal read_kv_request(exchange& x, kv_request& out) {
  if (const refusal why = find_path_key(x.path_variable(), x.context.shared.options.limits,
                                        x.context.query, out.key))
    return why;
  if (const refusal why = read_parameters(x, out)) return why;
  if (x.asked[known_field::if_match].data() == nullptr &&
      x.asked[known_field::if_none_match].data() == nullptr)
    return {};
  out.conditions.emplace(x.asked.field_lines);
  if (!out.conditions->is_well_formed()) return {fault::bad_condition};
  return {};
}

refusal read_kv_put(exchange& x, kv_request& out) {
  // What curl says of any body.
  constexpr std::string_view no_type = "application/x-www-form-urlencoded";
  if (const refusal why = read_kv_request(x, out)) return why;
  if (x.asked[known_field::content_range].data() != nullptr) return {fault::partial_value};
  const std::string_view type = x.asked[known_field::content_type];
  if (type.data() == nullptr || has_essence(type, no_type)) return {};
  if (type.size() > content_type_bytes_most || !is_media_type(type))
    return {fault::bad_content_type};
  out.type = type;
  return {};
}

refusal read_kv_delete(exchange& x, kv_request& out) {
  if (const refusal why = read_kv_request(x, out)) return why;
  return x.asked.body.empty() ? refusal{} : refusal{fault::body_in_delete};
}

refusal read_kv_post(exchange& x, kv_request& out) {
  if (const refusal why = read_kv_request(x, out)) return why;
  if (!out.op) return {fault::bad_op_parameter};
  if (out.op == kv_operation::touch && out.has_by)
    return {fault::unknown_parameter, refusal::nowhere, "by"};
  if (out.op == kv_operation::touch && out.counter.initial)
    return {fault::unknown_parameter, refusal::nowhere, "initial"};
  return x.asked.body.empty() ? refusal{} : refusal{fault::body_in_operation};
}

// ---- conditions -----------------------------------------------------------------------

std::uint64_t tag_of(const exchange& x, const stored_value& value) noexcept {
  if (value.info.tag) return *value.info.tag;
  return x.context.shared.tags.tag_of(value.info.type, value.bytes);
}

condition_outcome evaluate(const exchange& x, const preconditions& conditions,
                           const entry_view* present) noexcept {
  const bool reads = x.asked.verb == method::get || x.asked.verb == method::head;
  if (present == nullptr) return conditions.evaluate(reads, std::nullopt);
  if (!conditions.needs_tag()) return conditions.evaluate(reads, std::string_view{});
  const tag_text tag{tag_of(x, read_stored(present->value(), present->mark()))};
  return conditions.evaluate(reads, tag.view());
}

bool permits(const exchange& x, const std::optional<preconditions>& conditions,
             const entry_view* present) noexcept {
  return !conditions || evaluate(x, *conditions, present) == condition_outcome::met;
}

// As the entry is now: when the request is applied, it is asked again.
bool permits_now(const exchange& x, const kv_request& asked) noexcept {
  if (!asked.conditions) return true;
  bool permitted = false;
  const bool found = x.context.shared.store.inspect(asked.key, [&](const entry_view& present) {
    permitted = permits(x, asked.conditions, &present);
  });
  return found ? permitted : permits(x, asked.conditions, nullptr);
}

} // namespace kvcache::http
