// Reads the token file on a thread of its own. On a file system that does not respond (a network
// mount without its server) a read may block forever, and must delay neither signals nor the exit
// of the process.
//
// Thread-safety: one thread calls begin() and take() and destroys it.
// Ownership: the reading thread is detached and shares its state; the destructor does not wait.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "daemon/token_file.hpp"

namespace kvcache::daemon {

class token_reader {
public:
  using result = std::variant<config::token_file, config::token_file_fault>;
  using read_function = std::function<result(const std::string& path)>;

  // `done` is called on the reading thread when take() has a result; it must not throw.
  token_reader(std::string path, std::function<void()> done,
               read_function read = config::read_token_file);
  ~token_reader();
  token_reader(const token_reader&) = delete;
  token_reader& operator=(const token_reader&) = delete;

  // Starts a read. Returns false while an earlier read runs; then another read follows it.
  // Errors: throws std::system_error if no thread can be created.
  bool begin();

  // The result, once; nothing until it is available.
  std::optional<result> take();

private:
  struct state;

  const std::shared_ptr<state> state_;
};

} // namespace kvcache::daemon
