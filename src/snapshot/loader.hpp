// Loads the entries of a snapshot file into a store that is served from meanwhile: on several
// threads, hottest first, as far as memory allows without evicting anything.
//
// What the file holds is not trusted: a block that does not decode is skipped, whatever it is. No
// entry is loaded over one that was written since, see load_filter.
//
// Thread-safety: progress(), entries() and stop() may be called by any thread at any time; the
// others by the owner. Ownership: owns the descriptor and its threads, which the destructor ends;
// borrows the rest. Errors: see open(); later ones are results.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/entity_tagger.hpp"
#include "cache/store.hpp"
#include "snapshot/block_reader.hpp"
#include "snapshot/saver.hpp"
#include "snapshot/status.hpp"

namespace kvcache::snapshot {

struct load_environment {
  store& entries;
  const http::entity_tagger& tags;
  moment now;                                // at the start
  std::function<std::uint64_t()> room_bytes; // that may be loaded; from any thread
  // What eviction had learned.
  std::function<void(const hit_density::experience&)> adopt = [](const auto&) {};
};

class loader {
public:
  // REQUIRES: the header has been read from `from`, and store::begin_loading() returned true.
  loader(load_environment environment, block_reader& from);
  ~loader();
  loader(const loader&) = delete;
  loader& operator=(const loader&) = delete;

  // `ended` is called once, by the last thread that ends. Throws std::system_error if no thread can
  // be started.
  void start(unsigned threads, std::function<void()> ended);
  void stop() noexcept; // soon
  void join() noexcept;

  // The same on the calling thread.
  void run() noexcept;

  struct short_entry { // in a block with others
    entry_header header;
    std::string_view key;
    std::string_view value;
  };

  std::uint64_t entries() const noexcept { return loaded_.load(std::memory_order_relaxed); }
  std::uint64_t bytes_read() const noexcept { return bytes_.load(std::memory_order_relaxed); }

  // REQUIRES: it has ended.
  load_state result() const noexcept;
  std::uint64_t skipped_blocks() const noexcept;
  int read_error() const noexcept { return from_.error(); }

private:
  enum class step : std::uint8_t { again, end };
  // Room for what this thread is about to load.
  std::uint64_t needed_bytes(std::uint64_t of_this_thread) const noexcept;
  step load_next(std::vector<char>& payload);
  std::optional<block_reader::block> read_next(std::vector<char>& payload);
  void load_entries(std::string_view payload) noexcept;
  void load_entry(const short_entry& e) noexcept;
  void load_long(std::vector<char>& payload, std::uint32_t number);
  bool append_from_file(char* to, std::size_t count, std::vector<char>& payload,
                        std::string_view& left, std::uint32_t& number);
  void note(load_outcome outcome) noexcept;
  void give_up(load_state why) noexcept;
  bool gives_up() const noexcept {
    return given_up_.load(std::memory_order_relaxed) != load_state::loading;
  }
  std::optional<tick> expiry_of(std::uint64_t unix_ms) const noexcept;

  const load_environment environment_;
  block_reader& from_;
  std::mutex reading_;                           // guards from_
  std::optional<block_reader::block> following_; // in the payload, read in vain for the one before
  bool has_totals_ = false;
  std::atomic<load_state> given_up_{load_state::loading}; // why, or not
  std::atomic<std::uint64_t> loaded_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> malformed_{0}; // blocks that are undamaged and yet do not decode
  unsigned threads_most_ = 0;               // constant while threads run
  std::atomic<unsigned> running_{0};
  std::function<void()> ended_;
  std::vector<std::thread> threads_;
};

} // namespace kvcache::snapshot
