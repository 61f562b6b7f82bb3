// POST /snapshot: writes all entries to the snapshot file, on a background thread.
#include <cerrno>
#include <string>
#include <system_error>

#include "api/exchange.hpp"
#include "api/snapshot_maker.hpp"

namespace kvcache::http {

namespace {

handled snapshot(exchange& x) {
  const snapshot_maker* maker = x.context.shared.services.snapshots;
  if (maker == nullptr || !maker->configured()) return refuse(x, {fault::no_snapshot_file});
  return handled::deferred;
}

deferred_work::result make(const shared_state& shared) noexcept {
  const snapshot_outcome made = shared.services.snapshots->make();
  return {made.entries, made.bytes, made.error};
}

fault fault_of(int error) noexcept {
  switch (error) {
  case EBUSY:
    return fault::snapshot_under_way;
  case ENOSPC:
  case EDQUOT:
    return fault::no_disk_space;
  default:
    return fault::snapshot_failed;
  }
}

unsigned respond(output_buffer& out, handler_context& context, const deferred_work::result& done,
                 reply_options how) {
  constexpr unsigned status_ok = 200;
  if (done.error != 0) {
    const fault code = fault_of(done.error);
    const std::string cause = std::generic_category().message(done.error);
    context.writer.refuse(out, {.code = code, .name = cause}, how);
    return context.shared.faults[code].status;
  }
  context.writer.reply(out, status_ok, json_content_type,
                       R"({"status":"OK","message":"Snapshot written.","entries":)" +
                           std::to_string(done.entries) + R"(,"bytes":)" +
                           std::to_string(done.bytes) + "}",
                       how);
  return status_ok;
}

// With tokens, the router has checked that this one may write.
fault closed(const shared_state& shared) noexcept {
  const bool open = shared.options.enable_snapshot || shared.services.authorization != nullptr;
  return open ? fault::none : fault::snapshot_disabled;
}

constexpr endpoint endpoints[] = {{.path = "/snapshot",
                                   .verb = method::post,
                                   .operation = {"snapshot"},
                                   .needs = permission::write,
                                   .body = body_use::optional,
                                   .handle = snapshot,
                                   .closed = closed,
                                   .later = {make, respond}}};

} // namespace

extern constinit const endpoint_group snapshot_endpoints{endpoints};

} // namespace kvcache::http
