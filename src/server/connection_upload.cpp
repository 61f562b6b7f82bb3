// The part of a connection that receives a large body straight into the memory of the entry that it
// becomes. Its bytes are the connection's memory until it is complete.
#include <algorithm>
#include <cstring>

#include "api/router.hpp"
#include "server/connection.hpp"
#include "server/worker.hpp"

namespace kvcache::http {

namespace {

// A longer body is received like this; a chunked one from so many bytes on, since its length is
// unknown.
constexpr std::size_t most_buffered_bytes = std::size_t{64} << 10;
constexpr std::size_t most_buffered_chunk_bytes = std::size_t{16} << 10;

// At most so much is received at a time: other connections have their turn.
constexpr std::size_t upload_piece_bytes = std::size_t{256} << 10;

} // namespace

bool connection::may_receive_more(std::size_t bytes) noexcept {
  return upload_->resident_bytes() + bytes <= owner_.budget().bytes_at_a_time_most() &&
         owner_.shedder().may_hold(bytes);
}

void connection::receive_upload() noexcept {
  const std::size_t left = *parser_.stated_body_bytes() - upload_->received_bytes();
  const std::span<char> free = upload_->free_space();
  const std::span<char> to = free.first(std::min({free.size(), left, upload_piece_bytes}));
  if (!may_receive_more(to.size())) {
    if (!wait_for_memory()) send_final_response(fault::no_request_memory);
    return;
  }
  waits_for_memory_ = false;
  upload_->expect(std::min(to.size(), socket_.input_bytes()));
  const transfer got = socket_.receive(to);
  if (!got.is_open) {
    close();
  } else if (got.bytes != 0) {
    owner_.handlers().counters.add(observe::event::bytes_received, got.bytes);
    const std::size_t before = upload_->received_bytes();
    upload_->commit(got.bytes);
    note_uploaded(before);
    if (!upload_is_complete()) return;
    held_request_bytes_ = parser_.head_end();
    serve();
  }
}

bool connection::upload_is_complete() const noexcept {
  return upload_->received_bytes() == parser_.stated_body_bytes();
}

// Of a body that has arrived in part: begins to store it if it is large, and goes on.
void connection::continue_upload(output_buffer& out) {
  if (upload_ == nullptr && !begin_upload(out)) return;
  const std::size_t before = upload_->received_bytes();
  upload_arrived_body();
  input_.shorten(parser_.drop_arrived_body(input_.unused_bytes()));
  note_uploaded(before);
}

// False: the body is small, or has been refused.
bool connection::begin_upload(output_buffer& out) {
  const std::optional<std::size_t> stated = parser_.stated_body_bytes();
  const std::size_t arrived = parser_.arrived_body(input_.unused()).size();
  if (stated ? *stated <= most_buffered_bytes : arrived <= most_buffered_chunk_bytes) return false;
  if (stated.value_or(0) > owner_.budget().bytes_at_a_time_most()) {
    refuse_and_end(out, fault::beyond_memory);
    return false;
  }
  const request& asked = parser_.describe_head(input_.unused());
  exchange x{asked, options_for(asked, after_reply::close), out, owner_.handlers()};
  const std::size_t before = out.size();
  upload_ = start_upload(x, stated.value_or(owner_.options().limits.max_value_bytes));
  if (upload_ != nullptr) return true;
  is_ending_ = true;
  count_refusal(x, out, before);
  return false;
}

void connection::upload_arrived_body() noexcept {
  std::string_view arrived = parser_.arrived_body(input_.unused());
  while (!arrived.empty()) {
    const std::span<char> to = upload_->free_space();
    const std::size_t bytes = std::min(to.size(), arrived.size());
    std::memcpy(to.data(), arrived.data(), bytes);
    upload_->commit(bytes);
    arrived.remove_prefix(bytes);
  }
}

// The body is complete.
void connection::upload_last_part() noexcept {
  owner_.handlers().upload = upload_.get();
  if (parser_.stated_body_bytes())
    parser_.describe_head(input_.unused());
  else
    upload_arrived_body();
}

// A chunked body has a second more for each MiB that has arrived. A peer that sends a sixteenth of
// what is held for it makes good use of that memory.
void connection::note_uploaded(std::size_t before) noexcept {
  constexpr std::size_t held_per_progress = 16;
  const std::size_t now = upload_->received_bytes();
  if (!parser_.stated_body_bytes()) deadline_ms_ += body_time_ms(now) - body_time_ms(before);
  uploaded_bytes_ += now - before;
  if (uploaded_bytes_ < now / held_per_progress) return;
  uploaded_bytes_ = 0;
  note_progress();
}

} // namespace kvcache::http
