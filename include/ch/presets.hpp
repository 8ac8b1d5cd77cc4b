// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. Named configurations. Each is one line of policies; copy the nearest and change it.
#pragma once

#include "ch/container.hpp"
#include "ch/policies/join/peer_group.hpp"
#include "ch/policies/mount/accounts.hpp"
#include "ch/policies/mount/additions.hpp"
#include "ch/policies/mount/devices.hpp"
#include "ch/policies/mount/home.hpp"
#include "ch/policies/mount/host_files.hpp"
#include "ch/policies/mount/image_root.hpp"
#include "ch/policies/mount/package_managers.hpp"
#include "ch/policies/mount/tmp.hpp"
#include "ch/policies/mount/user_binds.hpp"
#include "ch/policies/mount/writable_layer.hpp"

namespace ch::presets {

/// The namespaces of every unprivileged container here.
using Unprivileged = NamespaceSet<ns::user, ns::mount>;

/// The mounts that make an image feel like the host: devices, network, users, /tmp, home.
using HostIntegratedMounts = Mounts<ImageRoot<>, WritableLayer, Accounts, Home, PackageManagers,
                                    HostFiles, Tmp<>, Devices, Additions, UserBinds>;

/// An image that feels like the host.
using HostIntegrated = Container<Unprivileged, HostIntegratedMounts, ChosenIds>;

/// The same, with further namespaces and the join strategy chosen at run time: ch-run.
using HostIntegratedChosen =
    Container<ChosenNamespaces<Unprivileged>, HostIntegratedMounts, ChosenIds, ChosenJoin>;

/// The minimum in which Debian's programs run: the image and the kernel's file systems.
using Bare = Container<Unprivileged, Mounts<ImageRoot<Fixed<Access::read_only>>, Devices>>;

/// The inside of a container that is already running.
using Attached = Container<Unprivileged, HostMounts, SameIds, AttachToPid>;

}  // namespace ch::presets
