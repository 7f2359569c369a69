//! What the kernel knows of the other end of a connection.

use core::mem::size_of;

use linux_raw_sys::net;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::Gid;
use rustix::io::Errno;

use super::fd::adopt;
use super::sockopt::{LEVEL, Plain, get};
use super::syscall::{fd_arg, int_arg, ptr_arg, socket_call};
use crate::wire::cmsg::UCRED_LEN;

/// `SO_PEERCRED`: a `struct ucred`.
#[inline]
pub(crate) fn credentials(fd: BorrowedFd<'_>) -> Result<[u8; UCRED_LEN], Errno> {
    get(fd, net::SO_PEERCRED, [0; UCRED_LEN])
}

// SAFETY: bytes.
unsafe impl Plain for [u8; UCRED_LEN] {}

/// `SO_PEERPIDFD`: a descriptor, close-on-exec.
#[inline]
pub(crate) fn pidfd(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // With room for less than an `int` the kernel would install one, and not tell which.
    let number = get(fd, net::SO_PEERPIDFD, -1)?;
    let number = usize::try_from(number).map_err(|_| Errno::PROTO)?;
    // SAFETY: the kernel has installed it by this call, and nobody else knows of it.
    unsafe { adopt(number) }
}

/// Why there is no list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ListError {
    Kernel(Errno),
    /// It would be so many bytes.
    TooLong(usize),
}

/// `SO_PEERGROUPS`: the supplementary groups, in no certain order; as many as were written.
#[inline]
pub(crate) fn groups(fd: BorrowedFd<'_>, buf: &mut [Gid]) -> Result<usize, ListError> {
    const { assert!(size_of::<Gid>() == size_of::<u32>()) };
    let room = buf.len().saturating_mul(size_of::<Gid>());
    // SAFETY: so many bytes are borrowed for the call; and a `Gid` is any number.
    let len = unsafe { list(fd, net::SO_PEERGROUPS, buf.as_mut_ptr().cast(), room) }?;
    // Whole ones: the size is a power of two.
    let count = len >> size_of::<Gid>().trailing_zeros();
    if count.saturating_mul(size_of::<Gid>()) == len {
        Ok(count)
    } else {
        Err(ListError::Kernel(Errno::PROTO))
    }
}

/// `SO_PEERSEC`: the security context; as many bytes as were written.
#[inline]
pub(crate) fn security_context(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, ListError> {
    // SAFETY: so many bytes are borrowed for the call.
    unsafe { list(fd, net::SO_PEERSEC, buf.as_mut_ptr(), buf.len()) }
}

/// An option whose value is as long as it happens to be.
///
/// # Safety
///
/// `room` bytes from `buf` on must be writable, and hold any bytes.
#[inline(never)]
unsafe fn list(
    fd: BorrowedFd<'_>,
    option: u32,
    buf: *mut u8,
    room: usize,
) -> Result<usize, ListError> {
    // The kernel has it as an `int`.
    let room = i32::try_from(room).unwrap_or(i32::MAX).unsigned_abs();
    let mut len = room;
    // SAFETY: the kernel writes at most `len` bytes to `buf`, and a length to `len`: the caller's
    // promise.
    let answer = unsafe {
        socket_call!(
            __NR_getsockopt, SYS_GETSOCKOPT;
            fd_arg(fd), int_arg(LEVEL), int_arg(option.cast_signed()),
            ptr_arg(buf), ptr_arg(&raw mut len)
        )
    };
    match answer {
        Ok(_) if len <= room => Ok(len as usize),
        Ok(_) => Err(ListError::Kernel(Errno::PROTO)),
        Err(Errno::RANGE) if len > room => Err(ListError::TooLong(len as usize)),
        Err(errno) => Err(ListError::Kernel(errno)),
    }
}
