// Which page of the model is which page of the kernel.

#include <algorithm>

#include "kernel/guest/lockstep.hpp"

namespace rxpool::guest {

// A fresh page gets its kernel name when it is handed out first; from then on the names must agree.
void Lockstep::check_handed_out(const PoolLogOp& op, PageId page) {
  const std::uint32_t kernel_page = op.header.page;
  if ((page == no_page) != (kernel_page == 0)) {
    differ(op, page == no_page ? "the model has no page" : "the kernel has no page");
    return;
  }
  if (page == no_page) {
    return;
  }
  auto named = to_kernel_.find(page);
  if (named != to_kernel_.end() && std::any_of(released_.begin(), released_.end(), [&](const PoolLogHold* crossing) {
        return crossing->header.page == named->second;
      })) {
    forget(named->second);  // released by both, and here once more before its old pool was quiet
    named = to_kernel_.end();
  }
  const auto known = to_model_.find(kernel_page);
  if (named == to_kernel_.end() && known == to_model_.end()) {
    to_kernel_[page] = kernel_page;
    to_model_[kernel_page] = page;
    ++report_.pages_bound;
    if (const auto node = node_of_.find(kernel_page);
        node == node_of_.end() || node->second != allocator_.page(page).node) {
      differ(op, "page of node " + std::to_string(allocator_.page(page).node) + ", kernel " +
                     (node == node_of_.end() ? "unknown" : std::to_string(node->second)));
    }
    return;
  }
  if (named == to_kernel_.end() || named->second != kernel_page) {
    differ(op, "another page than the kernel's");
    // The two change names, so that one difference is one difference.
    const std::uint32_t was = named == to_kernel_.end() ? 0 : named->second;
    const PageId other = known == to_model_.end() ? no_page : known->second;
    to_kernel_[page] = kernel_page;
    to_model_[kernel_page] = page;
    if (was != 0 && other != no_page) {
      to_kernel_[other] = was;
      to_model_[was] = other;
    } else if (was != 0) {
      to_model_.erase(was);
    } else if (other != no_page) {
      to_kernel_.erase(other);
    }
  }
}

// Pages that the kernel let go must be gone from the model as well; then their names are free.
void Lockstep::check_released(Pool& pool, const PoolLogOp& op) {
  std::erase_if(released_, [&](const PoolLogHold* crossing) {
    if (crossing->header.pool != op.header.pool) {
      return false;
    }
    if (const auto known = to_model_.find(crossing->header.page);
        known != to_model_.end() && allocator_.page(known->second).pool == pool.model->id()) {
      differ(op, "the kernel released a page that the model kept");
    }
    forget_name(crossing->header.page);
    return true;
  });
}

void Lockstep::forget_name(std::uint32_t kernel_page) {
  if (const auto known = to_model_.find(kernel_page); known != to_model_.end()) {
    to_kernel_.erase(known->second);
    to_model_.erase(known);
  }
  node_of_.erase(kernel_page);
}

// A page that enters a pool is a new one, whatever was known of it.
void Lockstep::forget(std::uint32_t kernel_page) {
  std::erase_if(released_, [&](const PoolLogHold* crossing) { return crossing->header.page == kernel_page; });
  forget_name(kernel_page);
}

}  // namespace rxpool::guest
