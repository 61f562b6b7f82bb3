#include "http/router.hpp"

#include <array>

#include "http/handlers.hpp"
#include "http/request_guard.hpp"

namespace kvcache::http {

namespace {

// The two hot ones first: the table is searched from its start.
constexpr std::array<route, 9> table{{
    {"/get", method::get, permission::read, handlers::get},
    {"/put", method::post, permission::write, handlers::put},
    {"/delete", method::post, permission::write, handlers::erase},
    {"/flush", method::post, permission::write, handlers::flush},
    {"/healthz", method::get, permission::none, handlers::healthz},
    {"/readyz", method::get, permission::none, handlers::readyz},
    {"/stats", method::get, permission::read, handlers::stats},
    {"/metrics", method::get, permission::read, handlers::metrics},
    {"/openapi.json", method::get, permission::none, handlers::openapi},
}};

constexpr unsigned status_no_content = 204;
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
  x.context.writer.reply(x.out, status_no_content, {}, {}, x.how, allow);
  x.context.counters.add(observe::event::other_request);
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

} // namespace

std::span<const route> routes() noexcept { return table; }

handled dispatch(exchange& x) {
  if (x.asked.form == target_form::asterisk) return show_options(x, allow_all); // OPTIONS only
  const route* to = find_route(x.target.path);
  if (to == nullptr) return refuse(x, {fault::unknown_path});
  if (!fits(x.asked.verb, to->verb)) {
    const std::string_view allow = to->verb == method::get ? allow_get : allow_post;
    if (x.asked.verb == method::options) return show_options(x, allow);
    return refuse(x, {fault::method_not_allowed}, allow);
  }
  if (const fault why = check_access(x, *to); why != fault::none) return refuse(x, {why});
  return to->handle(x);
}

} // namespace kvcache::http
