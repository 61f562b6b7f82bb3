// GET, PUT, DELETE and POST /kv/{key}: values of any bytes, with conditional requests by RFC 9110.
//
// A condition is evaluated and the request applied under one lock of the entry's bucket. Long work
// is done outside it: a value's tag is stored with it if it is long, and a long value is pinned,
// not copied.
#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "api/body_upload.hpp"
#include "api/counter.hpp"
#include "api/exchange.hpp"
#include "api/kv_request.hpp"
#include "api/value_format.hpp"
#include "http/utf8.hpp"
#include "http/value_response.hpp"

namespace kvcache::http {

namespace {

// A longer value is sent from where it is stored.
constexpr std::size_t copied_bytes_most = std::size_t{64} << 10;

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
  if (const refusal why = read_kv_request(x, asked)) return refuse(x, why);
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
  if (response.precondition_failed()) return refuse(x, {fault::precondition_failed});
  return context.large_value ? handled::followed : handled::go_on;
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
  if (const refusal why = read_kv_put(x, asked)) return refuse(x, why);
  body_upload* const upload = context.upload;
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
  if (const refusal why = read_kv_put(x, asked)) {
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
  const std::size_t bytes =
      std::max(most_bytes + value_format::most_suffix_bytes, value_upload::least_bytes);
  if (value_upload to = shared.store.begin_upload(asked.key, bytes))
    return std::make_unique<body_upload>(std::move(to), shared.tags);
  refuse_put(x, put_outcome::no_room);
  return nullptr;
}

// ---- DELETE ---------------------------------------------------------------------------

handled erase(exchange& x) {
  handler_context& context = x.context;
  kv_request asked;
  if (const refusal why = read_kv_delete(x, asked)) return refuse(x, why);
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

// Of a method that takes no body. A body has not arrived yet, so its length decides: of this head,
// since a request that waits for "100 Continue" has been parsed.
template <refusal (*Read)(exchange&, kv_request&), fault SurplusBody>
bool refuses_head(exchange& x) {
  kv_request asked;
  refusal why = Read(x, asked);
  const std::string_view length = x.asked[known_field::content_length];
  if (!why && length.find_first_not_of('0') != std::string_view::npos) why = {SurplusBody};
  if (!why) return false;
  refuse(x, why);
  return true;
}

// ---- POST -----------------------------------------------------------------------------

void show_counter(exchange& x, std::string_view key, const incremented& done) {
  std::string fields{"ETag: "};
  fields.append(tag_text{done.tag}.view()).append("\r\n");
  const std::string value = std::to_string(done.value);
  const json_envelope envelope{{key, false}};
  std::string body(envelope.frame_bytes() + value.size(), '\0');
  envelope.write(body.data(), value, value.size());
  x.context.writer.reply(x.out, 200, json_content_type, body, x.how, fields);
}

handled increment_value(exchange& x, const kv_request& asked, precondition when) {
  const shared_state& shared = x.context.shared;
  const incremented done = add_to_counter(shared.store, asked.key, asked.counter,
                                          expiry(x, asked.ttl), when, &shared.tags);
  if (done.why != fault::none) return refuse(x, {done.why});
  show_counter(x, asked.key, done);
  return handled::go_on;
}

handled touch(exchange& x, const kv_request& asked, precondition when) {
  constexpr std::string_view done = R"({"status":"OK","message":"Expiry changed."})";
  const fault why =
      fault_of(x.context.shared.store.touch_if(asked.key, expiry(x, asked.ttl), when));
  if (why != fault::none) return refuse(x, {why});
  x.context.writer.reply(x.out, 200, json_content_type, done, x.how, {});
  return handled::go_on;
}

handled operate(exchange& x) {
  kv_request asked;
  if (const refusal why = read_kv_post(x, asked)) return refuse(x, why);
  const auto when = [&](const entry_view* present) {
    return permits(x, asked.conditions, present);
  };
  ++x.context.batch_others;
  return asked.op == kv_operation::incr ? increment_value(x, asked, when) : touch(x, asked, when);
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
     .refuses_head = refuses_head<read_kv_delete, fault::body_in_delete>},
    {.path = "/kv/{key}",
     .verb = method::post,
     .operation = {"kv_post", observe::store_access::update},
     .needs = permission::write,
     .handle = operate,
     .refuses_head = refuses_head<read_kv_post, fault::body_in_operation>},
};

} // namespace

extern constinit const endpoint_group kv_endpoints{endpoints};

} // namespace kvcache::http
