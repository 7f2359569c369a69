//! Socket options, the length of each answer checked.

use core::mem::size_of;

use linux_raw_sys::net;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::errno::errno;
use super::syscall::{fd_arg, int_arg, ptr_arg, socket_call};

pub(super) const LEVEL: i32 = net::SOL_SOCKET.cast_signed();

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
    get_bool(fd, net::SO_ACCEPTCONN)
}

/// `SO_PASSCRED`: whether credentials come with each message.
#[inline]
pub(crate) fn passcred(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    get_bool(fd, net::SO_PASSCRED)
}

/// Sets `SO_PASSCRED`.
#[inline]
pub(crate) fn set_passcred(fd: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    set_bool(fd, net::SO_PASSCRED, on)
}

/// `SO_PASSPIDFD`: whether a pidfd comes with each message.
#[inline]
pub(crate) fn passpidfd(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    get_bool(fd, net::SO_PASSPIDFD)
}

/// Sets `SO_PASSPIDFD`.
#[inline]
pub(crate) fn set_passpidfd(fd: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    set_bool(fd, net::SO_PASSPIDFD, on)
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

/// `SO_PASSSEC`: whether a security context comes with each message.
#[inline]
pub(crate) fn passsec(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    get_bool(fd, net::SO_PASSSEC)
}

/// Sets `SO_PASSSEC`.
#[inline]
pub(crate) fn set_passsec(fd: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    set_bool(fd, net::SO_PASSSEC, on)
}

/// `SO_PASSRIGHTS`: whether descriptors may be sent here.
#[inline]
pub(crate) fn passrights(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    get_bool(fd, net::SO_PASSRIGHTS)
}

/// Sets `SO_PASSRIGHTS`.
#[inline]
pub(crate) fn set_passrights(fd: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    set_bool(fd, net::SO_PASSRIGHTS, on)
}

/// Sets `SO_INQ`, which cannot be asked for: whether the number of bytes left comes with data.
#[inline]
pub(crate) fn set_inq(fd: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    set_bool(fd, net::SO_INQ, on)
}

/// `SO_SNDBUF`: how much kernel memory unread data may take.
#[inline]
pub(crate) fn send_buffer_size(fd: BorrowedFd<'_>) -> Result<usize, Errno> {
    get_int(fd, net::SO_SNDBUF)?.try_into().map_err(|_| Errno::PROTO)
}

/// Sets `SO_SNDBUF`, of which the kernel makes twice as much; what is no `int` is the largest one.
#[inline]
pub(crate) fn set_send_buffer_size(fd: BorrowedFd<'_>, bytes: usize) -> Result<(), Errno> {
    set_int(fd, net::SO_SNDBUF, bytes.try_into().unwrap_or(i32::MAX))
}

/// `SO_PEEK_OFF`: where the next peek begins, if peeks move on.
#[inline]
pub(crate) fn peek_offset(fd: BorrowedFd<'_>) -> Result<Option<u32>, Errno> {
    // -1 is off.
    get_int(fd, net::SO_PEEK_OFF).map(|offset| offset.try_into().ok())
}

/// Sets `SO_PEEK_OFF`. What is no `int` is `EINVAL`: to the kernel it would be negative, and off.
#[inline]
pub(crate) fn set_peek_offset(fd: BorrowedFd<'_>, offset: Option<u32>) -> Result<(), Errno> {
    let offset = match offset {
        Some(offset) => i32::try_from(offset).map_err(|_| Errno::INVAL)?,
        None => -1,
    };
    set_int(fd, net::SO_PEEK_OFF, offset)
}

/// What can be passed to the kernel as an option's value, and filled by it.
///
/// # Safety
///
/// Any bytes must be a value, and a value must have no padding.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: a number.
unsafe impl Plain for i32 {}

/// An option whose value is a C `int`. An answer of another length is `EPROTO`.
#[inline]
pub(crate) fn get_int(fd: BorrowedFd<'_>, option: u32) -> Result<i32, Errno> {
    get(fd, option, 0)
}

/// Sets an option whose value is a C `int`.
#[inline]
pub(crate) fn set_int(fd: BorrowedFd<'_>, option: u32, value: i32) -> Result<(), Errno> {
    set(fd, option, value)
}

/// An option that is on or off.
#[inline]
fn get_bool(fd: BorrowedFd<'_>, option: u32) -> Result<bool, Errno> {
    get_int(fd, option).map(|on| on != 0)
}

/// Turns an option on or off.
#[inline]
fn set_bool(fd: BorrowedFd<'_>, option: u32, on: bool) -> Result<(), Errno> {
    set_int(fd, option, on.into())
}

/// An option's value, written over `value`. An answer of another length is `EPROTO`.
#[inline]
pub(super) fn get<T: Plain>(fd: BorrowedFd<'_>, option: u32, mut value: T) -> Result<T, Errno> {
    let mut len = len_of::<T>();
    // SAFETY: the kernel writes at most `len` bytes to `value`, whose size that is, and a length
    // to `len`; any bytes are a `T` and a `u32`.
    unsafe {
        socket_call!(
            __NR_getsockopt, SYS_GETSOCKOPT;
            fd_arg(fd), int_arg(LEVEL), int_arg(option.cast_signed()),
            ptr_arg(&raw mut value), ptr_arg(&raw mut len)
        )
    }?;
    if len == len_of::<T>() { Ok(value) } else { Err(Errno::PROTO) }
}

/// Sets an option.
#[inline]
pub(super) fn set<T: Plain>(fd: BorrowedFd<'_>, option: u32, value: T) -> Result<(), Errno> {
    // SAFETY: the kernel reads as many bytes of `value` as it has, none of them padding.
    unsafe {
        socket_call!(
            __NR_setsockopt, SYS_SETSOCKOPT;
            fd_arg(fd), int_arg(LEVEL), int_arg(option.cast_signed()),
            ptr_arg(&raw const value), int_arg(len_of::<T>().cast_signed())
        )
    }
    .map(drop)
}

/// The size of an option's value, which is no more than two words.
#[allow(clippy::cast_possible_truncation)]
const fn len_of<T: Plain>() -> u32 {
    size_of::<T>() as u32
}
