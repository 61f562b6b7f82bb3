// A reference to a callable, as large as two pointers.
//
// Thread-safety: that of the callable. Ownership: none; the callable must outlive the call that the
//   reference is passed to, and the reference must not be stored.
// Errors: what the callable throws. Complexity: one indirect call; no allocation.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace kvcache {

template <class Signature>
class function_ref;

template <class Result, class... Args>
class function_ref<Result(Args...)> {
public:
  // NOLINTBEGIN(bugprone-forwarding-reference-overload): the constraint leaves copy and move alone
  template <class Callable>
  requires(!std::is_same_v<std::remove_cvref_t<Callable>, function_ref> &&
           std::is_invocable_r_v<Result, Callable&, Args...>) function_ref(Callable&& callable)
  noexcept
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, Args... args) -> Result {
          return (*static_cast<std::remove_reference_t<Callable>*>(object))(
              std::forward<Args>(args)...);
        }) {}
  // NOLINTEND(bugprone-forwarding-reference-overload)

  Result operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

private:
  void* object_;
  Result (*call_)(void*, Args...);
};

} // namespace kvcache
