// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-device as its manual page and its completions see it. Part of
// charlie-docgen, not of ch-device.

#include "apps/ch-device/documented.hpp"

extern const ch::cli::Tool ch_device_documented;
const ch::cli::Tool ch_device_documented = ch_device::documented;
