// GET, PUT and DELETE /kv/{key}: values of any bytes, with conditional requests by RFC 9110.
//
// A condition is evaluated and the request applied under one lock of the entry's bucket. Long work
// is done outside it: a value's tag is stored with it if it is long, and a long value is pinned,
// not copied.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "api/body_upload.hpp"
#include "api/exchange.hpp"
#include "api/value_format.hpp"
#include "http/ascii.hpp"
#include "http/media_type.hpp"
#include "http/percent.hpp"
#include "http/precondition.hpp"
#include "http/target.hpp"
#include "http/utf8.hpp"
#include "http/value_response.hpp"

namespace kvcache::http {

namespace {

// A longer value is sent from where it is stored.
constexpr std::size_t copied_bytes_most = std::size_t{64} << 10;

struct kv_request {
  std::string_view key;
  std::string_view type; // of the new value; empty: none
  std::optional<std::chrono::seconds> ttl;
  std::optional<preconditions> conditions; // none: mostly
};

// ---- reading the head -----------------------------------------------------------------

refusal read_ttl(std::string_view text, std::optional<std::chrono::seconds>& ttl) noexcept {
  if (ttl) return {fault::repeated_ttl_parameter};
  std::uint32_t seconds = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, seconds);
  if (error != std::errc{} || stop != end || seconds < 1 || seconds > max_ttl_s)
    return {fault::bad_ttl_parameter};
  ttl = std::chrono::seconds{seconds};
  return {};
}

// Decodes what HTML forms encode; the name and the value of the only known parameter need none, but
// may have it.
refusal read_parameters(exchange& x, kv_request& out) {
  std::string_view query = x.asked.query.text;
  std::string& scratch = x.context.body.value;
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), parameter.size() + 1));
    if (parameter.empty()) continue;
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    const std::string_view name = parameter.substr(0, equals);
    scratch.clear();
    if (x.asked.verb != method::put || !append_decoded(name, plus_sign::space, scratch) ||
        scratch != "ttl")
      return {fault::unknown_parameter, refusal::nowhere, name};
    scratch.clear();
    if (equals != parameter.size() &&
        !append_decoded(parameter.substr(equals + 1), plus_sign::space, scratch))
      return {fault::bad_ttl_parameter};
    if (const refusal why = read_ttl(scratch, out.ttl)) return why;
  }
  return {};
}

// What all methods have in common.
refusal read_request(exchange& x, kv_request& out) {
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

refusal read_put(exchange& x, kv_request& out) {
  // What curl says of any body.
  constexpr std::string_view no_type = "application/x-www-form-urlencoded";
  if (const refusal why = read_request(x, out)) return why;
  if (x.asked[known_field::content_range].data() != nullptr) return {fault::partial_value};
  const std::string_view type = x.asked[known_field::content_type];
  if (type.data() == nullptr || has_essence(type, no_type)) return {};
  if (type.size() > content_type_bytes_most || !is_media_type(type))
    return {fault::bad_content_type};
  out.type = type;
  return {};
}

refusal read_delete(exchange& x, kv_request& out) {
  if (const refusal why = read_request(x, out)) return why;
  const std::string_view length = x.asked[known_field::content_length];
  if (!x.asked.body.empty() || length.find_first_not_of('0') != std::string_view::npos)
    return {fault::body_in_delete};
  return {};
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

// ---- GET ------------------------------------------------------------------------------

using detail::put;

char* put_number(char* to, std::uint64_t number) noexcept {
  constexpr std::size_t most_digits = 20;
  return std::to_chars(to, to + most_digits, number).ptr;
}

// Written in steps, as value_response is: entry() runs under a lock of the store.
class kv_response {
public:
  kv_response(exchange& x, const std::optional<preconditions>& conditions)
      : x_(x), conditions_(conditions) {
    reserve(usual_value_bytes);
  }
  kv_response(const kv_response&) = delete;
  kv_response& operator=(const kv_response&) = delete;

  void entry(const entry_view& entry) noexcept {
    const condition_outcome outcome =
        conditions_ ? evaluate(x_, *conditions_, &entry) : condition_outcome::met;
    if (outcome == condition_outcome::failed) {
      failed_ = true;
      return;
    }
    const stored_value value = read_stored(entry.value(), entry.mark());
    if (outcome == condition_outcome::not_modified) {
      x_.status_slot = not_modified_slot;
      char* const to = put_tag_and_ttl(put_start(prepared::kv_unchanged), value, entry);
      x_.out.commit(put(to, end_of_line));
      return;
    }
    const bool sends = x_.how.body == body_part::send;
    const bool pins = sends && value.bytes.size() > copied_bytes_most;
    if (sends && !pins && value.bytes.size() > room_for_value_) {
      lacking_bytes_ = value.bytes.size();
      return;
    }
    char* to = put_tag_and_ttl(put_start(prepared::kv_value), value, entry);
    to = put(put(to, "Content-Type: "), value.info.type);
    to = put_number(put(to, "\r\nContent-Length: "), value.bytes.size());
    to = put(to, "\r\n\r\n");
    if (pins)
      x_.context.large_value = {entry.pin(), value.bytes};
    else if (sends && !value.bytes.empty())
      to = put(to, value.bytes);
    x_.out.commit(to);
  }

  // After entry(). True: the value is longer than the reserved space; enough is reserved now, read
  // the store again.
  bool reserve_more() {
    if (lacking_bytes_ == 0) return false;
    reserve(std::exchange(lacking_bytes_, 0));
    return true;
  }

  bool precondition_failed() const noexcept { return failed_; }

private:
  static constexpr std::size_t usual_value_bytes = 1024;
  static constexpr std::size_t most_head_bytes = 640; // with the longest type
  static constexpr std::string_view end_of_line = "\r\n";

  void reserve(std::size_t value_bytes) {
    start_ = x_.out.prepare(most_head_bytes + value_bytes);
    room_for_value_ = x_.out.room() - most_head_bytes;
  }

  char* put_start(prepared which) const noexcept {
    return put(start_, x_.context.writer.prepared_heads().get(which, x_.how.connection).whole);
  }

  char* put_tag_and_ttl(char* to, const stored_value& value, const entry_view& entry) const {
    to = put(put(to, tag_text{tag_of(x_, value)}.view()), end_of_line);
    if (entry.expires_at() == never) return to;
    return put(put_number(put(to, "KV-TTL: "), seconds_left(x_, entry.expires_at())), end_of_line);
  }

  exchange& x_;
  const std::optional<preconditions>& conditions_;
  char* start_ = nullptr; // behind the end of the output
  std::size_t room_for_value_ = 0;
  std::size_t lacking_bytes_ = 0;
  bool failed_ = false;
};

handled get(exchange& x) {
  handler_context& context = x.context;
  kv_request asked;
  if (const refusal why = read_request(x, asked)) return refuse(x, why);
  kv_response response{x, asked.conditions};
  bool found = false;
  do {
    found = context.shared.store.read(
        asked.key, [&response](const entry_view& entry) { response.entry(entry); });
  } while (found && response.reserve_more());
  ++context.batch_gets;
  if (!found) {
    context.writer.copy(x.out, prepared::not_found, x.how);
    x.status_slot = not_found_slot;
  }
  return response.precondition_failed() ? refuse(x, {fault::precondition_failed}) : handled::go_on;
}

// ---- PUT ------------------------------------------------------------------------------

void show_stored(exchange& x, prepared which, std::uint64_t tag) {
  const std::string_view head =
      x.context.writer.prepared_heads().get(which, x.how.connection).whole;
  constexpr std::string_view end = "\r\n\r\n";
  const tag_text text{tag};
  char* to = x.out.prepare(head.size() + text.view().size() + end.size());
  to = put(put(put(to, head), text.view()), end);
  x.out.commit(to);
}

handled refuse_put(exchange& x, put_outcome outcome) {
  x.context.counters.add(observe::event_of(outcome));
  return refuse(x, {fault_of(outcome)});
}

handled put_value(exchange& x) {
  handler_context& context = x.context;
  const shared_state& shared = context.shared;
  kv_request asked;
  if (const refusal why = read_put(x, asked)) return refuse(x, why);
  body_upload* const upload = x.upload;
  const std::string_view bytes = upload != nullptr ? upload->value().written() : x.asked.body;
  const std::string_view shown_type = asked.type.empty() ? unknown_type : asked.type;
  const bool is_utf8 = upload != nullptr ? upload->is_utf8() : utf8::is_valid(bytes);
  const std::uint64_t tag =
      upload != nullptr ? upload->tag(shown_type) : shared.tags.tag_of(shown_type, bytes);
  const value_format format{bytes.size(), asked.type, is_utf8, tag};
  const tick expires_at = expiry(x, asked.ttl);
  const auto when = [&](const entry_view* present) {
    return permits(x, asked.conditions, present);
  };
  const put_outcome outcome =
      upload != nullptr ? upload->value().finish(format.suffix(), format.mark(), expires_at, when)
                        : shared.store.put_if(asked.key, {bytes, format.suffix(), format.mark()},
                                              expires_at, when);
  ++context.batch_puts;
  if (fault_of(outcome) != fault::none) return refuse_put(x, outcome);
  const bool created = outcome == put_outcome::inserted;
  x.status_slot = created ? created_slot : no_content_slot;
  show_stored(x, created ? prepared::kv_created : prepared::kv_replaced, tag);
  return handled::go_on;
}

// True: a refusal has been written.
bool refuse_put_by_head(exchange& x, kv_request& asked) {
  if (const refusal why = read_put(x, asked)) {
    refuse(x, why);
    return true;
  }
  if (permits_now(x, asked)) return false;
  refuse_put(x, put_outcome::precondition_failed);
  return true;
}

bool refuses_put_head(exchange& x) {
  kv_request asked;
  return refuse_put_by_head(x, asked);
}

std::unique_ptr<body_upload> begin_upload(exchange& x, std::size_t most_bytes) {
  const shared_state& shared = x.context.shared;
  kv_request asked;
  if (refuse_put_by_head(x, asked)) return nullptr;
  const bool expires = asked.ttl.has_value() || shared.options.default_ttl_s != 0;
  const std::size_t bytes =
      std::max(most_bytes + value_format::most_suffix_bytes, value_upload::least_bytes);
  if (value_upload to = shared.store.begin_upload(asked.key, bytes, expires))
    return std::make_unique<body_upload>(std::move(to), shared.tags);
  refuse_put(x, put_outcome::no_room);
  return nullptr;
}

// ---- DELETE ---------------------------------------------------------------------------

handled erase(exchange& x) {
  handler_context& context = x.context;
  kv_request asked;
  if (const refusal why = read_delete(x, asked)) return refuse(x, why);
  const erase_outcome outcome = context.shared.store.erase_if(
      asked.key, [&](const entry_view* present) { return permits(x, asked.conditions, present); });
  switch (outcome) {
  case erase_outcome::erased:
    context.writer.copy(x.out, prepared::kv_deleted, x.how);
    x.status_slot = no_content_slot;
    break;
  case erase_outcome::absent:
    context.writer.copy(x.out, prepared::not_found, x.how);
    x.status_slot = not_found_slot;
    break;
  case erase_outcome::refused:
    return refuse(x, {fault::precondition_failed});
  }
  return handled::go_on;
}

bool refuses_delete_head(exchange& x) {
  kv_request asked;
  const refusal why = read_delete(x, asked);
  if (!why) return false;
  refuse(x, why);
  return true;
}

constexpr endpoint endpoints[] = {
    {.path = "/kv/{key}",
     .verb = method::get,
     .operation = {"kv_get", observe::store_access::get},
     .needs = permission::read,
     .handle = get},
    {.path = "/kv/{key}",
     .verb = method::put,
     .operation = {"kv_put", observe::store_access::put},
     .needs = permission::write,
     .body = body_use::required,
     .handle = put_value,
     .refuses_head = refuses_put_head,
     .begin_upload = begin_upload},
    {.path = "/kv/{key}",
     .verb = method::del,
     .operation = {"kv_delete", observe::store_access::erase},
     .needs = permission::write,
     .handle = erase,
     .refuses_head = refuses_delete_head},
};

} // namespace

extern constinit const endpoint_group kv_endpoints{endpoints};

} // namespace kvcache::http
