// SPDX-License-Identifier: Apache-2.0
//
// Floor 2. Error numbers in words, without libc (strerror may allocate and looks at the
// locale). Only those that a launch can return; any other is printed as its number.
// Source: man 3 errno.
#pragma once

#include "ch/kernel/abi.hpp"
#include "ch/kernel/text.hpp"

namespace ch {

struct ErrnoText {
  kernel::Errno code;
  const char* symbol;
  const char* text;
};

inline constexpr ErrnoText errno_texts[] = {
    {kernel::Errno::eperm, "EPERM", "Operation not permitted"},
    {kernel::Errno::enoent, "ENOENT", "No such file or directory"},
    {kernel::Errno::esrch, "ESRCH", "No such process"},
    {kernel::Errno::eio, "EIO", "Input/output error"},
    {kernel::Errno::e2big, "E2BIG", "Argument list too long"},
    {kernel::Errno::enoexec, "ENOEXEC", "Exec format error"},
    {kernel::Errno::ebadf, "EBADF", "Bad file descriptor"},
    {kernel::Errno::eagain, "EAGAIN", "Resource temporarily unavailable"},
    {kernel::Errno::enomem, "ENOMEM", "Cannot allocate memory"},
    {kernel::Errno::eacces, "EACCES", "Permission denied"},
    {kernel::Errno::ebusy, "EBUSY", "Device or resource busy"},
    {kernel::Errno::eexist, "EEXIST", "File exists"},
    {kernel::Errno::exdev, "EXDEV", "Invalid cross-device link"},
    {kernel::Errno::enodev, "ENODEV", "No such device"},
    {kernel::Errno::enotdir, "ENOTDIR", "Not a directory"},
    {kernel::Errno::eisdir, "EISDIR", "Is a directory"},
    {kernel::Errno::einval, "EINVAL", "Invalid argument"},
    {kernel::Errno::enfile, "ENFILE", "Too many open files in system"},
    {kernel::Errno::emfile, "EMFILE", "Too many open files"},
    {kernel::Errno::etxtbsy, "ETXTBSY", "Text file busy"},
    {kernel::Errno::efbig, "EFBIG", "File too large"},
    {kernel::Errno::enospc, "ENOSPC", "No space left on device"},
    {kernel::Errno::erofs, "EROFS", "Read-only file system"},
    {kernel::Errno::enametoolong, "ENAMETOOLONG", "File name too long"},
    {kernel::Errno::enosys, "ENOSYS", "Function not implemented"},
    {kernel::Errno::enotempty, "ENOTEMPTY", "Directory not empty"},
    {kernel::Errno::eloop, "ELOOP", "Too many levels of symbolic links"},
    {kernel::Errno::eoverflow, "EOVERFLOW", "Value too large for defined data type"},
    {kernel::Errno::eproto, "EPROTO", "Protocol error"},
    {kernel::Errno::eusers, "EUSERS", "Too many users"},
    {kernel::Errno::eopnotsupp, "EOPNOTSUPP", "Operation not supported"},
    {kernel::Errno::eaddrinuse, "EADDRINUSE", "Address already in use"},
    {kernel::Errno::econnreset, "ECONNRESET", "Connection reset by peer"},
    {kernel::Errno::etimedout, "ETIMEDOUT", "Connection timed out"},
    {kernel::Errno::econnrefused, "ECONNREFUSED", "Connection refused"},
    {kernel::Errno::estale, "ESTALE", "Stale file handle"},
    {kernel::Errno::edquot, "EDQUOT", "Disk quota exceeded"},
    {kernel::Errno::ecanceled, "ECANCELED", "Operation canceled"},
};

/// Writes "No such file or directory (ENOENT)", or "error 999".
constexpr TextWriter& operator<<(TextWriter& out, kernel::Errno code) noexcept {
  for (const ErrnoText& row : errno_texts)
    if (row.code == code) return out << row.text << " (" << row.symbol << ')';
  return out << "error " << static_cast<int>(code);
}

}  // namespace ch
