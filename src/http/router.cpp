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
  x.status = status_no_content;
  return handled::go_on;
}

// fault::none if the request may go on to the handler.
fault check_access(const exchange& x, const route& to) noexcept {
  const shared_state& shared = x.context.shared;
  if (to.needs == permission::none) return fault::none;
  if (!is_allowed_host(x.asked.host, shared.options.allowed_hosts)) return fault::host_not_allowed;
  if (to.needs == permission::write && is_cross_origin(x.asked)) return fault::cross_origin;
  if (shared.services.authorization == nullptr) return fault::none;
  const permission granted = shared.services.authorization->check(x.asked.authorization);
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
  return {to->closed == nullptr ? fault::none : to->closed(x.context.shared), to};
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

// A verdict rests on the head alone and on options that do not change; only tokens may be revoked.
handled dispatch(exchange& x) {
  const route** const granted = x.asked.granted;
  if (granted != nullptr && *granted != nullptr) {
    x.operation = (*granted)->operation;
    return (*granted)->handle(x);
  }
  if (x.asked.form == target_form::asterisk) return show_options(x, allow_all); // OPTIONS only
  const verdict found = judge(x);
  if (found.why == fault::none) {
    const bool for_good = x.context.shared.services.authorization == nullptr;
    if (granted != nullptr && for_good) *granted = found.to;
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
