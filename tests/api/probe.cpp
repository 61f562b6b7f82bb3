// An endpoint that only tests have, in one file, with its documentation in probe.openapi.json: a
// path with a variable, a method other than GET and POST, and a body of any bytes.
#include "api/exchange.hpp"
#include "http/value_response.hpp"

namespace kvcache::http {

namespace {

// Responds with the variable and the body, in quotes, as bytes of no type.
handled probe(exchange& x) {
  std::string text{"\""};
  text.append(x.path_variable().text).append(" ").append(x.asked.body).append("\"");
  value_response response{x.context.writer, x.out, raw_envelope{}, x.how};
  do response.value(text);
  while (response.reserve_more());
  return handled::go_on;
}

constexpr endpoint endpoints[] = {{.path = "/probe/{name}",
                                   .verb = method::put,
                                   .operation = {"probe"},
                                   .needs = permission::write,
                                   .body = body_use::required,
                                   .handle = probe}};

} // namespace

extern constinit const endpoint_group probe_endpoints{endpoints};

} // namespace kvcache::http
