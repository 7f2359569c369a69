//! New sockets: opened, named, connected; and what a failure leaves behind, which is nothing.

use core::time::Duration;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{CWD, unlink};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};

use super::Deadline;
use crate::addr::UnixAddr;
use crate::error::{AdoptError, WrongSocket};
use crate::sys::fd::{Opened, borrow};
use crate::sys::file::Node;
use crate::sys::socket::{Kind, getsockname, socket, socket_nonblocking};
use crate::sys::sockopt;
use crate::sys::timeout::{Timeout, set_timeout};
use crate::wire::addr::AF_UNIX;

/// Binds, but not to [`UnixAddr::UNNAMED`], by which the kernel would understand autobind.
#[inline]
pub(super) fn bind(fd: BorrowedFd<'_>, addr: &UnixAddr) -> Result<(), Errno> {
    if addr.is_unnamed() {
        return Err(Errno::INVAL);
    }
    net::bind(fd, addr)
}

#[inline]
pub(super) fn pair(kind: SocketType) -> Result<(OwnedFd, OwnedFd), Errno> {
    net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
}

#[inline]
pub(super) fn bound(kind: Kind, addr: &UnixAddr) -> Result<OwnedFd, Errno> {
    let Opened(fd) = socket(kind)?;
    bind(borrow(&fd), addr)?;
    Ok(fd)
}

#[inline]
pub(super) fn autobound(kind: Kind) -> Result<(OwnedFd, UnixAddr), Errno> {
    let Opened(fd) = socket(kind)?;
    net::bind(borrow(&fd), &UnixAddr::UNNAMED)?;
    let mut name = UnixAddr::UNNAMED;
    getsockname(borrow(&fd), &mut name)?;
    Ok((fd, name))
}

/// Has the kernel pick a name for a socket that has none, and tells it.
#[inline]
pub(super) fn autobind(fd: BorrowedFd<'_>) -> Result<UnixAddr, Errno> {
    let mut name = UnixAddr::UNNAMED;
    getsockname(fd, &mut name)?;
    // The kernel would keep the name that there is, and call that success.
    if !name.is_unnamed() {
        return Err(Errno::INVAL);
    }
    net::bind(fd, &UnixAddr::UNNAMED)?;
    getsockname(fd, &mut name)?;
    Ok(name)
}

#[inline(always)]
pub(super) fn connected(kind: Kind, to: &UnixAddr) -> Result<OwnedFd, Errno> {
    let Opened(fd) = socket(kind)?;
    net::connect(borrow(&fd), to)?;
    Ok(fd)
}

/// [`connected`], but waiting until the deadline at the longest.
pub(super) fn connected_until(
    kind: Kind,
    to: &UnixAddr,
    deadline: Deadline,
) -> Result<OwnedFd, Errno> {
    // The kernel counts no more than this on every machine; and more than it can count would be no
    // limit, under which signals restart the call.
    const MOST: Duration = Duration::from_secs(24 * 60 * 60);
    // Nobody else has this socket: its flag and its time limit are ours to set.
    let Opened(fd) = socket_nonblocking(kind)?;
    let at_once = net::connect(borrow(&fd), to);
    let mut left = match at_once {
        Ok(()) => Duration::ZERO,
        Err(Errno::AGAIN) => deadline.time_left()?,
        Err(error) => return Err(error),
    };
    ioctl_fionbio(borrow(&fd), false)?;
    if at_once.is_ok() {
        return Ok(fd);
    }
    loop {
        set_timeout(borrow(&fd), Timeout::Send, Some(left.min(MOST)))?;
        match net::connect(borrow(&fd), to) {
            Err(Errno::AGAIN) => left = deadline.time_left()?,
            result => break result?,
        }
    }
    set_timeout(borrow(&fd), Timeout::Send, None)?;
    Ok(fd)
}

/// Binds to `from` and connects to `to`; where the second fails, the first is undone.
pub(super) fn connected_from(kind: Kind, from: &UnixAddr, to: &UnixAddr) -> Result<OwnedFd, Errno> {
    let fd = bound(kind, from)?;
    // The wait for the peer may be long: only what stands at the path before it can be ours.
    let file = socket_file(from);
    match net::connect(borrow(&fd), to) {
        Ok(()) => Ok(fd),
        Err(error) => {
            if let Some(file) = file {
                remove_file(from, file);
            }
            Err(error)
        }
    }
}

/// Binds and listens; where the second fails, which only a shortage of memory or a seccomp filter
/// brings about, the first is undone.
#[inline]
pub(super) fn listening(kind: Kind, addr: &UnixAddr, backlog: i32) -> Result<OwnedFd, Errno> {
    let fd = bound(kind, addr)?;
    match net::listen(borrow(&fd), backlog) {
        Ok(()) => Ok(fd),
        Err(error) => {
            // `listen` does not wait: what stands at the path now stood there before it.
            if socket_file(addr).is_some() {
                unlink_at(addr);
            }
            Err(error)
        }
    }
}

#[inline]
pub(super) fn autobound_listening(kind: Kind) -> Result<(OwnedFd, UnixAddr), Errno> {
    let (fd, name) = autobound(kind)?;
    net::listen(borrow(&fd), BACKLOG_MAX)?;
    Ok((fd, name))
}

/// As many pending connections as `net.core.somaxconn` allows: what std asks for on Linux.
pub(super) const BACKLOG_MAX: i32 = -1;

/// Takes a descriptor for the kind of socket that it really is, or gives it back.
pub(super) fn adopt(fd: OwnedFd, kind: Kind, listens: bool) -> Result<OwnedFd, AdoptError> {
    match check(borrow(&fd), kind, listens) {
        Ok(()) => Ok(fd),
        Err(reason) => Err(AdoptError::new(reason, fd)),
    }
}

fn check(fd: BorrowedFd<'_>, kind: Kind, listens: bool) -> Result<(), WrongSocket> {
    let found = sockopt::domain(fd).map_err(WrongSocket::Kernel)?;
    if found != i32::from(AF_UNIX) {
        return Err(WrongSocket::Domain { found });
    }
    let (wanted, found) = (kind.number(), sockopt::kind(fd).map_err(WrongSocket::Kernel)?);
    if found != wanted {
        return Err(WrongSocket::Type { wanted, found });
    }
    match (listens, sockopt::listens(fd).map_err(WrongSocket::Kernel)?) {
        (true, false) => Err(WrongSocket::NotListening),
        (false, true) => Err(WrongSocket::Listening),
        _ => Ok(()),
    }
}

/// The socket file that has an address. What is no socket is nothing that `bind` made.
fn socket_file(addr: &UnixAddr) -> Option<Node> {
    Node::at(CWD, addr.as_pathname_cstr()?).ok().filter(|node| node.is_socket())
}

/// Removes the socket file that a call made which then failed, if it is still there. The socket,
/// still open, pins the inode.
#[cold]
fn remove_file(addr: &UnixAddr, made: Node) {
    if socket_file(addr) == Some(made) {
        unlink_at(addr);
    }
}

#[cold]
fn unlink_at(addr: &UnixAddr) {
    if let Some(path) = addr.as_pathname_cstr() {
        // The error to report is the one that led here.
        let _ = unlink(path);
    }
}
