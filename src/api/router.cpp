#include "api/router.hpp"

#include "api/request_guard.hpp"

namespace kvcache::http {

namespace {

handled show_options(exchange& x, const route& counted_as, std::string_view allow) {
  x.to = &counted_as;
  x.context.writer.head_only(x.out, 204, x.how, allow);
  x.status_slot = no_content_slot;
  return handled::go_on;
}

// fault::none if the request may go on to the handler.
fault check_access(exchange& x, const endpoint& to) noexcept {
  const shared_state& shared = x.context.shared;
  if (to.needs == permission::none) return fault::none;
  if (!is_allowed_host(x.asked.host, shared.options.allowed_hosts)) return fault::host_not_allowed;
  if ((to.needs == permission::write || to.changes_entries) && is_cross_origin(x.asked))
    return fault::cross_origin;
  if (!x.context.tokens.asks_for_tokens()) return fault::none;
  const permission granted = x.context.tokens.check(x.asked[known_field::authorization]);
  if (granted == permission::none) return fault::unauthorized;
  return granted < to.needs ? fault::read_only_token : fault::none;
}

fault check_body(const request& asked, body_use taken) noexcept {
  if (taken == body_use::ignored) return fault::none;
  if (asked.framing != body_framing::none)
    return asked.is_coded ? fault::unsupported_content_coding : fault::none;
  return taken == body_use::required ? fault::length_required : fault::none;
}

// The decision that the head alone allows.
struct verdict {
  fault why = fault::none;
  const resource* at = nullptr; // null for unknown_path only
};

// Sets the route that the request is answered and counted by.
verdict judge(exchange& x) noexcept {
  const resource* at = x.context.shared.endpoints.find(x.asked.path);
  if (at == nullptr) {
    x.to = &endpoint_table::unknown();
    return {fault::unknown_path, nullptr};
  }
  x.to = at->by_method[static_cast<std::size_t>(x.asked.verb)];
  if (x.to == nullptr) {
    x.to = at->first;
    return {fault::method_not_allowed, at};
  }
  const endpoint& to = *x.to->to;
  if (const fault why = check_access(x, to); why != fault::none) return {why, at};
  if (to.closed != nullptr)
    if (const fault why = to.closed(x.context.shared); why != fault::none) return {why, at};
  return {check_body(x.asked, to.body), at};
}

handled refuse(exchange& x, const verdict& found) {
  const bool shows_methods = found.why == fault::method_not_allowed;
  return refuse(x, {found.why}, shows_methods ? found.at->allow : std::string_view{});
}

} // namespace

bool is_served_when_full(const endpoint_table& endpoints, const request& asked) noexcept {
  const resource* at = endpoints.find(asked.path);
  if (at == nullptr) return false;
  const route* found = at->by_method[static_cast<std::size_t>(asked.verb)];
  return found != nullptr && found->to->served_when_full;
}

// A verdict depends on the head, on constant options, and on the tokens: with another generation of
// tokens it is made again. The generation is read first, so that a grant may be noted for an older
// one than that of the tokens checked, never for a newer one.
handled dispatch(exchange& x) {
  grant* const granted = x.asked.granted;
  const std::uint64_t generation = x.context.tokens.generation();
  if (granted != nullptr && granted->generation == generation) {
    x.to = granted->to;
    return x.to->to->handle(x);
  }
  if (x.asked.form == target_form::asterisk) // OPTIONS only
    return show_options(x, endpoint_table::asterisk(), x.context.shared.endpoints.allow_all());
  const verdict found = judge(x);
  if (found.why == fault::none) {
    if (granted != nullptr) *granted = {x.to, generation, x.to->fixed_path_bytes};
    return x.to->to->handle(x);
  }
  if (found.why == fault::method_not_allowed && x.asked.verb == method::options)
    return show_options(x, found.at->options, found.at->allow);
  return refuse(x, found);
}

bool refuse_by_head(exchange& x) {
  if (x.asked.verb == method::options) return false;
  const verdict found = judge(x);
  if (found.why == fault::none) {
    const auto refuses_head = x.to->to->refuses_head;
    return refuses_head != nullptr && refuses_head(x);
  }
  refuse(x, found);
  return true;
}

std::unique_ptr<body_upload> start_upload(exchange& x, std::size_t most_bytes) {
  const verdict found = judge(x);
  if (found.why == fault::none) return x.to->to->begin_upload(x, most_bytes);
  refuse(x, found);
  return nullptr;
}

} // namespace kvcache::http
