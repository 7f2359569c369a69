//! `sendmsg(2)`, `recvmsg(2)` and their batch forms, on headers that we lay out ourselves.

use core::mem::size_of;
use core::ptr::{null, null_mut};

use linux_raw_sys::{general, net};
use rustix::fd::BorrowedFd;
use rustix::io::{Errno, IoSlice};

use super::syscall::{fd_arg, int_arg, len_arg, ptr_arg, socket_call};

/// `UIO_MAXIOV`: with more pieces than this the kernel refuses the whole call.
pub(crate) const PIECES_MAX: usize = general::UIO_MAXIOV as usize;

/// A header of nothing: no address, no data, no control buffer.
pub(crate) const EMPTY: net::msghdr = net::msghdr {
    msg_name: null_mut(),
    msg_namelen: 0,
    msg_iov: null_mut(),
    msg_iovlen: 0,
    msg_control: null_mut(),
    msg_controllen: 0,
    msg_flags: 0,
};

/// Sends the pieces in one call, `MSG_NOSIGNAL` set. More than [`PIECES_MAX`] are `EMSGSIZE`.
#[inline]
pub(crate) fn send_vectored(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> Result<usize, Errno> {
    const { assert!(size_of::<IoSlice<'static>>() == size_of::<general::iovec>()) };
    let header = net::msghdr {
        msg_iov: pieces.as_ptr().cast_mut().cast(),
        msg_iovlen: pieces.len() as _,
        ..EMPTY
    };
    // SAFETY: the header names no address and no control buffer, and its pieces, borrowed for the
    // call, are `IoSlice`s, which are `iovec`s by their documentation.
    unsafe { sendmsg(fd, &header, net::MSG_NOSIGNAL) }
}

/// # Safety
///
/// Whatever the header points to must be readable for as long as it says.
#[inline]
pub(crate) unsafe fn sendmsg(
    fd: BorrowedFd<'_>,
    header: &net::msghdr,
    flags: u32,
) -> Result<usize, Errno> {
    let flags = int_arg(flags.cast_signed());
    // SAFETY: the header is borrowed for the call; what it points to is the caller's promise.
    unsafe { socket_call!(__NR_sendmsg, SYS_SENDMSG; fd_arg(fd), ptr_arg(header), flags) }
}

/// Receives one message; received descriptors are close-on-exec. What the header says afterwards
/// counts only if the call succeeded.
///
/// # Safety
///
/// Whatever the header points to must be writable for as long as it says, and the caller must own
/// what descriptors arrive.
#[cfg_attr(not(test), expect(dead_code, reason = "for the layers above that are to come"))]
#[inline]
pub(crate) unsafe fn recvmsg(
    fd: BorrowedFd<'_>,
    header: &mut net::msghdr,
    flags: u32,
) -> Result<usize, Errno> {
    let flags = int_arg((flags | net::MSG_CMSG_CLOEXEC).cast_signed());
    // SAFETY: the header is borrowed for the call; what it points to is the caller's promise.
    unsafe { socket_call!(__NR_recvmsg, SYS_RECVMSG; fd_arg(fd), ptr_arg(&raw mut *header), flags) }
}

/// Sends the messages in order and gives how many went; the kernel takes at most 1024 a call.
///
/// # Safety
///
/// As [`sendmsg`], for each header.
#[cfg_attr(not(test), expect(dead_code, reason = "for the layers above that are to come"))]
#[inline]
pub(crate) unsafe fn sendmmsg(
    fd: BorrowedFd<'_>,
    headers: &mut [net::mmsghdr],
    flags: u32,
) -> Result<usize, Errno> {
    let flags = int_arg(flags.cast_signed());
    let (pointer, count) = (ptr_arg(headers.as_mut_ptr()), len_arg(headers.len()));
    // SAFETY: the headers are borrowed for the call; what they point to is the caller's promise.
    unsafe { socket_call!(__NR_sendmmsg, SYS_SENDMMSG; fd_arg(fd), pointer, count, flags) }
}

/// Receives into the headers in order and gives how many were filled. There is no timeout: the
/// kernel looks at it only between two messages.
///
/// # Safety
///
/// As [`recvmsg`], for each header.
#[cfg_attr(not(test), expect(dead_code, reason = "for the layers above that are to come"))]
#[inline]
pub(crate) unsafe fn recvmmsg(
    fd: BorrowedFd<'_>,
    headers: &mut [net::mmsghdr],
    flags: u32,
) -> Result<usize, Errno> {
    let flags = int_arg((flags | net::MSG_CMSG_CLOEXEC).cast_signed());
    let (pointer, count) = (ptr_arg(headers.as_mut_ptr()), len_arg(headers.len()));
    let timeout = ptr_arg::<general::timespec>(null());
    // SAFETY: the headers are borrowed for the call; what they point to is the caller's promise;
    // no timeout is written back to a null pointer.
    unsafe { socket_call!(__NR_recvmmsg, SYS_RECVMMSG; fd_arg(fd), pointer, count, flags, timeout) }
}
