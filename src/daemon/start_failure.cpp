#include "daemon/start_failure.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <new>
#include <system_error>

namespace kvcache::daemon {

namespace {

// The main thread, and those of eviction, clock, both logs, flush and token file.
constexpr unsigned threads_beside_workers = 7;

std::optional<std::uint64_t> limit_of(decltype(RLIMIT_AS) resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return std::nullopt;
  if (limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

thread_limits read_thread_limits(unsigned workers) {
  thread_limits limits;
  limits.needed = workers + threads_beside_workers;
  limits.group = read_process_limit("");
  if (geteuid() != 0) limits.user = limit_of(RLIMIT_NPROC); // root is exempt
  limits.memory = limit_of(RLIMIT_AS);
  return limits;
}

std::string explain_file_failure(const std::string& what) {
  std::string text = what + ": the limit of open files";
  if (const auto limit = limit_of(RLIMIT_NOFILE))
    text += " (ulimit -n) is " + std::to_string(*limit);
  return text + "; raise it";
}

int error_of(const std::exception& failure) {
  if (const auto* standard = dynamic_cast<const std::system_error*>(&failure))
    return standard->code().value();
  if (const auto* boost = dynamic_cast<const boost::system::system_error*>(&failure))
    return boost->code().value();
  return 0;
}

// The remedy for an error of listening; empty if unknown.
std::string remedy_for(int error) {
  switch (error) {
  case EADDRINUSE:
    return "another process has this port (ss -ltnp shows which); stop it or choose another --port";
  case EACCES:
    return "a port below 1024 needs CAP_NET_BIND_SERVICE; grant it or choose another --port";
  case EADDRNOTAVAIL:
    return "no interface of this machine has this address; correct --bind";
  case EAFNOSUPPORT:
    return "the kernel has no support for this kind of address; choose another --bind";
  default:
    return "";
  }
}

} // namespace

std::string explain_listen_failure(const std::string& address, int error) {
  std::string text = "cannot listen on " + address + ": ";
  const std::string cause = std::generic_category().message(error);
  if (error == EMFILE || error == ENFILE) return explain_file_failure(text + cause);
  text += cause;
  if (const std::string remedy = remedy_for(error); !remedy.empty()) text += ": " + remedy;
  return text;
}

std::string explain_thread_failure(const thread_limits& limits) {
  const std::string begin = "cannot start " + std::to_string(limits.needed) + " threads: ";
  const std::string end = "; raise it or lower --threads";
  if (limits.group && limits.group->most < limits.group->present + limits.needed)
    return begin + "the limit of processes in " + limits.group->file + " is " +
           std::to_string(limits.group->most) + end;
  if (limits.user)
    return begin + "the limit of processes of this user (ulimit -u) is " +
           std::to_string(*limits.user) + end;
  if (limits.memory)
    return begin + "the limit of address space (ulimit -v) is " +
           std::to_string(*limits.memory >> 10U) + " KiB" + end;
  return begin + "the kernel refuses more (kernel.threads-max, or no memory for their stacks)" +
         "; raise that or lower --threads";
}

std::string explain_start_failure(const std::exception& failure, unsigned workers) {
  if (dynamic_cast<const std::bad_alloc*>(&failure) != nullptr)
    return "cannot start: the kernel refuses memory; raise the memory limit or ulimit -v";
  switch (error_of(failure)) {
  case EAGAIN:
    return explain_thread_failure(read_thread_limits(workers));
  case EMFILE:
  case ENFILE:
    return explain_file_failure(failure.what());
  default:
    return failure.what();
  }
}

} // namespace kvcache::daemon
