// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: links and small files that are missing or different in the image,
// mounted over it. The files are in memory, read-only; the image does not change.
#pragma once

#include <span>

#include "ch/plan/context.hpp"

namespace ch {

struct Additions {
  static constexpr bool uses_scratch = true;
  std::span<const UserLink> links{};
  std::span<const UserFile> files{};

  void contribute(PlanBuilder& b, const PlanContext&) const noexcept {
    for (const UserLink& link : links) b.add(step::MakeLink{link.target, link.destination});
    std::uint64_t count = 0;
    for (const UserFile& file : files) {
      TextBuffer<24> number;
      number << count++;
      const ScratchPath name(b.text("file", number.view()));
      b.add(step::WriteScratchFile{name, file.content});
      b.add(step::BindScratch{name, file.destination, Access::read_only, IfMissing::create});
    }
  }
};

}  // namespace ch
