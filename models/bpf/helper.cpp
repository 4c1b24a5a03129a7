#include "models/bpf/helper.hpp"

#include <algorithm>

namespace rxpool::bpf {

namespace {

bool id_below(const Helper& helper, std::uint32_t id) {
  return helper.id < id;
}

}  // namespace

void HelperTable::add(Helper helper) {
  const auto place = std::lower_bound(helpers_.begin(), helpers_.end(), helper.id, id_below);
  if (place != helpers_.end() && place->id == helper.id) {
    *place = std::move(helper);
  } else {
    helpers_.insert(place, std::move(helper));
  }
}

const Helper* HelperTable::find(std::uint32_t id) const {
  const auto place = std::lower_bound(helpers_.begin(), helpers_.end(), id, id_below);
  return place != helpers_.end() && place->id == id ? &*place : nullptr;
}

}  // namespace rxpool::bpf
