#include "http/router.hpp"

#include <array>

#include "http/handlers.hpp"
#include "http/request_guard.hpp"

namespace kvcache::http {

namespace {

using observe::operation;

// The two hot ones first: the table is searched from its start.
constexpr std::array<route, 9> table{{
    {"/get", operation::get, method::get, permission::read, handlers::get},
    {"/put", operation::put, method::post, permission::write, handlers::put},
    {"/delete", operation::erase, method::post, permission::write, handlers::erase},
    {flush_path, operation::flush, method::post, permission::write, handlers::flush,
     handlers::flush_closed},
    {"/healthz", operation::healthz, method::get, permission::none, handlers::healthz},
    {"/readyz", operation::readyz, method::get, permission::none, handlers::readyz},
    {"/stats", operation::stats, method::get, permission::read, handlers::stats},
    {"/metrics", operation::metrics, method::get, permission::read, handlers::metrics},
    {"/openapi.json", operation::openapi, method::get, permission::none, handlers::openapi},
}};

constexpr std::string_view allow_get = "Allow: GET, HEAD, OPTIONS\r\n";
constexpr std::string_view allow_post = "Allow: POST, OPTIONS\r\n";
constexpr std::string_view allow_all = "Allow: GET, HEAD, POST, OPTIONS\r\n";

const route* find_route(std::string_view path) noexcept {
  for (const route& candidate : table)
    if (candidate.path == path) return &candidate;
  return nullptr;
}

bool fits(method asked, method offered) noexcept {
  return asked == offered || (asked == method::head && offered == method::get);
}

handled show_options(exchange& x, std::string_view allow) {
  x.context.writer.no_content(x.out, x.how, allow);
  x.operation = operation::options;
  x.status_slot = no_content_slot;
  return handled::go_on;
}

// fault::none if the request may go on to the handler.
fault check_access(exchange& x, const route& to) noexcept {
  const shared_state& shared = x.context.shared;
  if (to.needs == permission::none) return fault::none;
  if (!is_allowed_host(x.asked.host, shared.options.allowed_hosts)) return fault::host_not_allowed;
  if (to.needs == permission::write && is_cross_origin(x.asked)) return fault::cross_origin;
  if (!x.context.tokens.asks_for_tokens()) return fault::none;
  const permission granted = x.context.tokens.check(x.asked.authorization);
  if (granted == permission::none) return fault::unauthorized;
  return granted < to.needs ? fault::read_only_token : fault::none;
}

std::string_view allow_of(const route& to) noexcept {
  return to.verb == method::get ? allow_get : allow_post;
}

// What the head alone decides, and the operation with it.
struct verdict {
  fault why = fault::none;
  const route* to = nullptr; // null for unknown_path only
};

verdict judge(exchange& x) noexcept {
  const route* to = find_route(x.asked.path);
  x.operation = to == nullptr ? operation::unknown : to->operation;
  if (to == nullptr) return {fault::unknown_path, nullptr};
  if (!fits(x.asked.verb, to->verb)) return {fault::method_not_allowed, to};
  if (const fault why = check_access(x, *to); why != fault::none) return {why, to};
  if (to->closed != nullptr)
    if (const fault why = to->closed(x.context.shared); why != fault::none) return {why, to};
  // A GET's body is not read, whatever it is.
  const bool reads_body = to->verb == method::post && x.asked.framing != body_framing::none;
  return {reads_body && x.asked.is_coded ? fault::unsupported_content_coding : fault::none, to};
}

handled refuse(exchange& x, const verdict& found) {
  const bool shows_methods = found.why == fault::method_not_allowed;
  return refuse(x, {found.why}, shows_methods ? allow_of(*found.to) : std::string_view{});
}

} // namespace

std::span<const route> routes() noexcept { return table; }

std::string_view known_path(std::string_view path) noexcept {
  const route* known = find_route(path);
  return known == nullptr ? std::string_view{} : known->path;
}

operation operation_of(std::string_view path) noexcept {
  const route* known = find_route(path);
  return known == nullptr ? operation::unknown : known->operation;
}

bool asks_for_health(const request& asked) noexcept {
  const bool reads = fits(asked.verb, method::get);
  return reads && (asked.path == "/healthz" || asked.path == "/readyz" || asked.path == "/metrics");
}

// A verdict rests on the head alone and on options that do not change, but for the tokens: what was
// granted with others is judged anew. The generation is read first: a grant may be remembered for
// an older one than that of the tokens checked, never for a newer one.
handled dispatch(exchange& x) {
  grant* const granted = x.asked.granted;
  const std::uint64_t generation = x.context.tokens.generation();
  if (granted != nullptr && granted->generation == generation) {
    x.operation = granted->to->operation;
    return granted->to->handle(x);
  }
  if (x.asked.form == target_form::asterisk) return show_options(x, allow_all); // OPTIONS only
  const verdict found = judge(x);
  if (found.why == fault::none) {
    if (granted != nullptr) *granted = {found.to, generation};
    return found.to->handle(x);
  }
  if (found.why == fault::method_not_allowed && x.asked.verb == method::options)
    return show_options(x, allow_of(*found.to));
  return refuse(x, found);
}

bool refuse_by_head(exchange& x) {
  if (x.asked.verb == method::options) return false;
  const verdict found = judge(x);
  if (found.why == fault::none) return false;
  refuse(x, found);
  return true;
}

} // namespace kvcache::http
