//! Socket calls that rustix lacks, or whose form there keeps a panic reachable.

use linux_raw_sys::{general, net};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::addr::UnixAddr;
use super::fd::Opened;
use super::syscall::{Arg, fd_arg, int_arg, ptr_arg, socket_call, socket_open};

const CLOEXEC: i32 = general::O_CLOEXEC.cast_signed();

/// The three types of socket that `AF_UNIX` has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Stream,
    Datagram,
    Seqpacket,
}

impl Kind {
    /// The number that the kernel calls it by on this architecture.
    #[inline]
    pub(crate) const fn number(self) -> i32 {
        match self {
            Self::Stream => net::SOCK_STREAM.cast_signed(),
            Self::Datagram => net::SOCK_DGRAM.cast_signed(),
            Self::Seqpacket => net::SOCK_SEQPACKET.cast_signed(),
        }
    }
}

/// A new socket, close-on-exec.
#[inline(always)]
pub(crate) fn socket(kind: Kind) -> Result<Opened, Errno> {
    socket_flags(kind, CLOEXEC)
}

/// A new socket, close-on-exec and non-blocking.
#[inline]
pub(crate) fn socket_nonblocking(kind: Kind) -> Result<Opened, Errno> {
    const NONBLOCK: i32 = general::O_NONBLOCK.cast_signed();
    socket_flags(kind, CLOEXEC | NONBLOCK)
}

#[inline(always)]
fn socket_flags(kind: Kind, flags: i32) -> Result<Opened, Errno> {
    const DOMAIN: i32 = net::AF_UNIX.cast_signed();
    let kind = int_arg(kind.number() | flags);
    // SAFETY: takes numbers alone, and gives a new descriptor, which only we know of.
    unsafe { socket_open!(__NR_socket, SYS_SOCKET; int_arg(DOMAIN), kind, int_arg(0)) }
}

/// Takes the oldest pending connection, close-on-exec, and writes the peer's address to `peer`.
///
/// On an error `peer` is as it was, unless a socket of another family answered.
#[inline(always)]
pub(crate) fn accept(fd: BorrowedFd<'_>, peer: &mut UnixAddr) -> Result<Opened, Errno> {
    let (addr, mut addr_len) = peer.buffer();
    let (flags, len) = (int_arg(CLOEXEC), ptr_arg(&raw mut addr_len));
    // SAFETY:
    // - `buffer` vouches for as many bytes as the length says; and the length may be written;
    // - the answer is a new descriptor, which only we know of.
    let accepted =
        unsafe { socket_open!(__NR_accept4, SYS_ACCEPT4; fd_arg(fd), addr, len, flags) }?;
    match peer.settle_unnamed(addr_len) {
        Ok(()) => Ok(accepted),
        Err(error) => Err(error.errno()),
    }
}

/// Writes the name of a socket to `name`; on an error as [`accept`].
#[inline(always)]
pub(crate) fn getsockname(fd: BorrowedFd<'_>, name: &mut UnixAddr) -> Result<(), Errno> {
    fill(name, |addr, addr_len| {
        // SAFETY: `fill` vouches for the two pointers.
        unsafe { socket_call!(__NR_getsockname, SYS_GETSOCKNAME; fd_arg(fd), addr, addr_len) }
    })
    .map(drop)
}

/// Writes the name of a socket's peer to `name`; on an error as [`accept`].
#[inline]
pub(crate) fn getpeername(fd: BorrowedFd<'_>, name: &mut UnixAddr) -> Result<(), Errno> {
    fill(name, |addr, addr_len| {
        // SAFETY: `fill` vouches for the two pointers.
        unsafe { socket_call!(__NR_getpeername, SYS_GETPEERNAME; fd_arg(fd), addr, addr_len) }
    })
    .map(drop)
}

/// Lets `call` write an address: it gets a place for it and a place for its length.
///
/// Both are writable for the call: the first for as many bytes as the second says on entry.
#[inline(always)]
pub(super) fn fill<T>(
    into: &mut UnixAddr,
    call: impl FnOnce(Arg, Arg) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let (addr, capacity) = into.buffer();
    let mut addr_len = capacity;
    let done = call(addr, ptr_arg(&raw mut addr_len))?;
    match into.settle(addr_len) {
        Ok(()) => Ok(done),
        Err(error) => Err(error.errno()),
    }
}
