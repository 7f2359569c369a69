//! Socket options, the length of each answer checked.

use core::mem::size_of;

use linux_raw_sys::net;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::errno::errno;
use super::syscall::{fd_arg, int_arg, ptr_arg, socket_call};

const LEVEL: i32 = net::SOL_SOCKET.cast_signed();
#[allow(clippy::cast_possible_truncation)] // It is 4.
const INT_LEN: u32 = size_of::<i32>() as u32;

/// `SO_DOMAIN`: the family.
#[inline]
pub(crate) fn domain(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    get_int(fd, net::SO_DOMAIN)
}

/// `SO_TYPE`: stream, datagram or seqpacket.
#[inline]
pub(crate) fn kind(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    get_int(fd, net::SO_TYPE)
}

/// `SO_ACCEPTCONN`: whether it listens.
#[inline]
pub(crate) fn listens(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    get_int(fd, net::SO_ACCEPTCONN).map(|listens| listens != 0)
}

/// `SO_PASSCRED`: whether credentials come with each message.
#[inline]
pub(crate) fn passcred(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    get_int(fd, net::SO_PASSCRED).map(|on| on != 0)
}

/// Sets `SO_PASSCRED`.
#[inline]
pub(crate) fn set_passcred(fd: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    set_int(fd, net::SO_PASSCRED, on.into())
}

/// `SO_PASSPIDFD`: whether a pidfd comes with each message.
#[inline]
pub(crate) fn passpidfd(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    get_int(fd, net::SO_PASSPIDFD).map(|on| on != 0)
}

/// Sets `SO_PASSPIDFD`.
#[inline]
pub(crate) fn set_passpidfd(fd: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    set_int(fd, net::SO_PASSPIDFD, on.into())
}

/// `SO_ERROR`: the pending error, which this takes away.
#[inline]
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> Result<Option<Errno>, Errno> {
    match get_int(fd, net::SO_ERROR)? {
        0 => Ok(None),
        // No errno: whoever answered is not the kernel that we know.
        number => errno(number).map(Some).ok_or(Errno::PROTO),
    }
}

/// An option whose value is a C `int`. An answer of another length is `EPROTO`.
#[inline]
pub(crate) fn get_int(fd: BorrowedFd<'_>, option: u32) -> Result<i32, Errno> {
    let mut value: i32 = 0;
    let mut len = INT_LEN;
    // SAFETY: the kernel writes at most `len` bytes to `value`, whose size that is, and a length
    // to `len`; any bytes are an `i32` and a `u32`.
    unsafe {
        socket_call!(
            __NR_getsockopt, SYS_GETSOCKOPT;
            fd_arg(fd), int_arg(LEVEL), int_arg(option.cast_signed()),
            ptr_arg(&raw mut value), ptr_arg(&raw mut len)
        )
    }?;
    if len == INT_LEN { Ok(value) } else { Err(Errno::PROTO) }
}

/// Sets an option whose value is a C `int`.
#[inline]
pub(crate) fn set_int(fd: BorrowedFd<'_>, option: u32, value: i32) -> Result<(), Errno> {
    // SAFETY: the kernel reads `INT_LEN` bytes of `value`, whose size that is.
    unsafe {
        socket_call!(
            __NR_setsockopt, SYS_SETSOCKOPT;
            fd_arg(fd), int_arg(LEVEL), int_arg(option.cast_signed()),
            ptr_arg(&raw const value), int_arg(INT_LEN.cast_signed())
        )
    }
    .map(drop)
}
