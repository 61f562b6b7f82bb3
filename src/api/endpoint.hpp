// An endpoint's descriptor: everything that the rest of the service knows about it. The router,
// `Allow`, the permissions of tokens, metrics, the access log and the contract test derive from it.
//
// Each file of api/endpoints holds the endpoints of one path, their handlers, and beside it, in
// <name>.openapi.json, their documentation. src/api/CMakeLists.txt lists the files; nothing else
// names them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "api/permission.hpp"
#include "http/fault.hpp"
#include "http/output_buffer.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "metrics/operation.hpp"

namespace kvcache::http {

class body_upload;
struct exchange;
struct handler_context;
struct shared_state;

// The connection's next step after a handler.
enum class handled : std::uint8_t {
  go_on, // the response is written; the next request may follow
  close, // the response is written and is the last one
  // What follows is rare.
  followed, // like go_on; handler_context::large_value is its body
  admitted, // like go_on; it has been written once and for all, within memory that was asked for
  paused,   // no response yet: the request is handled again when other connections had their turn
  deferred, // no response yet: endpoint::later has to run first
  held_back // no response yet for lack of memory; the request is handled again
};

// How an endpoint takes a request's body.
enum class body_use : std::uint8_t {
  ignored,
  optional, // a content coding is refused: 415
  required  // likewise, and a request without a body is refused: 411
};

// Work that would block a worker for long, and the response to it.
struct deferred_work {
  struct result {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    int error = 0; // errno
  };

  // On a background thread. respond() gets the result.
  result (*run)(const shared_state& shared) noexcept = nullptr;

  // On the worker's thread. Writes a response and returns its status; throws only std::bad_alloc.
  unsigned (*respond)(output_buffer& out, handler_context& context, const result& done,
                      reply_options how) = nullptr;
};

struct endpoint {
  // A variable at its end matches the rest of a path: "/kv/{key}". Logs and metrics show this path,
  // never the variable's value.
  std::string_view path;

  // GET serves HEAD, too. OPTIONS is answered for all paths by the router.
  method verb = method::get;

  observe::operation_info operation;
  permission needs = permission::none; // none: open to everyone, under any host name
  body_use body = body_use::ignored;

  // Pages of other origins may not use it. So it is for whatever needs permission::write.
  bool changes_entries = false;

  // Served to connections over the connection limit, too.
  bool served_when_full = false;

  // Writes exactly one response, and sets its status in the exchange unless it is 200. Throws
  // std::bad_alloc only; nothing is appended then.
  handled (*handle)(exchange& x) = nullptr;

  // The fault for everyone if the server's options disable the endpoint, else none.
  fault (*closed)(const shared_state& shared) noexcept = nullptr;

  deferred_work later = {};

  // Refuses by the head whatever would be refused whatever the body is, before the client is told
  // to send one; null: there is nothing but what the router checks. True: a refusal has been
  // written.
  bool (*refuses_head)(exchange& x) = nullptr;

  // Of a PUT to a value's path (http_limits::value_path): begins to receive a large body of up to
  // `most_bytes`, whose handler finds it in exchange::upload. Null: a refusal has been written, as
  // refuses_head does. Throws std::bad_alloc only.
  std::unique_ptr<body_upload> (*begin_upload)(exchange& x, std::size_t most_bytes) = nullptr;
};

// The endpoints of one file.
using endpoint_group = std::span<const endpoint>;

} // namespace kvcache::http
