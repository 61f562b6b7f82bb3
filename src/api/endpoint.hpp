// An endpoint's descriptor: all that the rest of the service knows of it. The router, `Allow`, the
// permissions of tokens, metrics, the access log and the tests of the documentation follow from it.
//
// Each file of api/endpoints holds the endpoints of one path, their handlers, and beside it, in
// <name>.openapi.json, their documentation. src/api/CMakeLists.txt lists the files; nothing else
// names them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "api/permission.hpp"
#include "http/fault.hpp"
#include "http/output_buffer.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "metrics/operation.hpp"

namespace kvcache::http {

struct exchange;
struct handler_context;
struct shared_state;

// What the connection does after a handler.
enum class handled : std::uint8_t {
  go_on,    // the response is written; the next request may follow
  close,    // the response is written and is the last one
  deferred, // no response yet: endpoint::later has to run first
  held_back // no response yet: there is no room for it; the request has to be handled once more
};

// How an endpoint takes a request's body.
enum class body_use : std::uint8_t {
  ignored,
  optional, // with a content coding it is refused: 415
  required  // likewise, and a request without one is refused: 411
};

// Work that would hold a worker up for long, and the response to it.
struct deferred_work {
  // On a background thread. The result is handed to respond().
  std::size_t (*run)(const shared_state& shared) noexcept = nullptr;

  // On the worker's thread. Writes a response of status 200; throws only std::bad_alloc.
  void (*respond)(output_buffer& out, handler_context& context, std::size_t result,
                  reply_options how) = nullptr;
};

struct endpoint {
  // Perhaps with one variable at its end, which stands for the rest of a path, whatever that is:
  // "/kv/{key}". Logs and metrics show this, never the variable's value.
  std::string_view path;

  // GET serves HEAD, too. OPTIONS is answered for all paths by the router.
  method verb = method::get;

  observe::operation_info operation;
  permission needs = permission::none; // none: open to everyone, under any host name
  body_use body = body_use::ignored;

  // Served to a connection over the connection limit, too.
  bool served_when_full = false;

  // Writes exactly one response, and sets its status in the exchange unless it is 200. Throws only
  // std::bad_alloc, and then has appended nothing.
  handled (*handle)(exchange& x) = nullptr;

  // Why the options of the server keep everyone out, if they do.
  fault (*closed)(const shared_state& shared) noexcept = nullptr;

  deferred_work later = {};
};

// The endpoints of one file.
using endpoint_group = std::span<const endpoint>;

} // namespace kvcache::http
