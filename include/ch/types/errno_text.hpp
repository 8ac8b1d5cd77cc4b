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
  const char* text;
};

inline constexpr ErrnoText errno_texts[] = {
    {kernel::Errno::eperm, "Operation not permitted (EPERM)"},
    {kernel::Errno::enoent, "No such file or directory (ENOENT)"},
    {kernel::Errno::esrch, "No such process (ESRCH)"},
    {kernel::Errno::eintr, "Interrupted system call (EINTR)"},
    {kernel::Errno::eio, "Input/output error (EIO)"},
    {kernel::Errno::e2big, "Argument list too long (E2BIG)"},
    {kernel::Errno::enoexec, "Exec format error (ENOEXEC)"},
    {kernel::Errno::ebadf, "Bad file descriptor (EBADF)"},
    {kernel::Errno::echild, "No child processes (ECHILD)"},
    {kernel::Errno::eagain, "Resource temporarily unavailable (EAGAIN)"},
    {kernel::Errno::enomem, "Cannot allocate memory (ENOMEM)"},
    {kernel::Errno::eacces, "Permission denied (EACCES)"},
    {kernel::Errno::ebusy, "Device or resource busy (EBUSY)"},
    {kernel::Errno::eexist, "File exists (EEXIST)"},
    {kernel::Errno::exdev, "Invalid cross-device link (EXDEV)"},
    {kernel::Errno::enodev, "No such device (ENODEV)"},
    {kernel::Errno::enotdir, "Not a directory (ENOTDIR)"},
    {kernel::Errno::eisdir, "Is a directory (EISDIR)"},
    {kernel::Errno::einval, "Invalid argument (EINVAL)"},
    {kernel::Errno::enfile, "Too many open files in system (ENFILE)"},
    {kernel::Errno::emfile, "Too many open files (EMFILE)"},
    {kernel::Errno::etxtbsy, "Text file busy (ETXTBSY)"},
    {kernel::Errno::efbig, "File too large (EFBIG)"},
    {kernel::Errno::enospc, "No space left on device (ENOSPC)"},
    {kernel::Errno::erofs, "Read-only file system (EROFS)"},
    {kernel::Errno::enametoolong, "File name too long (ENAMETOOLONG)"},
    {kernel::Errno::enosys, "Function not implemented (ENOSYS)"},
    {kernel::Errno::enotempty, "Directory not empty (ENOTEMPTY)"},
    {kernel::Errno::eloop, "Too many levels of symbolic links (ELOOP)"},
    {kernel::Errno::eoverflow, "Value too large for defined data type (EOVERFLOW)"},
    {kernel::Errno::eproto, "Protocol error (EPROTO)"},
    {kernel::Errno::eusers, "Too many users (EUSERS)"},
    {kernel::Errno::eopnotsupp, "Operation not supported (EOPNOTSUPP)"},
    {kernel::Errno::eaddrinuse, "Address already in use (EADDRINUSE)"},
    {kernel::Errno::econnreset, "Connection reset by peer (ECONNRESET)"},
    {kernel::Errno::etimedout, "Connection timed out (ETIMEDOUT)"},
    {kernel::Errno::econnrefused, "Connection refused (ECONNREFUSED)"},
    {kernel::Errno::estale, "Stale file handle (ESTALE)"},
    {kernel::Errno::edquot, "Disk quota exceeded (EDQUOT)"},
    {kernel::Errno::ecanceled, "Operation canceled (ECANCELED)"},
};

/// Writes "No such file or directory (ENOENT)", or "error 999".
constexpr TextWriter& operator<<(TextWriter& out, kernel::Errno code) noexcept {
  for (const ErrnoText& row : errno_texts)
    if (row.code == code) return out << row.text;
  return out << "error " << static_cast<int>(code);
}

}  // namespace ch
