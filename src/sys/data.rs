//! Sending and receiving data without a header: the calls that are made most often.
//!
//! rustix has them too, free of panics; made here they are a few instructions shorter.

use core::ptr::null;

use linux_raw_sys::{general, net};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::addr::UnixAddr;
use super::socket::fill;
use super::syscall::{fd_arg, int_arg, len_arg, ptr_arg, socket_call, syscall};

const NOSIGNAL: i32 = net::MSG_NOSIGNAL.cast_signed();
const TRUNC: i32 = net::MSG_TRUNC.cast_signed();
const DONTWAIT: i32 = net::MSG_DONTWAIT.cast_signed();
const PEEK: i32 = net::MSG_PEEK.cast_signed();

/// Reads at most `buf.len()` bytes and gives how many.
#[inline]
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Errno> {
    let (pointer, len) = (ptr_arg(buf.as_mut_ptr()), len_arg(buf.len()));
    // SAFETY: the kernel writes at most `buf.len()` bytes to `buf`, borrowed for the call.
    unsafe { syscall!(general::__NR_read; fd_arg(fd), pointer, len) }
}

/// Sends to the peer, `MSG_NOSIGNAL` set, and gives how many bytes went.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, buf: &[u8]) -> Result<usize, Errno> {
    send_flags(fd, buf, NOSIGNAL)
}

/// [`send`] that does not wait.
#[inline]
pub(crate) fn send_now(fd: BorrowedFd<'_>, buf: &[u8]) -> Result<usize, Errno> {
    send_flags(fd, buf, NOSIGNAL | DONTWAIT)
}

#[inline]
fn send_flags(fd: BorrowedFd<'_>, buf: &[u8], flags: i32) -> Result<usize, Errno> {
    let (pointer, len) = (ptr_arg(buf.as_ptr()), len_arg(buf.len()));
    let no_addr = ptr_arg::<u8>(null());
    // SAFETY: the kernel reads `buf.len()` bytes of `buf`, borrowed for the call; there is no
    // address to read.
    unsafe {
        socket_call!(
            __NR_sendto, SYS_SENDTO;
            fd_arg(fd), pointer, len, int_arg(flags), no_addr, len_arg(0)
        )
    }
}

/// Sends to an address, `MSG_NOSIGNAL` set, and gives how many bytes went.
#[inline]
pub(crate) fn sendto(fd: BorrowedFd<'_>, buf: &[u8], to: &UnixAddr) -> Result<usize, Errno> {
    sendto_flags(fd, buf, to, NOSIGNAL)
}

/// [`sendto`] that does not wait.
#[inline]
pub(crate) fn sendto_now(fd: BorrowedFd<'_>, buf: &[u8], to: &UnixAddr) -> Result<usize, Errno> {
    sendto_flags(fd, buf, to, NOSIGNAL | DONTWAIT)
}

#[inline]
fn sendto_flags(fd: BorrowedFd<'_>, buf: &[u8], to: &UnixAddr, flags: i32) -> Result<usize, Errno> {
    let (pointer, len) = (ptr_arg(buf.as_ptr()), len_arg(buf.len()));
    let (addr, addr_len) = (ptr_arg(to.raw().as_ptr()), len_arg(to.addr_len()));
    // SAFETY: the kernel reads `buf.len()` bytes of `buf` and `addr_len` bytes of `to`, both
    // borrowed for the call and at least as long.
    unsafe {
        socket_call!(
            __NR_sendto, SYS_SENDTO;
            fd_arg(fd), pointer, len, int_arg(flags), addr, addr_len
        )
    }
}

/// Receives a message and gives its true size, of which `buf` holds as much as fits.
#[inline]
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Errno> {
    recv_flags(fd, buf, TRUNC)
}

/// [`recv`] that does not wait. Of a stream, which ignores `MSG_TRUNC`, it gives how many bytes were
/// received.
#[inline]
pub(crate) fn recv_now(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Errno> {
    recv_flags(fd, buf, TRUNC | DONTWAIT)
}

/// [`recv`] that leaves the message in the queue. Of a stream, which ignores `MSG_TRUNC`, it gives how
/// many bytes were copied.
#[inline]
pub(crate) fn peek(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Errno> {
    recv_flags(fd, buf, TRUNC | PEEK)
}

#[inline]
fn recv_flags(fd: BorrowedFd<'_>, buf: &mut [u8], flags: i32) -> Result<usize, Errno> {
    let (pointer, len) = (ptr_arg(buf.as_mut_ptr()), len_arg(buf.len()));
    let no_addr = ptr_arg::<u8>(null());
    // SAFETY: the kernel writes at most `buf.len()` bytes to `buf`, borrowed for the call; there
    // is no place for an address.
    unsafe {
        socket_call!(
            __NR_recvfrom, SYS_RECVFROM;
            fd_arg(fd), pointer, len, int_arg(flags), no_addr, no_addr
        )
    }
}

/// [`recvfrom`] into an address that need not be made before.
#[inline(always)]
pub(crate) fn recv_and_addr(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
) -> Result<(usize, UnixAddr), Errno> {
    let mut from = UnixAddr::blank();
    let size = recvfrom(fd, buf, &mut from)?;
    // It has been settled.
    Ok((size, from))
}

/// [`recv`], with the sender's address written to `from`. On an error `from` is as it was, unless
/// a socket of another family answered.
#[inline(always)]
pub(crate) fn recvfrom(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    from: &mut UnixAddr,
) -> Result<usize, Errno> {
    recvfrom_flags(fd, buf, from, TRUNC)
}

/// [`recvfrom`] that does not wait.
#[inline]
pub(crate) fn recvfrom_now(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    from: &mut UnixAddr,
) -> Result<usize, Errno> {
    recvfrom_flags(fd, buf, from, TRUNC | DONTWAIT)
}

#[inline]
fn recvfrom_flags(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    from: &mut UnixAddr,
    flags: i32,
) -> Result<usize, Errno> {
    let (pointer, len) = (ptr_arg(buf.as_mut_ptr()), len_arg(buf.len()));
    fill(from, |addr, addr_len| {
        // SAFETY:
        // - `fill` vouches for the two pointers of the address.
        // - the kernel writes at most `buf.len()` bytes to `buf`, borrowed for the call.
        unsafe {
            socket_call!(
                __NR_recvfrom, SYS_RECVFROM;
                fd_arg(fd), pointer, len, int_arg(flags), addr, addr_len
            )
        }
    })
}
